/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "codec/proto.h"

#include "google/protobuf/descriptor.neo.h"
#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/bench.neo.h"
#include "neo/test/v1/old.neo.h"
#include "neo/test/v1/secret.neo.h"

#include <neo/descriptor.h>
#include <neo/memory.h>

#include <stdio.h>

enum { BUDGET = 64 << 20, FILES_MAX = 32 };

static struct neo_arena arena;
static struct neo_error err;

static int set_up(void **state)
{
    (void)state;
    neo_arena_init(&arena, BUDGET);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_memory_fail_at(0);
    neo_arena_fini(&arena);
    return 0;
}

/* --- the generated files, as descriptors -------------------------------------------------------
 */

static size_t collect(const struct neo_file_info *file, const struct neo_file_info **files,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (files[i] == file)
            return n;
    }
    files[n++] = file;
    for (size_t i = 0; file->imports[i] != NULL; i++)
        n = collect(file->imports[i], files, n);
    return n;
}

static struct neo_descriptors *pool_of_generated(void)
{
    const struct neo_file_info *files[FILES_MAX];
    struct neo_bytes wires[FILES_MAX];
    struct neo_descriptors *pool = NULL;
    size_t n = collect(&neo_test_v1_all_file, files, 0);

    n = collect(&neo_test_v1_bench_file, files, n);
    n = collect(&neo_test_v1_old_file, files, n);
    n = collect(&neo_test_v1_secret_file, files, n);
    for (size_t i = 0; i < n; i++)
        wires[i] = files[i]->descriptor;
    if (neo_descriptors_new(wires, n, &pool, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return pool;
}

static void assert_same_enum(const struct neo_enum_info *a, const struct neo_enum_info *b)
{
    assert_string_equal(a->full_name, b->full_name);
    assert_int_equal(a->n_values, b->n_values);
    for (uint32_t i = 0; i < a->n_values; i++) {
        assert_int_equal(a->values[i].number, b->values[i].number);
        assert_string_equal(a->values[i].name, b->values[i].name);
        assert_int_equal(proto_enum_has(a, a->values[i].number), true);
        assert_int_equal(proto_enum_has(b, a->values[i].number), true);
    }
    assert_int_equal(a->closed == NULL, b->closed == NULL);
    assert_int_equal(proto_enum_has(a, 77), a->closed == NULL);
    assert_int_equal(proto_enum_has(b, 77), b->closed == NULL);
}

static void assert_same_message(const struct neo_message_info *a, const struct neo_message_info *b)
{
    assert_string_equal(a->full_name, b->full_name);
    assert_int_equal(a->n_fields, b->n_fields);
    assert_int_equal(a->dense, b->dense);
    assert_int_equal(a->traits, b->traits);
    for (uint32_t i = 0; i < a->n_fields; i++) {
        const struct neo_field_info *x = &a->fields[i];
        const struct neo_field_info *y = &b->fields[i];

        assert_int_equal(x->number, y->number);
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->flags, y->flags);
        assert_int_equal(x->sensitivity, y->sensitivity);
        assert_string_equal(x->name, y->name);
        assert_string_equal(x->json_name, y->json_name);
        if (x->kind == NEO_KIND_MESSAGE)
            assert_string_equal(x->message->full_name, y->message->full_name);
        if (x->kind == NEO_KIND_ENUM)
            assert_same_enum(x->enumeration, y->enumeration);
    }
}

TEST(tables_made_at_run_time_equal_the_generated_ones)
{
    const struct neo_file_info *files[FILES_MAX];
    struct neo_descriptors *pool = pool_of_generated();
    size_t n = collect(&neo_test_v1_all_file, files, 0);
    size_t compared = 0;

    n = collect(&neo_test_v1_old_file, files, n);
    n = collect(&neo_test_v1_secret_file, files, n);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; files[i]->messages[j] != NULL; j++) {
            const struct neo_message_info *made =
                neo_descriptors_message(pool, neo_text(files[i]->messages[j]->full_name));
            assert_non_null(made);
            assert_same_message(files[i]->messages[j], made);
            compared++;
        }
    }
    assert_true(compared > 60);
    neo_descriptors_free(pool);
}

