/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy/document.h - policy documents as they were written.
 *
 * Every name in here has been checked against its grammar; nothing has been
 * looked up yet.
 */
#ifndef NEO_POLICY_DOCUMENT_H
#define NEO_POLICY_DOCUMENT_H

#include <neo/policy.h>

/* One entry of `operations`. */
struct operation {
    struct neo_bytes text;
    struct neo_place place;
};

/* One entry of `when.metadata`. */
struct metadata {
    struct neo_bytes key;
    struct neo_place place;
    struct neo_yaml_list values; /* struct neo_bytes */
};

struct when {
    bool attested;
    struct neo_place attested_place; /* file NULL: not asked */
    struct neo_bytes hours;          /* empty: not asked */
    unsigned from;                   /* minutes of the day, `to` excluded; made of `hours` */
    unsigned to;
    struct neo_yaml_list metadata;     /* struct metadata */
    struct neo_yaml_list on_behalf_of; /* struct neo_bytes */
    struct neo_yaml_list tee;          /* struct neo_bytes */
    struct neo_yaml_list measurement;  /* struct neo_bytes: hex digits, small */
    struct neo_place code_place;       /* of either; file NULL: not asked */
    bool is_asked;                     /* any of the above */
};

/* One entry of `allowed_calls` or `denied_calls`. */
struct rule {
    struct neo_place place;
    struct neo_bytes target;
    struct neo_yaml_list operations; /* struct operation */
    struct when when;
    bool denies;
};

/* One entry of `tests`. */
struct test {
    struct neo_place place;
    struct neo_bytes from;
    struct neo_bytes to;
    struct neo_bytes method;
    bool attested;
    struct neo_bytes tee;
    struct neo_bytes measurement;
    struct neo_bytes at;
    struct neo_yaml_list metadata; /* struct test_metadata */
    struct neo_bytes on_behalf_of;
    struct neo_bytes expect;
};

struct test_metadata {
    struct neo_bytes key;
    struct neo_place place;
    struct neo_bytes value;
};

struct document {
    struct document *next;
    struct neo_place place;
    struct neo_bytes service; /* one of these two is empty */
    struct neo_bytes role;
    struct neo_bytes mode;        /* empty, "enforce" or "shadow" */
    struct neo_yaml_list roles;   /* struct operation: a text and its place */
    struct neo_yaml_list allowed; /* struct rule */
    struct neo_yaml_list denied;  /* struct rule */
    struct neo_yaml_list tests;   /* struct test */
    struct neo_place own;         /* where a key of a policy stood */
    struct neo_place other;       /* where a key of another kind of document stood */
};

struct documents {
    struct document *first;
    struct document **end;
    size_t rules; /* of the present file */
};

/*
 * Adds the policy documents of one file, in the order of the file. Documents of another kind are
 * passed over; a document of two kinds is refused. Borrows `file`.
 */
enum neo_code document_read_all(struct neo_bytes text, const char *file, struct neo_arena *arena,
                                struct documents *ret, struct neo_error *err);

/* "HH:MM" to minutes; 24:00 only where `end`. */
bool document_parse_time(struct neo_bytes text, bool end, unsigned *ret);

#endif
