/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/up.h - the options of `neo up`, and how the folder remembers them.
 *
 * An option that is not given is what it was the last time the plane came up here, so that a plane
 * that was half lost comes back as it was, and never under an empty policy that nobody asked for.
 */
#ifndef NEO_CLI_UP_H
#define NEO_CLI_UP_H

#include "cli/cli.h"

/* Absent: NULL, 0, no entries. */
struct up {
    const char *trust_domain;
    const char *ca_listen;
    const char *registry_listen;
    struct arg_list policies;
    struct arg_list attestation; /* of the CA, and what it judges with */
    struct arg_list collateral;
    uint32_t leaf_life;
    bool development;    /* never from before */
    bool no_development; /* said so */
    bool detach;
    bool forget;   /* all but trust domain and addresses */
    bool recalled; /* some of it is from before */
};

/*
 * Completes what was given with what the folder remembers (`*before`), then with what is usual.
 * `text` holds what was remembered and must live as long. FAILED_PRECONDITION: there is a plane's
 * state and no memory of its options, and no policy was given; or it was one of development, and
 * nobody says whether it still is. INVALID_ARGUMENT: what could not be remembered.
 */
NEO_MUST_CHECK enum neo_code up_recall(struct up *up, struct up *before, struct neo_buffer *text,
                                       struct neo_error *err);
/* What it came up with, and where it listens. */
NEO_MUST_CHECK enum neo_code up_remember(const struct up *up, const char *ca, const char *registry,
                                         struct neo_error *err);
/* "--policy policies --leaf-life 60", for a person. */
void up_print(const struct up *up, char *text, size_t len);

/* Which of its options a process that runs already cannot take; NULL: none. `name`: ca, registry */
const char *up_differs(const struct up *given, const struct up *before, const char *name);

#endif