TEST(the_hand_written_tables_of_descriptors_agree_with_the_generated_ones)
{
    static const struct {
        const struct neo_message_info *ours;
        const struct neo_message_info *generated;
    } pairs[] = {
        {&neo_descriptor_file_info, &google_protobuf_FileDescriptorProto_info},
        {&neo_descriptor_message_info, &google_protobuf_DescriptorProto_info},
        {&neo_descriptor_field_info, &google_protobuf_FieldDescriptorProto_info},
        {&neo_descriptor_enum_info, &google_protobuf_EnumDescriptorProto_info},
        {&neo_descriptor_service_info, &google_protobuf_ServiceDescriptorProto_info},
        {&neo_descriptor_method_info, &google_protobuf_MethodDescriptorProto_info},
    };

    for (size_t p = 0; p < NEO_COUNT(pairs); p++) {
        const struct neo_message_info *ours = pairs[p].ours;

        assert_string_equal(ours->full_name, pairs[p].generated->full_name);
        for (uint32_t i = 0, j = 0; i < ours->n_fields; i++) {
            const struct neo_field_info *other = pairs[p].generated->fields;

            assert_true(i < ours->dense ? ours->fields[i].number == i + 1 : true);
            if (strcmp(ours->fields[i].name, "edition") == 0)
                continue; /* younger than the protoc that made the others */
            while (other[j].number < ours->fields[i].number)
                j++;
            assert_int_equal(other[j].number, ours->fields[i].number);
            assert_int_equal(other[j].kind, ours->fields[i].kind);
            assert_string_equal(other[j].name, ours->fields[i].name);
            assert_int_equal(other[j].flags & NEO_FIELD_REPEATED,
                             ours->fields[i].flags & NEO_FIELD_REPEATED);
        }
    }
}

TEST(messages_of_both_tables_are_the_same_on_the_wire_and_in_json)
{
    static const char json[] =
        "{\"strings\":{\"a\":\"b\"},\"messages\":{\"1\":{\"fInt32\":5,\"fString\":\"x\"}},"
        "\"nested\":{\"n\":{\"bools\":{\"true\":\"AA==\"}}}}";
    struct neo_descriptors *pool = pool_of_generated();
    const struct neo_message_info *made =
        neo_descriptors_message(pool, NEO_LIT("neo.test.v1.Maps"));
    const struct neo_message_info *const infos[] = {&neo_test_v1_Maps_info, made};
    struct neo_buffer wires[2] = {{0}, {0}};
    struct neo_buffer texts[2] = {{0}, {0}};

    for (size_t i = 0; i < 2; i++) {
        void *parsed = neo_arena_calloc(&arena, 1, infos[i]->size);
        void *decoded = neo_arena_calloc(&arena, 1, infos[i]->size);
        assert_int_equal(neo_proto_from_json(infos[i], neo_text(json), 0, parsed, &arena, &err),
                         NEO_OK);
        assert_int_equal(neo_proto_encode(infos[i], parsed, &wires[i], &err), NEO_OK);
        assert_int_equal(
            neo_proto_decode(infos[i], neo_buffer_bytes(&wires[i]), decoded, &arena, &err), NEO_OK);
        assert_int_equal(neo_proto_to_json(infos[i], decoded, 0, &texts[i], &err), NEO_OK);
        assert_true(neo_bytes_is(neo_buffer_bytes(&texts[i]), json));
    }
    assert_true(neo_bytes_equal(neo_buffer_bytes(&wires[0]), neo_buffer_bytes(&wires[1])));
    for (size_t i = 0; i < 2; i++) {
        neo_buffer_fini(&wires[i]);
        neo_buffer_fini(&texts[i]);
    }
    neo_descriptors_free(pool);
}

TEST(services_are_found_with_their_methods)
{
    struct neo_descriptors *pool = pool_of_generated();
    const struct neo_service_info *made =
        neo_descriptors_service(pool, NEO_LIT("neo.test.v1.Everything"));
    const struct neo_service_info *generated = &neo_test_v1_Everything_info;

    assert_non_null(made);
    assert_string_equal(made->full_name, generated->full_name);
    assert_int_equal(made->n_methods, generated->n_methods);
    assert_string_equal(made->file->name, generated->file->name);
    for (uint32_t i = 0; i < made->n_methods; i++) {
        assert_string_equal(made->methods[i].path, generated->methods[i].path);
        assert_string_equal(made->methods[i].service, generated->methods[i].service);
        assert_string_equal(made->methods[i].name, generated->methods[i].name);
        assert_int_equal(made->methods[i].kind, generated->methods[i].kind);
        assert_int_equal(made->methods[i].idempotent, generated->methods[i].idempotent);
        assert_int_equal(made->methods[i].fresh_attestation,
                         generated->methods[i].fresh_attestation);
        assert_string_equal(made->methods[i].request->full_name,
                            generated->methods[i].request->full_name);
        assert_string_equal(made->methods[i].response->full_name,
                            generated->methods[i].response->full_name);
    }
    assert_null(neo_descriptors_service(pool, NEO_LIT("neo.test.v1.Nobody")));
    assert_null(neo_descriptors_service(pool, NEO_LIT("neo.test.v1.Tree")));
    assert_null(neo_descriptors_message(pool, NEO_LIT("neo.test.v1.Color"))); /* an enum */
    assert_null(neo_descriptors_message(pool, NEO_LIT("")));
    neo_descriptors_free(pool);
}

