/* SPDX-License-Identifier: Apache-2.0 */
/* <dir>/up.options: a line "name value" each, and first the folder that paths are relative to. */
#include "cli/up.h"

#include <neo/memory.h>
#include <neo/store.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Values are shorter than PATH_MAX: all that up_recall() lets through, and a bound for the file. */
enum { VALUES_MAX = 3 * ARG_LIST_MAX, OPTIONS_MAX = (VALUES_MAX + 8) * (PATH_MAX + 32) };

/* --- reading ---------------------------------------------------------------------------------- */

static bool take_path(struct arg_list *list, const char *value)
{
    if (list->n == ARG_LIST_MAX)
        return false;
    list->at[list->n++] = value;
    return true;
}

static bool take(struct up *up, const char *name, const char *value)
{
    if (strcmp(name, "trust-domain") == 0)
        up->trust_domain = value;
    else if (strcmp(name, "ca") == 0)
        up->ca_listen = value;
    else if (strcmp(name, "registry") == 0)
        up->registry_listen = value;
    else if (strcmp(name, "leaf-life") == 0)
        up->leaf_life = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "insecure-dev") == 0)
        up->development = strcmp(value, "no") != 0;
    else if (strcmp(name, "policy") == 0)
        return take_path(&up->policies, value);
    else if (strcmp(name, "attestation") == 0)
        return take_path(&up->attestation, value);
    else if (strcmp(name, "collateral") == 0)
        return take_path(&up->collateral, value);
    return true;
}

/* Cuts the text into lines and words, in place. False: a value is too long, or one too many. */
static bool read_lines(char *at, struct up *ret, const char **ret_cwd)
{
    bool good = true;

    *ret_cwd = "";
    while (*at != '\0') {
        char *end = at + strcspn(at, "\n");
        char *space = memchr(at, ' ', (size_t)(end - at));
        bool more = *end != '\0';
        *end = '\0';
        if (space != NULL) {
            *space = '\0';
            good = good && end - (space + 1) < PATH_MAX;
            if (strcmp(at, "cwd") == 0)
                *ret_cwd = space + 1;
            else
                good = good && take(ret, at, space + 1);
        }
        at = more ? end + 1 : end;
    }
    return good;
}

/* Relative to where it was given: as it was, or absolute when this is another folder. */
static enum neo_code settle_paths(struct arg_list *list, const char *cwd, struct neo_buffer *paths,
                                  struct neo_error *err)
{
    char here[PATH_MAX];

    if (getcwd(here, sizeof(here)) != NULL && strcmp(here, cwd) == 0)
        return NEO_OK;
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i][0] == '/')
            continue;
        size_t start = paths->len;
        if (!neo_buffer_printf(paths, "%s/%s", cwd, list->at[i]) ||
            !neo_buffer_append_byte(paths, '\0'))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the options");
        list->at[i] = (const char *)paths->at + start;
    }
    return NEO_OK;
}

/* What is given as a list replaces the whole list. */
static void complete(struct up *up, const struct up *before)
{
    const struct up given = *up;

    up->trust_domain = given.trust_domain != NULL ? given.trust_domain : before->trust_domain;
    up->ca_listen = given.ca_listen != NULL ? given.ca_listen : before->ca_listen;
    up->registry_listen =
        given.registry_listen != NULL ? given.registry_listen : before->registry_listen;
    up->policies = given.policies.n > 0 ? given.policies : before->policies;
    up->attestation = given.attestation.n > 0 ? given.attestation : before->attestation;
    up->collateral = given.collateral.n > 0 ? given.collateral : before->collateral;
    up->leaf_life = given.leaf_life != 0 ? given.leaf_life : before->leaf_life;
    up->recalled = (given.policies.n == 0 && before->policies.n > 0) ||
                   (given.attestation.n == 0 && before->attestation.n > 0) ||
                   (given.collateral.n == 0 && before->collateral.n > 0) ||
                   (given.leaf_life == 0 && before->leaf_life != 0) ||
                   (given.trust_domain == NULL && before->trust_domain != NULL);
}

