/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/intel_tcb.h"

static const char *const status_texts[] = {
#define X(name, text) [INTEL_##name] = text,
    INTEL_STATUSES(X)
#undef X
};

const char *intel_status_text(enum intel_status status)
{
    return (size_t)status < NEO_COUNT(status_texts) ? status_texts[status] : "unknown";
}

enum intel_status intel_status_parse(struct neo_bytes text)
{
    for (size_t i = 0; i < NEO_COUNT(status_texts); i++) {
        if (neo_bytes_is(text, status_texts[i]))
            return (enum intel_status)i;
    }
    return INTEL_STATUSES_N;
}

/* Components 0 and 1 of a TD's version name its module, when component 1 says so. */
enum { MODULE_ISV_SVN = 0, MODULE_VERSION = 1, MODULE_COMPONENTS = 2 };

static bool reaches(const uint8_t *has, const uint8_t *wants, size_t from)
{
    for (size_t i = from; i < INTEL_SVN_LEN; i++) {
        if (has[i] < wants[i])
            return false;
    }
    return true;
}

/* Levels come from the newest to the oldest. NULL: older than all that is supported. */
static const struct intel_level *platform_level(const struct intel_document *tcb,
                                                const struct intel_pck *pck,
                                                const uint8_t *tee_tcb_svn)
{
    for (size_t i = 0; i < tcb->levels.n; i++) {
        const struct intel_level *level = &tcb->levels.at[i];
        if (!reaches(pck->svn, level->sgx, 0) || pck->pce_svn < level->pce_svn)
            continue;
        if (tee_tcb_svn == NULL)
            return level;
        size_t from = tee_tcb_svn[MODULE_VERSION] > 0 ? MODULE_COMPONENTS : 0;
        if (reaches(tee_tcb_svn, level->tdx, from))
            return level;
    }
    return NULL;
}

static const struct intel_level *isv_level(const struct intel_levels *levels, unsigned isv_svn)
{
    for (size_t i = 0; i < levels->n; i++) {
        if (isv_svn >= levels->at[i].isv_svn)
            return &levels->at[i];
    }
    return NULL;
}

const struct intel_module *intel_module_of(const struct intel_document *tcb,
                                           const uint8_t tee_tcb_svn[static INTEL_SVN_LEN])
{
    if (tee_tcb_svn[MODULE_VERSION] == 0)
        return &tcb->module;
    for (size_t i = 0; i < tcb->n_modules; i++) {
        if (tcb->modules[i].version == tee_tcb_svn[MODULE_VERSION])
            return &tcb->modules[i];
    }
    return NULL;
}

static enum intel_status status_of(const struct intel_level *level)
{
    return level == NULL ? INTEL_NOT_SUPPORTED : level->status;
}

static bool is_out_of_date(enum intel_status status)
{
    return status == INTEL_OUT_OF_DATE || status == INTEL_OUT_OF_DATE_CONFIGURATION;
}

/* What another part's status makes of the platform's. */
static enum intel_status converge(enum intel_status platform, enum intel_status other)
{
    if (platform == INTEL_NOT_SUPPORTED || other == INTEL_NOT_SUPPORTED)
        return INTEL_NOT_SUPPORTED;
    if (platform == INTEL_REVOKED || other == INTEL_REVOKED)
        return INTEL_REVOKED;
    if (!is_out_of_date(other))
        return platform;
    switch (platform) {
    case INTEL_UP_TO_DATE:
    case INTEL_SW_HARDENING:
        return INTEL_OUT_OF_DATE;
    case INTEL_CONFIGURATION:
    case INTEL_CONFIGURATION_SW_HARDENING:
        return INTEL_OUT_OF_DATE_CONFIGURATION;
    case INTEL_RELAUNCH:
    case INTEL_RELAUNCH_CONFIGURATION:
    case INTEL_OUT_OF_DATE:
    case INTEL_OUT_OF_DATE_CONFIGURATION:
    case INTEL_REVOKED:
    case INTEL_NOT_SUPPORTED:
    case INTEL_STATUSES_N:
        break;
    }
    return platform;
}

static void add_advisory(struct intel_standing *s, struct neo_bytes id)
{
    for (size_t i = 0; i < s->n_advisories; i++) {
        if (neo_bytes_equal(s->advisories[i], id))
            return;
    }
    if (s->n_advisories == INTEL_ADVISORIES_MAX) {
        s->status = INTEL_NOT_SUPPORTED; /* more than anybody could have named */
        return;
    }
    s->advisories[s->n_advisories++] = id;
}

static void take(struct intel_standing *s, const struct intel_level *level)
{
    if (level == NULL)
        return;
    if (s->date == 0 || level->date < s->date)
        s->date = level->date;
    for (size_t i = 0; i < level->n_advisories; i++)
        add_advisory(s, level->advisories[i]);
}

static bool is_acceptable(enum intel_status status)
{
    return status <= INTEL_CONFIGURATION_SW_HARDENING;
}

static bool asks_for_configuration(enum intel_status status)
{
    return status == INTEL_CONFIGURATION || status == INTEL_CONFIGURATION_SW_HARDENING ||
           status == INTEL_OUT_OF_DATE_CONFIGURATION;
}

/* Platform and module as of `svn`, into `s`. */
static void evaluate(const struct intel_document *tcb, const struct intel_pck *pck,
                     const uint8_t *svn, const struct intel_level *qe, struct intel_standing *s)
{
    const struct intel_level *platform = platform_level(tcb, pck, svn);
    const struct intel_level *level = NULL;

    s->platform = status_of(platform);
    s->module = INTEL_STATUSES_N;
    s->qe = status_of(qe);
    s->status = s->platform;
    if (svn != NULL && svn[MODULE_VERSION] > 0) {
        const struct intel_module *module = intel_module_of(tcb, svn);
        level = module == NULL ? NULL : isv_level(&module->levels, svn[MODULE_ISV_SVN]);
        s->module = status_of(level);
        s->status = converge(s->status, s->module);
    }
    s->status = converge(s->status, s->qe);
    take(s, platform);
    take(s, level);
    take(s, qe);
    if (s->status == INTEL_NOT_SUPPORTED)
        s->date = 0;
}

void intel_tcb_evaluate(const struct intel_document *tcb, const struct intel_document *identity,
                        const struct intel_pck *pck, const struct sgx_body *qe,
                        const struct tdx_body *td, struct intel_standing *ret)
{
    const struct intel_level *qe_level = isv_level(&identity->levels, qe->isv_svn);
    struct intel_standing now = {.date = 0};

    *ret = (struct intel_standing){.date = 0};
    evaluate(tcb, pck, td == NULL ? NULL : td->tee_tcb_svn, qe_level, ret);
    if (td == NULL || !td->has_current || !is_out_of_date(ret->status))
        return;
    /* The TD was launched on what is out of date by now, and runs on what is not. */
    evaluate(tcb, pck, td->tee_tcb_svn_now, qe_level, &now);
    if (is_acceptable(now.status))
        ret->status = asks_for_configuration(now.status) || asks_for_configuration(ret->status)
                          ? INTEL_RELAUNCH_CONFIGURATION
                          : INTEL_RELAUNCH;
}