TEST(a_set_gives_the_same_pool)
{
    struct neo_bytes wires[] = {google_protobuf_descriptor_file.descriptor};
    struct neo_descriptor_set files = {.file = {wires, 1}};
    struct neo_descriptors *pool = NULL;
    struct neo_buffer set = {0};

    assert_int_equal(neo_proto_encode(&neo_descriptor_set_info, &files, &set, &err), NEO_OK);
    assert_int_equal(neo_descriptors_from_set(neo_buffer_bytes(&set), &pool, &err), NEO_OK);
    neo_buffer_fini(&set); /* nothing of it is borrowed */
    assert_same_message(
        &google_protobuf_FileDescriptorProto_info,
        neo_descriptors_message(pool, NEO_LIT("google.protobuf.FileDescriptorProto")));
    neo_descriptors_free(pool);
    neo_descriptors_free(NULL);
}

/* --- descriptors made by hand ------------------------------------------------------------------
 */

#define F  google_protobuf_FieldDescriptorProto
#define M  google_protobuf_DescriptorProto
#define FD google_protobuf_FileDescriptorProto

static struct F *field(const char *name, int32_t number, int32_t type)
{
    struct F *f = neo_arena_calloc(&arena, 1, sizeof(*f));

    *f = (struct F){.has_name = true,
                    .name = neo_text(name),
                    .has_number = true,
                    .number = number,
                    .has_label = true,
                    .label = NEO_LABEL_OPTIONAL,
                    .has_type = true,
                    .type = type};
    return f;
}

static struct F *field_of(const char *name, int32_t number, int32_t type, const char *type_name)
{
    struct F *f = field(name, number, type);

    f->has_type_name = true;
    f->type_name = neo_text(type_name);
    return f;
}

/* A file "t.proto" of package "t" with one message M. */
static struct FD file_with(struct M *message, struct F **fields, size_t n)
{
    struct M **messages = neo_arena_calloc(&arena, 1, sizeof(*messages));

    messages[0] = message;
    message->has_name = true;
    message->name = NEO_LIT("M");
    message->field.at = fields;
    message->field.len = n;
    return (struct FD){.has_name = true,
                       .name = NEO_LIT("t.proto"),
                       .has_package = true,
                       .package = NEO_LIT("t"),
                       .has_syntax = true,
                       .syntax = NEO_LIT("proto3"),
                       .message_type = {messages, 1}};
}

static enum neo_code build(const struct FD *file, struct neo_descriptors **ret)
{
    struct neo_buffer wire = {0};

    assert_int_equal(google_protobuf_FileDescriptorProto_encode(file, &wire, &err), NEO_OK);
    struct neo_bytes bytes = neo_buffer_bytes(&wire);
    enum neo_code code = neo_descriptors_new(&bytes, 1, ret, &err);
    neo_buffer_fini(&wire);
    return code;
}

static void assert_refused(struct M *message, struct F **fields, size_t n, const char *text)
{
    struct neo_descriptors *pool = NULL;
    struct FD file = file_with(message, fields, n);

    assert_int_equal(build(&file, &pool), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, text);
    assert_null(pool);
}

