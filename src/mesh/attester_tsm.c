/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux configfs-tsm (6.7 and later): a folder per question.
 *
 * mkdir makes the folder and the kernel its files. `generation` counts what is written
 * there, so one that differs after the reading says that somebody else asked in between.
 */
#include "mesh/attester.h"

#include <neo/digest.h>
#include <neo/encoding.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define REPORTS "/sys/kernel/config/tsm/report"

enum { NAME_LEN = 128, WORD_MAX = 64, LEVEL_MAX = 3, ENTRY_RANDOM = 12, CPU_LEN = 4096 };

struct entry {
    struct attester_run *run;
    char path[NAME_LEN];
    bool made;
};

static void entry_remove(struct entry *e)
{
    if (e->made)
        (void)e->run->sys->rmdir(e->run->sys, e->path); /* what stays behind is only litter */
}

static enum neo_code entry_make(struct entry *e, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    uint8_t random[ENTRY_RANDOM];

    neo_random(random, sizeof(random));
    if (!neo_hex_encode(&hex, neo_bytes(random, sizeof(random))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a name");
    (void)snprintf(e->path, sizeof(e->path), REPORTS "/neo-%.*s", (int)hex.len,
                   (const char *)hex.at);
    if (e->run->sys->mkdir(e->run->sys, e->path) != 0) {
        if (errno == EEXIST)
            return neo_fail(err, NEO_ABORTED, "'%s' is there already", e->path);
        return attester_fail_errno(err, "cannot make '%s'", e->path);
    }
    e->made = true;
    return NEO_OK;
}

static void file_of(const struct entry *e, const char *name, char ret[static NAME_LEN])
{
    (void)snprintf(ret, NAME_LEN, "%.100s/%s", e->path, name);
}

/* A word or a number on one line. */
static enum neo_code read_word(struct entry *e, const char *name, char ret[static WORD_MAX],
                               struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char path[NAME_LEN];

    file_of(e, name, path);
    NEO_TRY(attester_read(e->run, path, WORD_MAX - 1, &text, err));
    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == 0))
        text.len--;
    if (text.len == 0 || memchr(text.at, 0, text.len) != NULL)
        return neo_fail(err, NEO_DATA_LOSS, "'%s' holds no word", path);
    memcpy(ret, text.at, text.len);
    ret[text.len] = '\0';
    return NEO_OK;
}

static bool is_digit(const char *text)
{
    return text[0] >= '0' && text[0] <= '0' + LEVEL_MAX && text[1] == '\0';
}

/* Levels are SEV-SNP's; the kernel says the least that this guest may name. */
static enum neo_code choose_level(struct entry *e, struct neo_error *err)
{
    char word[WORD_MAX];
    char path[NAME_LEN];
    struct neo_error why;
    unsigned level = e->run->options->vmpl;
    enum neo_code code = read_word(e, "privlevel_floor", word, &why);

    if (code == NEO_OK && !is_digit(word))
        return neo_fail(err, NEO_DATA_LOSS, "privlevel_floor is '%s', and no level from 0 to %d",
                        word, LEVEL_MAX);
    if (code != NEO_OK && code != NEO_NOT_FOUND) {
        *err = why;
        return code;
    }
    if (code == NEO_OK && (unsigned)(word[0] - '0') > level)
        level = (unsigned)(word[0] - '0');
    if (code == NEO_NOT_FOUND && level == 0)
        return NEO_OK; /* a kernel that has no such file */
    (void)snprintf(word, sizeof(word), "%u", level);
    file_of(e, "privlevel", path);
    return attester_write(e->run, path, neo_text(word), err);
}

static enum neo_code check_provider(struct entry *e, const char *wanted, struct neo_error *err)
{
    char provider[WORD_MAX];

    NEO_TRY(read_word(e, "provider", provider, err));
    if (strcmp(provider, wanted) != 0)
        return neo_fail(err, NEO_NOT_FOUND, "configfs-tsm gives evidence of '%s', and not of '%s'",
                        provider, wanted);
    return NEO_OK;
}

static enum neo_code read_certificates(struct entry *e, struct neo_buffer *out,
                                       struct neo_error *err)
{
    char path[NAME_LEN];
    struct neo_error why;

    file_of(e, "auxblob", path);
    enum neo_code code = attester_read(e->run, path, ATTESTER_CERTIFICATES_MAX, out, &why);
    if (code == NEO_NOT_FOUND) {
        neo_buffer_clear(out);
        return NEO_OK; /* the host gives none: the verifier must know them */
    }
    if (code != NEO_OK && err != NULL)
        *err = why;
    return code;
}

static enum neo_code ask(struct entry *e, const struct attester_way *way, const uint8_t *binder,
                         struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                         struct neo_error *err)
{
    char before[WORD_MAX];
    char after[WORD_MAX];
    char path[NAME_LEN];

    NEO_TRY(entry_make(e, err));
    NEO_TRY(check_provider(e, way->provider, err));
    if (way->kind == NEO_EVIDENCE_SNP)
        NEO_TRY(choose_level(e, err));
    file_of(e, "inblob", path);
    NEO_TRY(attester_write(e->run, path, neo_bytes(binder, NEO_BINDER_LEN), err));
    NEO_TRY(read_word(e, "generation", before, err));
    file_of(e, "outblob", path);
    NEO_TRY(attester_read(e->run, path, ATTESTER_BODY_MAX, out_body, err));
    if (way->kind == NEO_EVIDENCE_SNP)
        NEO_TRY(read_certificates(e, out_certificates, err));
    NEO_TRY(read_word(e, "generation", after, err));
    if (strcmp(before, after) != 0)
        return neo_fail(err, NEO_ABORTED,
                        "somebody else asked in '%s': its generation went from %s to %s", e->path,
                        before, after);
    return NEO_OK;
}