/* What proves nothing is never taken for granted: who starts it says so each time. */
static enum neo_code without_saying(const struct up *up, const struct up *before,
                                    struct neo_error *err)
{
    if (!before->development || up->development || up->no_development || up->forget)
        return NEO_OK;
    return neo_fail(err, NEO_FAILED_PRECONDITION,
                    "'%s' accepted simulated evidence the last time: say --insecure-dev again, or "
                    "--no-insecure-dev",
                    cli.dir);
}

static void complete_usual(struct up *up)
{
    if (up->trust_domain == NULL)
        up->trust_domain = "neo.local";
    if (up->ca_listen == NULL)
        up->ca_listen = "127.0.0.1:8441";
    if (up->registry_listen == NULL)
        up->registry_listen = "127.0.0.1:8442";
}

static enum neo_code without_memory(const struct up *up, struct neo_error *err)
{
    char state[PATH_LEN];

    dir_path(state, "registry/identity.pem");
    if (access(state, F_OK) == 0 && up->policies.n == 0 && !up->forget)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "'%s' had a control plane before, and does not know with which options: "
                        "give them (--policy PATH), or say --forget for an empty policy",
                        cli.dir);
    return NEO_OK;
}

static enum neo_code recall(struct up *before, struct neo_buffer *text, struct neo_error *err)
{
    char path[PATH_LEN];
    const char *cwd;

    dir_path(path, "up.options");
    NEO_TRY(dir_check(path, S_IFREG, err));
    NEO_TRY(neo_file_read(path, OPTIONS_MAX, text, err));
    /* Paths that are made absolute (folder, slash, path, end) go behind the text: it may not move.
     */
    if (!neo_buffer_append_byte(text, '\0') ||
        neo_buffer_reserve(text, VALUES_MAX * (size_t)(2 * PATH_MAX + 2)) == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", path);
    if (!read_lines((char *)text->at, before, &cwd))
        return neo_fail(err, NEO_DATA_LOSS,
                        "'%s' is none of ours: a value is longer than a path can be, or there are "
                        "more than %d of an option; give the options anew, without that file",
                        path, ARG_LIST_MAX);
    NEO_TRY(settle_paths(&before->policies, cwd, text, err));
    NEO_TRY(settle_paths(&before->attestation, cwd, text, err));
    return settle_paths(&before->collateral, cwd, text, err);
}

static bool is_line(const char *text)
{
    return strlen(text) < PATH_MAX && strchr(text, '\n') == NULL;
}

static bool are_lines(const struct arg_list *list)
{
    bool good = true;

    for (size_t i = 0; i < list->n; i++)
        good = good && is_line(list->at[i]);
    return good;
}

/* Before anything starts: will the next one read what this one writes? */
static enum neo_code is_memorable(const struct up *up, struct neo_error *err)
{
    char cwd[PATH_MAX];

    if (getcwd(cwd, sizeof(cwd)) == NULL)
        return neo_fail_errno(err, "cannot tell which folder this is");
    if (!is_line(cwd) || !is_line(up->trust_domain) || !is_line(up->ca_listen) ||
        !is_line(up->registry_listen) || !are_lines(&up->policies) ||
        !are_lines(&up->attestation) || !are_lines(&up->collateral))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "an option or this folder's name has a newline or %d bytes: that cannot "
                        "be remembered",
                        PATH_MAX);
    return NEO_OK;
}