TEST(fields_that_cannot_be_are_refused)
{
    struct M message = {0};
    struct F *twins[] = {field("a", 1, 5), field("b", 1, 5)};
    struct F *zero[] = {field("a", 0, 5)};
    struct F *large[] = {field("a", 1 << 29, 5)};
    struct F *kind[] = {field("a", 1, 19)};
    struct F *lost[] = {field_of("a", 1, NEO_KIND_MESSAGE, ".t.Lost")};
    struct F *mixed[] = {field_of("a", 1, NEO_KIND_ENUM, ".t.M")};
    struct F *oneof[] = {field("a", 1, 5)};

    assert_refused(&message, twins, 2, "t.proto: t.M has two fields number 1");
    assert_refused(&message, zero, 1, "t.proto: t.M.a: its number is out of range");
    assert_refused(&message, large, 1, "t.proto: t.M.a: its number is out of range");
    assert_refused(&message, kind, 1, "t.proto: t.M.a: its type is not supported");
    assert_refused(&message, lost, 1, "t.proto: t.M.a: its type is not among the files given");
    assert_refused(&message, mixed, 1, "t.proto: t.M.a: its type is not among the files given");
    oneof[0]->has_oneof_index = true;
    oneof[0]->oneof_index = 0;
    assert_refused(&message, oneof, 1, "t.proto: t.M.a: its oneof is missing");
    oneof[0]->oneof_index = -1;
    assert_refused(&message, oneof, 1, "t.proto: t.M.a: its oneof is missing");
}

TEST(map_entries_that_are_none_are_refused)
{
    struct google_protobuf_MessageOptions options = {.has_map_entry = true, .map_entry = true};
    struct M message = {0};
    struct M entry = {.has_name = true, .name = NEO_LIT("E"), .options = &options};
    struct M *nested[] = {&entry};
    struct F *uses[] = {field_of("map", 1, NEO_KIND_MESSAGE, ".t.M.E")};
    struct F *good[] = {field("key", 1, NEO_KIND_STRING), field("value", 2, NEO_KIND_INT32)};
    struct F *one[] = {field("key", 1, NEO_KIND_STRING)};
    struct F *real[] = {field("key", 1, NEO_KIND_DOUBLE), field("value", 2, NEO_KIND_INT32)};
    struct F *other[] = {field("key", 1, NEO_KIND_STRING), field("value", 3, NEO_KIND_INT32)};
    struct F **const entries[] = {one, real, other};
    struct neo_descriptors *pool = NULL;

    message.nested_type.at = nested;
    message.nested_type.len = 1;
    entry.field.at = good;
    entry.field.len = 2;
    assert_refused(&message, uses, 1, "t.proto: t.M.map: its map entry is malformed"); /* once */

    uses[0]->label = NEO_LABEL_REPEATED;
    for (size_t i = 0; i < NEO_COUNT(entries); i++) {
        entry.field.at = entries[i];
        entry.field.len = i == 0 ? 1 : 2;
        assert_refused(&message, uses, 1, "t.proto: t.M.map: its map entry is malformed");
    }
    entry.field.at = good;
    entry.field.len = 2;
    struct FD file = file_with(&message, uses, 1);
    assert_int_equal(build(&file, &pool), NEO_OK);
    assert_int_equal(neo_descriptors_message(pool, NEO_LIT("t.M"))->fields[0].flags,
                     NEO_FIELD_REPEATED | NEO_FIELD_MAP);
    neo_descriptors_free(pool);
}

TEST(messages_too_large_for_their_offsets_are_refused)
{
    enum { N = 5000 };
    struct F **fields = neo_arena_calloc(&arena, N, sizeof(*fields));
    struct M message = {0};

    for (int i = 0; i < N; i++)
        fields[i] = field(neo_arena_printf(&arena, "f%d", i), i + 1, NEO_KIND_STRING);
    assert_refused(&message, fields, N, "t.proto: t.M.f4095: the message has too many fields");
}

TEST(groups_are_messages_between_tags)
{
    struct M message = {0};
    struct F *fields[] = {field_of("g", 1, NEO_KIND_GROUP, ".t.M"), field("a", 2, 5)};
    struct FD file = file_with(&message, fields, 2);
    struct neo_descriptors *pool = NULL;

    assert_int_equal(build(&file, &pool), NEO_OK);
    const struct neo_message_info *info = neo_descriptors_message(pool, NEO_LIT("t.M"));
    assert_int_equal(info->n_fields, 2);
    assert_int_equal(info->fields[0].kind, NEO_KIND_MESSAGE);
    assert_int_equal(info->fields[0].flags, NEO_FIELD_GROUP);
    neo_descriptors_free(pool);
}

