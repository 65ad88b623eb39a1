/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/first.h"

#include <neo/store.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { WISH_SECONDS = 60 }; /* whoever wishes waits for it */

/* "neo-operator=FILE" in its parts. */
static enum neo_code split(const char *pair, char service[static 64], const char **ret_file,
                           struct neo_error *err)
{
    const char *equals = strchr(pair, '=');

    if (equals == NULL || (size_t)(equals - pair) >= 64)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "--first %s: write service=FILE", pair);
    (void)snprintf(service, 64, "%.*s", (int)(equals - pair), pair);
    *ret_file = equals + 1;
    return NEO_OK;
}

static enum neo_code write_one(struct first *f, const char *pair, int64_t seconds,
                               struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    const char *file;
    char service[64];

    NEO_TRY(split(pair, service, &file, err));
    NEO_TRY(ca_first_string(f->ca, service, seconds, &join, err));
    if (!neo_buffer_append_byte(&join, '\n'))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making a token");
    return neo_file_replace(file, neo_buffer_bytes(&join), 0600, err);
}

static void grant(struct first *f, const char *pair)
{
    char service[64], wanted[PATH_LEN + 8];
    const char *file;
    struct neo_error err;

    if (split(pair, service, &file, &err) != NEO_OK)
        return;
    (void)snprintf(wanted, sizeof(wanted), "%s.wanted", file);
    if (unlink(wanted) != 0)
        return; /* nobody waits for it */
    enum neo_code code = write_one(f, pair, WISH_SECONDS, &err);
    if (code == NEO_OK)
        neo_log_info(f->log, "ca.first", NEO_STR("service", service), NEO_STR("file", file));
    else
        neo_log_error(f->log, "ca.first", NEO_STR("service", service),
                      NEO_STR("code", neo_code_name(code)), NEO_STR("why", err.message));
}

static void *wait_for_wishes(void *self)
{
    struct first *f = self;
    sigset_t set;
    int got;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, FIRST_SIGNAL);
    while (sigwait(&set, &got) == 0 && !f->ending)
        for (size_t i = 0; i < f->pairs->n; i++)
            grant(f, f->pairs->at[i]);
    return NULL;
}

void first_block(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, FIRST_SIGNAL);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

enum neo_code first_begin(struct first *f, struct neo_error *err)
{
    for (size_t i = 0; i < f->pairs->n; i++)
        NEO_TRY(write_one(f, f->pairs->at[i], 0, err));
    if (pthread_create(&f->thread, NULL, wait_for_wishes, f) != 0)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no thread for the files of --first");
    f->has_thread = true;
    return NEO_OK;
}

void first_end(struct first *f)
{
    if (!f->has_thread)
        return;
    f->ending = true;
    (void)pthread_kill(f->thread, FIRST_SIGNAL);
    (void)pthread_join(f->thread, NULL);
}
