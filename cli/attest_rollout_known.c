/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the policies beside a document of rollouts know what is put into it? For a warning: both must
 * list a measurement, and in either order.
 */
#include "cli/attest.h"

#include <neo/attest.h>
#include <neo/attest_policy.h>
#include <neo/rollout.h>
#include <neo/store.h>

#include <dirent.h>
#include <stdio.h>

enum { FILES_MAX = 256, FILE_MAX = 1 << 20 };

static bool is_policy(const char *name, const char *own)
{
    const char *dot = strrchr(name, '.');

    return name[0] != '.' && dot != NULL && strcmp(name, own) != 0 &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static size_t read_folder(const char *path, struct neo_arena *arena, struct neo_document *ret)
{
    const char *slash = strrchr(path, '/');
    const char *own = slash == NULL ? path : slash + 1;
    char folder[PATH_LEN], full[2 * PATH_LEN];
    size_t n = 0;

    (void)snprintf(folder, sizeof(folder), "%.*s.", (int)(own - path), path);
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    for (const struct dirent *d; n < FILES_MAX && (d = readdir(dir)) != NULL;) {
        if (!is_policy(d->d_name, own))
            continue;
        (void)snprintf(full, sizeof(full), "%.*s%s", (int)(own - path), path, d->d_name);
        ret[n].name = neo_arena_copy(arena, neo_text(full));
        n += attest_read_file(arena, full, FILE_MAX, &ret[n].text, NULL) == NEO_OK;
    }
    (void)closedir(dir);
    return n;
}

/* Of the others the measurement is a digest over several values, which no row shows. */
static bool shows_measurement(const struct neo_attest_row *row)
{
    return strcmp(row->tee, "sev-snp") == 0 || strcmp(row->tee, "tdx") == 0 ||
           strcmp(row->tee, "sgx") == 0;
}

static bool has(const struct neo_attest_row *row, struct neo_bytes measurement)
{
    for (size_t i = 0; i < row->n_given; i++) {
        struct neo_bytes value = row->given[i].value;
        if (memmem(value.at, value.len, measurement.at, measurement.len) != NULL)
            return true;
    }
    return false;
}

static void judge(const struct neo_attest_service *services, size_t n,
                  const struct neo_rollout *rollout)
{
    struct neo_bytes measurement = neo_text(rollout->measurement);
    const struct neo_attest_service *s = NULL;

    for (size_t i = 0; i < n; i++)
        if (neo_bytes_is(services[i].name, rollout->service))
            s = &services[i];
    if (s == NULL) {
        (void)fprintf(stderr,
                      "warning: no attestation_policies here name '%s': nobody asks it for "
                      "evidence, whatever is rolled out\n",
                      rollout->service);
        return;
    }
    for (size_t i = 0; i < s->n_rows; i++)
        if (!shows_measurement(&s->rows[i]) || has(&s->rows[i], measurement))
            return;
    (void)fprintf(stderr,
                  "warning: no row of %s:%u has this measurement: it is refused until one has\n",
                  s->place.file, s->place.line);
}

void attest_rollout_warn(struct neo_arena *arena, const char *path,
                         const struct neo_rollout *rollout)
{
    struct neo_document *documents = neo_arena_calloc(arena, FILES_MAX, sizeof(*documents));
    const struct neo_attest_service *services;
    struct neo_attest_policies *policies;
    size_t n;

    if (documents == NULL)
        return;
    n = read_folder(path, arena, documents);
    /* What does not load is for `neo check`; a simulator's row is a row here. */
    if (neo_attest_policies_compile(documents, n, true, &policies, NULL) != NEO_OK)
        return;
    if (neo_attest_policies_list(policies, arena, &services, &n, NULL) == NEO_OK)
        judge(services, n, rollout);
    neo_attest_policies_unref(policies);
}