TEST(a_well_known_name_alone_makes_no_well_known_type)
{
    struct M message = {0};
    struct F *fields[] = {field("seconds", 1, NEO_KIND_STRING), field("nanos", 2, NEO_KIND_INT32)};
    struct FD file = file_with(&message, fields, 2);
    struct neo_descriptors *pool = NULL;
    struct neo_buffer text = {0};

    file.package = NEO_LIT("google.protobuf");
    message.name = NEO_LIT("Timestamp");
    assert_int_equal(build(&file, &pool), NEO_OK);
    const struct neo_message_info *info =
        neo_descriptors_message(pool, NEO_LIT("google.protobuf.Timestamp"));
    void *m = neo_arena_calloc(&arena, 1, info->size);
    assert_int_equal(neo_proto_from_json(info, NEO_LIT("{\"seconds\":\"x\"}"), 0, m, &arena, &err),
                     NEO_OK);
    assert_int_equal(neo_proto_to_json(info, m, 0, &text, &err), NEO_OK);
    assert_true(neo_bytes_is(neo_buffer_bytes(&text), "{\"seconds\":\"x\"}"));
    neo_buffer_fini(&text);
    neo_descriptors_free(pool);
}

TEST(json_names_are_made_where_descriptors_do_not_say)
{
    struct M message = {0};
    struct F *fields[] = {field("foo_bar_1", 1, 5), field("_x__y", 2, 5)};
    struct FD file = file_with(&message, fields, 2);
    struct neo_descriptors *pool = NULL;

    assert_int_equal(build(&file, &pool), NEO_OK);
    const struct neo_message_info *info = neo_descriptors_message(pool, NEO_LIT("t.M"));
    assert_string_equal(info->fields[0].json_name, "fooBar1");
    assert_string_equal(info->fields[1].json_name, "XY");
    neo_descriptors_free(pool);
}

TEST(the_same_file_twice_counts_once_and_the_same_name_twice_is_refused)
{
    struct M message = {0};
    struct F *fields[] = {field("a", 1, 5)};
    struct FD file = file_with(&message, fields, 1);
    struct neo_buffer wire = {0};
    struct neo_descriptors *pool = NULL;

    assert_int_equal(google_protobuf_FileDescriptorProto_encode(&file, &wire, &err), NEO_OK);
    struct neo_bytes copies[] = {neo_arena_copy(&arena, neo_buffer_bytes(&wire)),
                                 neo_arena_copy(&arena, neo_buffer_bytes(&wire))};
    assert_int_equal(neo_descriptors_new(copies, 2, &pool, &err), NEO_OK);
    neo_descriptors_free(pool);

    pool = NULL;
    file.name = NEO_LIT("u.proto");
    neo_buffer_clear(&wire);
    assert_int_equal(google_protobuf_FileDescriptorProto_encode(&file, &wire, &err), NEO_OK);
    copies[1] = neo_buffer_bytes(&wire);
    assert_int_equal(neo_descriptors_new(copies, 2, &pool, &err), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "u.proto: t.M is declared twice");
    assert_null(pool);
    neo_buffer_fini(&wire);
}

/* Debian's protoc knows no editions, so what newer ones add is appended by hand. */
static enum neo_code build_edition(struct FD *file, const char *more, struct neo_descriptors **ret)
{
    struct neo_buffer bytes = {0};
    struct neo_bytes copy;

    file->syntax = NEO_LIT("editions");
    assert_int_equal(google_protobuf_FileDescriptorProto_encode(file, &bytes, &err), NEO_OK);
    (void)neo_buffer_append(&bytes, neo_text(more));
    copy = neo_buffer_bytes(&bytes);
    enum neo_code code = neo_descriptors_new(&copy, 1, ret, &err);
    neo_buffer_fini(&bytes);
    return code;
}

#define EDITION_2023 "\x70\xe8\x07"

TEST(editions_that_nobody_knows_are_refused)
{
    struct M message = {0};
    struct FD file = file_with(&message, NULL, 0);
    struct neo_descriptors *pool = NULL;

    assert_int_equal(build_edition(&file, "", &pool), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message,
                        "t.proto: edition number 0 is not supported; there are 2023 and 2024");
    assert_int_equal(build_edition(&file, "\x70\x8f\x4e", &pool), NEO_INVALID_ARGUMENT);
    file.syntax = NEO_LIT("proto9");
    assert_int_equal(build(&file, &pool), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "t.proto: syntax proto9 is not supported; there are proto2, "
                                     "proto3 and editions");
}

