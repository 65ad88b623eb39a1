/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec as a filter, for differential.py: reads lines "op tables message hex" and
 * answers each with "ok hex" or "CODE text".
 *
 *     op      wire (decode, encode), json (decode, print), pretty, defaults, parse (JSON, encode)
 *     tables  generated, or runtime: made from the descriptors in the file named by argv[1]
 */
#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/bench.neo.h"
#include "neo/test/v1/more.neo.h"
#include "neo/test/v1/old.neo.h"
#include "neo/test/v1/secret.neo.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 256 << 20, FIELDS = 4 };

static const struct neo_message_info *generated(struct neo_bytes name)
{
    static const struct neo_file_info *const files[] = {
        &neo_test_v1_all_file, &neo_test_v1_bench_file, &neo_test_v1_old_file,
        &neo_test_v1_more_file, &neo_test_v1_secret_file};

    for (size_t i = 0; i < NEO_COUNT(files); i++) {
        for (size_t j = 0; files[i]->messages[j] != NULL; j++) {
            if (neo_bytes_is(name, files[i]->messages[j]->full_name))
                return files[i]->messages[j];
        }
    }
    return NULL;
}

static enum neo_code convert(const char *op, const struct neo_message_info *info,
                             struct neo_bytes in, struct neo_arena *arena, struct neo_buffer *out,
                             struct neo_error *err)
{
    void *message = neo_arena_calloc(arena, 1, info->size);

    if (strcmp(op, "parse") == 0)
        NEO_TRY(neo_proto_from_json(info, in, 0, message, arena, err));
    else
        NEO_TRY(neo_proto_decode(info, in, message, arena, err));
    if (strcmp(op, "json") == 0)
        return neo_proto_to_json(info, message, 0, out, err);
    if (strcmp(op, "pretty") == 0)
        return neo_proto_to_json(info, message, NEO_JSON_PRETTY | NEO_JSON_PROTO_NAMES, out, err);
    if (strcmp(op, "defaults") == 0)
        return neo_proto_to_json(info, message, NEO_JSON_DEFAULTS, out, err);
    return neo_proto_encode(info, message, out, err);
}

static void answer(const struct neo_descriptors *pool, char *fields[static FIELDS])
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer in = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct neo_error err = {0};
    struct neo_bytes name = neo_text(fields[2]);
    const struct neo_message_info *info =
        strcmp(fields[1], "runtime") == 0 ? neo_descriptors_message(pool, name) : generated(name);

    neo_arena_init(&arena, BUDGET);
    if (info == NULL || neo_hex_decode(neo_text(fields[3]), &in, NULL) != NEO_OK) {
        printf("USAGE\n");
        return;
    }
    if (convert(fields[0], info, neo_buffer_bytes(&in), &arena, &out, &err) != NEO_OK) {
        for (char *c = err.message; *c != '\0'; c++) /* which quotes what it was given */
            *c = *c > 0 && *c < ' ' ? ' ' : *c;
        printf("%s %s\n", neo_code_name(err.code), err.message);
        return;
    }
    (void)neo_hex_encode(&hex, neo_buffer_bytes(&out));
    printf("ok %.*s\n", (int)hex.len, (const char *)hex.at);
}

static struct neo_descriptors *load(const char *path)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer set = {0};
    struct neo_descriptors *pool = NULL;
    struct neo_error err;
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        return NULL;
    for (int c = fgetc(file); c != EOF; c = fgetc(file))
        (void)neo_buffer_append_byte(&set, (uint8_t)c);
    (void)fclose(file);
    if (neo_descriptors_from_set(neo_buffer_bytes(&set), &pool, &err) != NEO_OK)
        fprintf(stderr, "%s\n", err.message);
    return pool;
}

/* Splits at single spaces, in place; the last field may be empty. */
static bool split(char *line, char *fields[static FIELDS])
{
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = line;
        char *space = strchr(line, ' ');
        if (space == NULL)
            return i == FIELDS - 1;
        *space = '\0';
        line = space + 1;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct neo_descriptors *pool = argc == 2 ? load(argv[1]) : NULL;
    char *line = NULL;
    size_t room = 0;
    char *fields[FIELDS];

    if (pool == NULL)
        return 2;
    while (getline(&line, &room, stdin) > 0) {
        if (!split(line, fields))
            return 2;
        answer(pool, fields);
        (void)fflush(stdout);
    }
    free(line);
    neo_descriptors_free(pool);
    return 0;
}
