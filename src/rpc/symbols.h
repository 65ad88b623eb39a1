/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/symbols.h - which .proto file declares what: the index that reflection answers from.
 *
 * The tables of generated code know messages, fields and services; the rest (enums that nobody
 * uses, their values, oneofs, extensions) is in the descriptors that they carry. Those are decoded
 * once, when the index is made; a question costs one look into a hash table, whatever it asks for,
 * and takes no memory.
 *
 * Memory    For each name 24 bytes at most three quarters and at least three eighths full, and the
 *           name; for each file 16 bytes for every file that it brings along; for each extension
 *           12 bytes. No more than 256 MiB of names and lists.
 * Storage   Borrows the files, which must live as long.
 * Threads   Nothing changes once it is made: any number may ask.
 */
#ifndef NEO_RPC_SYMBOLS_H
#define NEO_RPC_SYMBOLS_H

#include <neo/proto.h>

struct symbols;

struct symbols_file {
    const struct neo_file_info *info;
    /* Its own, then those of all that it imports, and what that imports, each once. */
    struct neo_bytes *descriptors;
    size_t n_descriptors;

    /* private */
    struct symbols_file *next;
    size_t mark;
};

/* The numbers with which a type is extended, ascending, each once. */
struct symbols_numbers {
    int32_t *at;
    size_t n;
};

/*
 * Of these files (NULL among them is none) and of all that they import. Where two declare the same,
 * the one that comes first counts: the given ones in their order, then what those import. A file
 * whose descriptor cannot be decoded is known by its name alone. Gives `*ret`: symbols_free().
 * RESOURCE_EXHAUSTED: no memory for it.
 */
NEO_MUST_CHECK enum neo_code symbols_new(const struct neo_file_info *const *files, size_t n,
                                         struct symbols **ret, struct neo_error *err);
void symbols_free(struct symbols *s);

/* By the name that imports call it by. This and the next two: NULL when there is none. */
const struct symbols_file *symbols_file_named(const struct symbols *s, struct neo_bytes name);
/* Which declares this: a full name without a leading dot. A value of an enum is declared beside the
   enum and is found by that name, and by the one that begins with the enum's, too. */
const struct symbols_file *symbols_file_declaring(const struct symbols *s, struct neo_bytes symbol);
/* Which extends message `type` with field `number`. */
const struct symbols_file *symbols_file_extending(const struct symbols *s, struct neo_bytes type,
                                                  int32_t number);
/* Of all files. None: nobody extends it. */
struct symbols_numbers symbols_extensions(const struct symbols *s, struct neo_bytes type);

/* What is in it, and what it takes, which is all that it will ever take. */
struct symbols_size {
    size_t files, names, extensions;
    size_t bytes;
};
struct symbols_size symbols_size(const struct symbols *s);

#endif
