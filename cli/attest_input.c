/* SPDX-License-Identifier: Apache-2.0 */
/* What `neo attest` reads beside evidence: policies, collateral, a time. */
#include "cli/attest.h"

#include <neo/loop.h>
#include <neo/store.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { FILES_MAX = 256 };

enum neo_code attest_read_file(struct neo_arena *arena, const char *path, size_t max,
                               struct neo_bytes *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    NEO_TRY(neo_file_read(path, max, &text, err));
    *ret = neo_arena_copy(arena, neo_buffer_bytes(&text));
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for '%s'", path);
    return NEO_OK;
}

struct files {
    struct neo_bytes at[FILES_MAX];
    size_t n;
    bool development;
};

/* Read alone, so that an error names the file. */
static enum neo_code check_file(const struct files *files, struct neo_bytes text, const char *path,
                                struct neo_error *err)
{
    const struct neo_attest_trust_options alone = {
        .collateral = &text, .n_collateral = 1, .development = files->development};
    static const char prefix[] = "collateral[0]: ";
    struct neo_attest_trust *trust;
    struct neo_error why;

    enum neo_code code = neo_attest_trust_new(&alone, &trust, &why);
    if (code == NEO_OK) {
        neo_attest_trust_unref(trust);
        return NEO_OK;
    }
    bool is_named = strncmp(why.message, prefix, sizeof(prefix) - 1) == 0;
    return neo_fail(err, code, "%s: %s", path, why.message + (is_named ? sizeof(prefix) - 1 : 0));
}

static enum neo_code add_file(struct neo_arena *arena, struct files *files, const char *path,
                              struct neo_error *err)
{
    if (files->n == FILES_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "more than %d files of collateral", FILES_MAX);
    NEO_TRY(attest_read_file(arena, path, ATTEST_FILE_MAX, &files->at[files->n], err));
    NEO_TRY(check_file(files, files->at[files->n], path, err));
    files->n++;
    return NEO_OK;
}

/* Of a folder: what is no collateral is left out and told of, as a service does it. */
static enum neo_code add_found(struct neo_arena *arena, struct files *files, const char *path,
                               struct neo_error *err)
{
    struct neo_error why;
    enum neo_code code = add_file(arena, files, path, &why);

    if (code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED) {
        if (code != NEO_OK)
            *err = why;
        return code;
    }
    (void)fprintf(stderr, "warning: skipped %s\n", why.message);
    return NEO_OK;
}

/* A file, or every file of a folder. */
static enum neo_code add_collateral(struct neo_arena *arena, struct files *files, const char *path,
                                    struct neo_error *err)
{
    enum neo_code code = NEO_OK;
    char full[PATH_LEN];
    struct stat st;

    if (stat(path, &st) != 0)
        return neo_fail_errno(err, "cannot look at '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return add_file(arena, files, path, err);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return neo_fail_errno(err, "cannot open '%s'", path);
    for (struct dirent *d; code == NEO_OK && (d = readdir(dir)) != NULL;) {
        (void)snprintf(full, sizeof(full), "%s/%s", path, d->d_name);
        if (d->d_name[0] != '.' && stat(full, &st) == 0 && S_ISREG(st.st_mode))
            code = add_found(arena, files, full, err);
    }
    (void)closedir(dir);
    return code;
}

enum neo_code attest_read_trust(struct neo_arena *arena, const struct attest_source *a,
                                struct neo_attest_trust **ret, struct neo_error *err)
{
    struct files *files = neo_arena_calloc(arena, 1, sizeof(*files));
    struct neo_attest_trust_options options = {.development = a->development};

    if (files == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    files->development = a->development;
    for (size_t i = 0; i < a->collateral.n; i++)
        NEO_TRY(add_collateral(arena, files, a->collateral.at[i], err));
    if (a->simulated_root != NULL)
        NEO_TRY(attest_read_file(arena, a->simulated_root, ATTEST_FILE_MAX, &options.simulated_root,
                                 err));
    options.collateral = files->at;
    options.n_collateral = files->n;
    return neo_attest_trust_new(&options, ret, err);
}

enum neo_code attest_read_policies(struct neo_arena *arena, const struct attest_source *a,
                                   struct neo_attest_policies **ret, struct neo_error *err)
{
    struct neo_document documents[ARG_LIST_MAX];

    for (size_t i = 0; i < a->policies.n; i++) {
        documents[i].name = neo_text(a->policies.at[i]);
        NEO_TRY(
            attest_read_file(arena, a->policies.at[i], ATTEST_FILE_MAX, &documents[i].text, err));
    }
    return neo_attest_policies_compile(documents, a->policies.n, a->development, ret, err);
}

/* Seconds since 1970, or 2025-06-19T12:00:00Z. */
enum neo_code attest_read_time(const char *text, int64_t *ret, struct neo_error *err)
{
    struct tm tm = {0};
    char *end;

    *ret = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    if (text == NULL)
        return NEO_OK;
    long long seconds = strtoll(text, &end, 10);
    if (*text != '\0' && *end == '\0') {
        *ret = seconds;
        return NEO_OK;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end == NULL || (strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--at %s: write 2025-06-19T12:00:00Z, or seconds since 1970", text);
    *ret = timegm(&tm);
    return NEO_OK;
}