enum neo_code up_recall(struct up *up, struct up *before, struct neo_buffer *text,
                        struct neo_error *err)
{
    *before = (struct up){.detach = false};
    enum neo_code code = recall(before, text, err);
    if (code == NEO_NOT_FOUND)
        code = without_memory(up, err);
    NEO_TRY(code);
    NEO_TRY(without_saying(up, before, err));
    if (up->forget) { /* but not who it is, and where: others know it by that */
        const struct up place = {.trust_domain = before->trust_domain,
                                 .ca_listen = before->ca_listen,
                                 .registry_listen = before->registry_listen};
        complete(up, &place);
        up->recalled = false;
    } else {
        complete(up, before);
    }
    complete_usual(up);
    return is_memorable(up, err);
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool put_list(struct neo_buffer *out, const char *name, const struct arg_list *list)
{
    bool put = true;

    for (size_t i = 0; i < list->n; i++)
        put = put && neo_buffer_printf(out, "%s %s\n", name, list->at[i]);
    return put;
}

enum neo_code up_remember(const struct up *up, const char *ca, const char *registry,
                          struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    char path[PATH_LEN], cwd[PATH_MAX];

    if (getcwd(cwd, sizeof(cwd)) == NULL)
        return neo_fail_errno(err, "cannot tell which folder this is");
    dir_path(path, "up.options");
    bool put = neo_buffer_printf(&out, "cwd %s\ntrust-domain %s\nca %s\nregistry %s\n", cwd,
                                 up->trust_domain, ca, registry) &&
               put_list(&out, "policy", &up->policies) &&
               put_list(&out, "attestation", &up->attestation) &&
               put_list(&out, "collateral", &up->collateral);
    if (put && up->leaf_life != 0)
        put = neo_buffer_printf(&out, "leaf-life %u\n", up->leaf_life);
    if (put && up->development)
        put = neo_buffer_append_text(&out, "insecure-dev yes\n");
    if (!put)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory writing '%s'", path);
    return neo_file_replace(path, neo_buffer_bytes(&out), 0600, err);
}

/* --- for people, and for a plane of which one half runs --------------------------------------- */

static void add(char *text, size_t len, const char *option, const char *value)
{
    size_t used = strlen(text);

    (void)snprintf(text + used, len - used, "%s%s%s%s", used == 0 ? "" : " ", option,
                   value[0] == '\0' ? "" : " ", value);
}

void up_print(const struct up *up, char *text, size_t len)
{
    char life[16];

    text[0] = '\0';
    for (size_t i = 0; i < up->policies.n; i++)
        add(text, len, "--policy", up->policies.at[i]);
    for (size_t i = 0; i < up->attestation.n; i++)
        add(text, len, "--attestation", up->attestation.at[i]);
    for (size_t i = 0; i < up->collateral.n; i++)
        add(text, len, "--collateral", up->collateral.at[i]);
    (void)snprintf(life, sizeof(life), "%u", up->leaf_life);
    if (up->leaf_life != 0)
        add(text, len, "--leaf-life", life);
    if (strcmp(up->trust_domain, "neo.local") != 0)
        add(text, len, "--trust-domain", up->trust_domain);
    if (up->development)
        add(text, len, "--insecure-dev", "");
}

static bool lists_differ(const struct arg_list *a, const struct arg_list *b)
{
    if (a->n == 0)
        return false; /* not given */
    bool differ = a->n != b->n;
    for (size_t i = 0; !differ && i < a->n; i++)
        differ = strcmp(a->at[i], b->at[i]) != 0;
    return differ;
}

/* Port 0 is any, so also the one that it has. */
static bool addresses_differ(const char *a, const char *b)
{
    size_t len = a == NULL ? 0 : strlen(a);

    return a != NULL && b != NULL && strcmp(a, b) != 0 &&
           !(len > 2 && strcmp(a + len - 2, ":0") == 0);
}

const char *up_differs(const struct up *given, const struct up *before, const char *name)
{
    if (given->development && !before->development)
        return "--insecure-dev";
    if (given->no_development && before->development)
        return "--no-insecure-dev";
    if (strcmp(name, "registry") == 0) {
        if (lists_differ(&given->policies, &before->policies))
            return "--policy";
        return addresses_differ(given->registry_listen, before->registry_listen) ? "--registry"
                                                                                 : NULL;
    }
    if (lists_differ(&given->attestation, &before->attestation))
        return "--attestation";
    if (lists_differ(&given->collateral, &before->collateral))
        return "--collateral";
    if (given->leaf_life != 0 && given->leaf_life != before->leaf_life)
        return "--leaf-life";
    if (addresses_differ(given->trust_domain, before->trust_domain))
        return "--trust-domain";
    return addresses_differ(given->ca_listen, before->ca_listen) ? "--ca" : NULL;
}