TEST(features_say_what_syntax_said)
{
    struct M message = {0};
    struct F *fields[] = {field("plain", 1, NEO_KIND_INT32), field("list", 2, NEO_KIND_INT32),
                          field_of("inner", 3, NEO_KIND_MESSAGE, ".t.M")};
    struct neo_descriptors *pool = NULL;
    const struct neo_field_info *f;

    fields[1]->label = NEO_LABEL_REPEATED;
    struct FD file = file_with(&message, fields, 3);
    assert_int_equal(build_edition(&file, EDITION_2023, &pool), NEO_OK);
    f = neo_descriptors_message(pool, NEO_LIT("t.M"))->fields;
    assert_int_equal(f[0].flags, NEO_FIELD_PRESENCE);
    assert_int_equal(f[1].flags, NEO_FIELD_REPEATED | NEO_FIELD_PACKED);
    assert_int_equal(f[2].flags, 0);
    neo_descriptors_free(pool);

    /* options { features { IMPLICIT, EXPANDED, DELIMITED } } */
    assert_int_equal(
        build_edition(&file, EDITION_2023 "\x42\x09\x92\x03\x06\x08\x02\x18\x02\x28\x02", &pool),
        NEO_OK);
    f = neo_descriptors_message(pool, NEO_LIT("t.M"))->fields;
    assert_int_equal(f[0].flags, 0);
    assert_int_equal(f[1].flags, NEO_FIELD_REPEATED);
    assert_int_equal(f[2].flags, NEO_FIELD_GROUP);
    neo_descriptors_free(pool);
}

/* --- robustness --------------------------------------------------------------------------------
 */

TEST(every_truncation_and_many_damages_give_a_code)
{
    struct neo_bytes whole = neo_test_v1_bench_file.descriptor;
    uint8_t *copy = neo_alloc(whole.len);
    struct neo_descriptors *pool;
    uint64_t seed = 9;

    for (size_t len = 0; len < whole.len; len++) {
        struct neo_bytes part = {whole.at, len};
        pool = NULL;
        if (neo_descriptors_new(&part, 1, &pool, &err) == NEO_OK)
            neo_descriptors_free(pool);
    }
    for (int i = 0; i < 20000; i++) {
        struct neo_bytes damaged = {copy, whole.len};
        memcpy(copy, whole.at, whole.len);
        for (int n = 0; n < 3; n++)
            copy[unit_random(&seed, whole.len)] = (uint8_t)unit_random(&seed, 256);
        pool = NULL;
        if (neo_descriptors_new(&damaged, 1, &pool, &err) == NEO_OK)
            neo_descriptors_free(pool);
    }
    neo_free(copy);
}

TEST(failing_allocations_are_survived)
{
    const struct neo_file_info *files[FILES_MAX];
    struct neo_bytes wires[FILES_MAX];
    size_t n = collect(&neo_test_v1_all_file, files, 0);
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;

    for (size_t i = 0; i < n; i++)
        wires[i] = files[i]->descriptor;
    for (unsigned long at = 1; code != NEO_OK; at++) {
        struct neo_descriptors *pool = NULL;

        assert_true(at < 1000);
        neo_memory_fail_at(at);
        code = neo_descriptors_new(wires, n, &pool, &err);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || (code == NEO_RESOURCE_EXHAUSTED && pool == NULL));
        neo_descriptors_free(pool);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(tables_made_at_run_time_equal_the_generated_ones),
        T(the_hand_written_tables_of_descriptors_agree_with_the_generated_ones),
        T(messages_of_both_tables_are_the_same_on_the_wire_and_in_json),
        T(services_are_found_with_their_methods),
        T(a_set_gives_the_same_pool),
        T(fields_that_cannot_be_are_refused),
        T(map_entries_that_are_none_are_refused),
        T(messages_too_large_for_their_offsets_are_refused),
        T(groups_are_messages_between_tags),
        T(a_well_known_name_alone_makes_no_well_known_type),
        T(json_names_are_made_where_descriptors_do_not_say),
        T(the_same_file_twice_counts_once_and_the_same_name_twice_is_refused),
        T(editions_that_nobody_knows_are_refused),
        T(features_say_what_syntax_said),
        T(every_truncation_and_many_damages_give_a_code),
        T(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests_name("codec/descriptors", tests, NULL, NULL);
}