static enum neo_code ask_once(struct attester_run *run, const struct attester_way *way,
                              const uint8_t *binder, struct neo_buffer *out_body,
                              struct neo_buffer *out_certificates, struct neo_error *err)
{
    NEO_CLEANUP(entry_remove) struct entry e = {.run = run};

    return ask(&e, way, binder, out_body, out_certificates, err);
}

enum neo_code tsm_attest(struct attester_run *run, const struct attester_way *way,
                         const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                         struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                         struct neo_error *err)
{
    for (;;) {
        enum neo_code code = ask_once(run, way, binder, out_body, out_certificates, err);
        if (code == NEO_OK)
            return NEO_OK;
        NEO_TRY(attester_again(run, code, err));
    }
}

/* --- is it here? ------------------------------------------------------------------------------ */

struct guest {
    const char *name;
    const char *module;
    const char *const *signs; /* files that only such a guest has */
};

static const struct guest *guest_of(enum neo_evidence_kind kind)
{
    static const char *const snp_signs[] = {"/sys/bus/platform/devices/sev-guest", "/dev/sev-guest",
                                            NULL};
    static const char *const tdx_signs[] = {"/sys/devices/virtual/misc/tdx_guest", "/dev/tdx_guest",
                                            NULL};
    static const char *const cca_signs[] = {"/sys/bus/platform/devices/arm-cca-dev", NULL};
    static const struct guest snp = {"a SEV-SNP guest", "sev-guest", snp_signs};
    static const struct guest tdx = {"a trust domain of TDX", "tdx_guest", tdx_signs};
    static const struct guest cca = {"a realm of Arm CCA", "arm_cca_guest", cca_signs};

    return kind == NEO_EVIDENCE_SNP ? &snp : kind == NEO_EVIDENCE_TDX ? &tdx : &cca;
}

/*
 * The processor says it of a trust domain even when no driver is there. The first of its processors
 * will do: the kernel takes its time over all of them.
 */
static bool has_cpu_flag(struct attester_run *run, const char *flag)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    enum neo_code code = attester_read(run, "/proc/cpuinfo", CPU_LEN, &text, NULL);

    return (code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED) &&
           memmem(text.at, text.len, flag, strlen(flag)) != NULL;
}

static bool is_guest(struct attester_run *run, enum neo_evidence_kind kind)
{
    const struct guest *g = guest_of(kind);

    for (size_t i = 0; g->signs[i] != NULL; i++) {
        if (attester_exists(run, g->signs[i]))
            return true;
    }
    return kind == NEO_EVIDENCE_TDX && has_cpu_flag(run, " tdx_guest");
}

static void look_for_folder(struct attester_run *run, const struct guest *g,
                            struct neo_attester_finding *ret)
{
    if (!attester_exists(run, "/sys/kernel/config")) {
        attester_found(ret, NEO_ATTESTER_LACKING, "%s, but its kernel has no configfs", g->name);
        attester_next(ret, "modprobe configfs; then mount -t configfs none /sys/kernel/config");
    } else if (!attester_exists(run, "/sys/kernel/config/tsm")) {
        attester_found(ret, NEO_ATTESTER_LACKING,
                       "%s, but /sys/kernel/config/tsm is not there: configfs is not mounted, or "
                       "the driver is not loaded",
                       g->name);
        attester_next(ret,
                      "mount -t configfs none /sys/kernel/config; modprobe %s (Linux 6.7 or later)",
                      g->module);
    }
}

static void explain(enum neo_code code, const struct neo_error *err, const struct guest *g,
                    struct neo_attester_finding *ret)
{
    attester_found(ret, NEO_ATTESTER_LACKING, "%s", err->message);
    if (code == NEO_PERMISSION_DENIED)
        attester_next(ret, "run as root, or with the capability CAP_DAC_OVERRIDE: entries of "
                           "configfs belong to root");
    else
        attester_next(ret, "modprobe %s; see dmesg", g->module);
}

void tsm_look(struct attester_run *run, const struct attester_way *way,
              struct neo_attester_finding *ret)
{
    NEO_CLEANUP(entry_remove) struct entry e = {.run = run};
    const struct guest *g = guest_of(way->kind);
    bool is_here = is_guest(run, way->kind);
    struct neo_error err;

    if (!attester_exists(run, REPORTS)) {
        if (is_here)
            look_for_folder(run, g, ret);
        else
            attester_found(ret, NEO_ATTESTER_ABSENT, "this machine is not %s", g->name);
        return;
    }
    enum neo_code code = entry_make(&e, &err);
    if (code == NEO_OK)
        code = check_provider(&e, way->provider, &err);
    if (code == NEO_OK)
        attester_found(ret, NEO_ATTESTER_READY, "configfs-tsm, provider %s", way->provider);
    else if (code == NEO_NOT_FOUND && e.made && !is_here)
        attester_found(ret, NEO_ATTESTER_ABSENT, "%.190s", err.message);
    else if (is_here)
        explain(code, &err, g, ret);
    else
        attester_found(ret, NEO_ATTESTER_ABSENT, "this machine is not %s", g->name);
}
