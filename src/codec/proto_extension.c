/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extensions lie encoded among the unknown fields of the message they extend: they are added there,
 * and read from there with the table of their holder.
 */
#include "codec/proto_extension.h"

#include <neo/extension.h>

enum neo_code neo_proto_extend(const struct neo_message_info *holder, const void *value,
                               struct neo_bytes *unknown, struct neo_arena *arena,
                               struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};

    if (!neo_buffer_append(&wire, *unknown))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory setting %s", holder->full_name);
    NEO_TRY(neo_proto_encode(holder, value, &wire, err));
    struct neo_bytes both = neo_arena_copy(arena, neo_buffer_bytes(&wire));
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "cannot set %s: the memory budget is spent",
                        holder->full_name);
    *unknown = both;
    return NEO_OK;
}

/* --- looking up ------------------------------------------------------------------------------- */

static bool is_among(const struct neo_file_info *const *files, size_t n,
                     const struct neo_file_info *file)
{
    for (size_t i = 0; i < n; i++) {
        if (files[i] == file)
            return true;
    }
    return false;
}

size_t proto_files(const struct neo_file_info *file,
                   const struct neo_file_info *ret[static PROTO_FILES_MAX])
{
    size_t n = file == NULL ? 0 : 1;

    ret[0] = file;
    for (size_t next = 0; next < n; next++) {
        const struct neo_file_info *const *imports = ret[next]->imports;
        for (size_t i = 0; imports != NULL && imports[i] != NULL; i++) {
            if (n < PROTO_FILES_MAX && !is_among(ret, n, imports[i]))
                ret[n++] = imports[i];
        }
    }
    return n;
}

const struct neo_message_info *proto_extension_named(const struct neo_file_info *file,
                                                     const struct neo_message_info *extendee,
                                                     struct neo_bytes name)
{
    const struct neo_file_info *files[PROTO_FILES_MAX];
    size_t n = proto_files(file, files);

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < files[i]->n_extensions; j++) {
            const struct neo_extension_info *x = &files[i]->extensions[j];
            if (x->extendee == extendee && neo_bytes_is(name, x->holder->full_name))
                return x->holder;
        }
    }
    return NULL;
}

size_t proto_extensions_of(const struct neo_file_info *file,
                           const struct neo_message_info *extendee,
                           const struct neo_message_info *ret[static PROTO_EXTENSIONS_MAX])
{
    const struct neo_file_info *files[PROTO_FILES_MAX];
    size_t n_files = proto_files(file, files);
    size_t n = 0;

    for (size_t i = 0; i < n_files; i++) {
        for (size_t j = 0; j < files[i]->n_extensions && n < PROTO_EXTENSIONS_MAX; j++) {
            if (files[i]->extensions[j].extendee == extendee)
                ret[n++] = files[i]->extensions[j].holder;
        }
    }
    return n;
}
