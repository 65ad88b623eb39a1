/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only attested code may see does not go to others, wherever in a message it hides.
 */
#include "unit/unit.h"

#include "google/protobuf/descriptor.neo.h"
#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/secret.neo.h"

#include <neo/descriptor.h>
#include <neo/memory.h>

#include <stdio.h>

static struct neo_arena arena;
static struct neo_error err;
static struct neo_buffer out;
static struct neo_test_v1_Vault secret;
static struct neo_test_v1_Vault *secrets[] = {&secret};
static struct neo_test_v1_Vault harmless;

static int make_arena(void **state)
{
    (void)state;
    neo_arena_init(&arena, 64 << 20);
    secret = (struct neo_test_v1_Vault){.name = NEO_LIT("s"), .key = NEO_LIT("hunter2")};
    harmless = (struct neo_test_v1_Vault){.name = NEO_LIT("h")};
    memset(&err, 0, sizeof(err));
    neo_buffer_clear(&out);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    neo_arena_fini(&arena);
    neo_buffer_fini(&out);
    return 0;
}

static enum neo_code check(const struct neo_test_v1_Vault *m)
{
    return neo_proto_check_open(&neo_test_v1_Vault_info, m, &err);
}

/* Refused with the field's name, and printed without the value. */
static void assert_secret(const struct neo_test_v1_Vault *m, const char *what)
{
    char expected[200];

    (void)snprintf(expected, sizeof(expected), "neo.test.v1.Vault.%s, and the peer is not attested",
                   what);
    assert_int_equal(check(m), NEO_FAILED_PRECONDITION);
    assert_string_equal(err.message, expected);
    assert_null(strstr(err.message, "hunter2"));
}

static void assert_redacted(const struct neo_test_v1_Vault *m)
{
    neo_buffer_clear(&out);
    if (neo_proto_to_json(&neo_test_v1_Vault_info, m, NEO_JSON_REDACT, &out, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_non_null(memmem(out.at, out.len, "[redacted]", 10));
    assert_null(memmem(out.at, out.len, "hunter2", 7));
    assert_null(memmem(out.at, out.len, "4711", 4));
}

static struct google_protobuf_Any pack(const struct neo_message_info *info, const void *message)
{
    struct neo_buffer wire = {0};
    struct google_protobuf_Any any = {
        .type_url = neo_text(neo_arena_printf(&arena, "type.googleapis.com/%s", info->full_name))};

    assert_int_equal(neo_proto_encode(info, message, &wire, &err), NEO_OK);
    any.value = neo_arena_copy(&arena, neo_buffer_bytes(&wire));
    neo_buffer_fini(&wire);
    return any;
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(a_field_of_the_message_itself_is_refused_and_redacted)
{
    struct neo_bytes text = NEO_LIT("hunter2");
    struct neo_test_v1_Vault_KeysEntry keys[] = {{NEO_LIT("hunter2"), NEO_LIT("hunter2")}};
    int32_t codes[] = {4711};
    struct neo_test_v1_Plain plain = {.text = text};
    struct neo_test_v1_Vault string = {.key = text};
    struct neo_test_v1_Vault member = {.pick_case = neo_test_v1_Vault_hot_FIELD, .hot = text};
    struct neo_test_v1_Vault map = {.keys = {keys, 1}};
    struct neo_test_v1_Vault optional = {.has_pin = true, .pin = 4711};
    struct neo_test_v1_Vault zero = {.has_pin = true};
    struct neo_test_v1_Vault list = {.codes = {codes, 1}};
    struct neo_test_v1_Vault message = {.closed = &plain};

    assert_secret(&string, "key is TEE_ONLY");
    assert_secret(&member, "hot is TEE_ONLY");
    assert_secret(&map, "keys is TEE_ONLY");
    assert_secret(&optional, "pin is TEE_ONLY");
    assert_secret(&zero, "pin is TEE_ONLY");
    assert_secret(&list, "codes is TEE_ONLY");
    assert_secret(&message, "closed is TEE_ONLY");
    assert_redacted(&string);
    assert_redacted(&map);
    assert_redacted(&optional);
    assert_redacted(&list);
    assert_redacted(&message);
}

TEST(a_field_of_a_message_below_is_refused_and_redacted)
{
    struct neo_test_v1_Vault *list[] = {&harmless, &secret, &harmless};
    struct neo_test_v1_Vault_ByNameEntry entries[] = {{NEO_LIT("a"), &harmless},
                                                      {NEO_LIT("b"), &secret}};
    struct neo_test_v1_Vault nested = {.inner = &(struct neo_test_v1_Vault){.inner = &secret}};
    struct neo_test_v1_Vault repeated = {.list = {list, 3}};
    struct neo_test_v1_Vault mapped = {.by_name = {entries, 2}};
    struct neo_test_v1_Vault chosen = {.pick_case = neo_test_v1_Vault_chosen_FIELD,
                                       .chosen = &secret};

    assert_secret(&nested, "inner.inner.key is TEE_ONLY");
    assert_secret(&repeated, "list.key is TEE_ONLY");
    assert_secret(&mapped, "by_name.value.key is TEE_ONLY");
    assert_secret(&chosen, "chosen.key is TEE_ONLY");
    assert_redacted(&nested);
    assert_redacted(&repeated);
    assert_redacted(&mapped);
    assert_redacted(&chosen);
}

TEST(an_any_is_looked_into)
{
    struct google_protobuf_Any any = pack(&neo_test_v1_Vault_info, &secret);
    struct google_protobuf_Any wrapped = pack(&google_protobuf_Any_info, &any);
    struct google_protobuf_Any *list[] = {&wrapped};
    struct neo_test_v1_Vault direct = {.any = &any};
    struct neo_test_v1_Vault twice = {.anys = {list, 1}};

    assert_secret(&direct, "any.key is TEE_ONLY");
    assert_secret(&twice, "anys.key is TEE_ONLY");
    assert_int_equal(neo_proto_check_open(&google_protobuf_Any_info, &any, &err),
                     NEO_FAILED_PRECONDITION); /* its own file declares no Vault */
    assert_redacted(&direct);
    assert_redacted(&twice);
}

TEST(what_cannot_be_looked_into_is_refused)
{
    struct google_protobuf_Any foreign =
        pack(&neo_test_v1_Secrets_info, &(struct neo_test_v1_Secrets){.key = NEO_LIT("k")});
    struct google_protobuf_Any broken = {.type_url = NEO_LIT("x/neo.test.v1.Vault"),
                                         .value = NEO_LIT("\x12\x20")};
    struct neo_test_v1_Vault unknown_type = {.any = &foreign};
    struct neo_test_v1_Vault unreadable = {.any = &broken};
    struct neo_test_v1_Vault unknown_field = {
        .inner = &(struct neo_test_v1_Vault){.neo_unknown = NEO_LIT("\xa2\x06\x01x")}};

    assert_secret(&unknown_type, "any.value is of a type that no file imported here declares");
    assert_secret(&unreadable, "any.value cannot be read");
    assert_secret(&unknown_field, "inner.neo_unknown may be TEE_ONLY");
}

TEST(nesting_beyond_the_limit_is_refused)
{
    struct neo_test_v1_Vault *m = &harmless;

    for (int i = 0; i < NEO_PROTO_DEPTH_MAX + 1; i++) {
        struct neo_test_v1_Vault *outer = neo_arena_calloc(&arena, 1, sizeof(*outer));
        outer->inner = m;
        m = outer;
    }
    assert_int_equal(check(m), NEO_INVALID_ARGUMENT);
    assert_int_equal(check(m->inner), NEO_OK);
}

/* --- what may go ------------------------------------------------------------------------------ */

TEST(a_message_in_which_nothing_secret_is_set_may_go)
{
    struct neo_test_v1_Plain plain = {.text = NEO_LIT("t"),
                                      .neo_unknown = NEO_LIT("\xa2\x06\x01x")};
    struct google_protobuf_Any any = pack(&neo_test_v1_Vault_info, &harmless);
    struct google_protobuf_Any open = pack(&neo_test_v1_Plain_info, &plain);
    struct google_protobuf_Any empty = {0};
    struct google_protobuf_Any *anys[] = {&any, &open, &empty};
    struct neo_test_v1_Vault_ByNameEntry entries[] = {{NEO_LIT("a"), &harmless},
                                                      {NEO_LIT("b"), NULL}};
    struct neo_test_v1_Vault m = {
        .name = NEO_LIT("n"),
        .inner = &harmless,
        .by_name = {entries, 2},
        .pick_case = neo_test_v1_Vault_plain_FIELD,
        .plain = NEO_LIT("p"),
        .hot = NEO_LIT("left over, and not the case"),
        .any = &any,
        .open = &plain,
        .anys = {anys, 3},
    };
    struct neo_test_v1_Ring ring = {.next = &(struct neo_test_v1_Ring2){.vault = &m}};

    assert_int_equal(check(&m), NEO_OK);
    assert_int_equal(neo_proto_check_open(&neo_test_v1_Ring_info, &ring, &err), NEO_OK);
    m.list.at = secrets;
    m.list.len = 1;
    assert_int_equal(neo_proto_check_open(&neo_test_v1_Ring_info, &ring, &err),
                     NEO_FAILED_PRECONDITION);
    assert_string_equal(err.message, "neo.test.v1.Ring.next.vault.list.key is TEE_ONLY, and the "
                                     "peer is not attested");
}

TEST(tables_without_classes_cost_one_comparison)
{
    struct neo_test_v1_Plain plain;

    /* A pointer that must not be followed. */
    memset(&plain, 0xff, sizeof(plain));
    assert_false(neo_test_v1_Plain_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_int_equal(neo_proto_check_open(&neo_test_v1_Plain_info, &plain, &err), NEO_OK);
}

TEST(tables_know_what_is_below_them)
{
    assert_true(neo_test_v1_Vault_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_true(neo_test_v1_Ring_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_true(neo_test_v1_Ring2_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_true(neo_test_v1_Vault_ByNameEntry_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_true(google_protobuf_Any_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_true(neo_test_v1_WellKnown_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_false(neo_test_v1_Vault_KeysEntry_info.traits & NEO_MESSAGE_SENSITIVE);
    assert_false(neo_test_v1_Tree_info.traits & NEO_MESSAGE_SENSITIVE);
}

static enum neo_code load(const struct google_protobuf_FileDescriptorProto *file)
{
    struct neo_descriptors *pool = NULL;

    neo_buffer_clear(&out);
    assert_int_equal(google_protobuf_FileDescriptorProto_encode(file, &out, &err), NEO_OK);
    struct neo_bytes wire = neo_buffer_bytes(&out);
    enum neo_code code = neo_descriptors_new(&wire, 1, &pool, &err);
    neo_descriptors_free(pool);
    return code;
}

/* Its value would be among what is unknown to t.M, whose table has no classes. */
TEST(an_extension_that_is_tee_only_does_not_load)
{
    struct google_protobuf_FieldOptions options = {0};
    struct google_protobuf_FieldDescriptorProto x = {
        .has_name = true,
        .name = NEO_LIT("x"),
        .has_extendee = true,
        .extendee = NEO_LIT(".t.M"),
        .has_number = true,
        .number = 100,
        .has_label = true,
        .label = NEO_LABEL_OPTIONAL,
        .has_type = true,
        .type = NEO_KIND_STRING,
        .options = &options,
    };
    struct google_protobuf_FieldDescriptorProto *fields[] = {&x};
    struct google_protobuf_DescriptorProto inner = {.has_name = true, .name = NEO_LIT("M")};
    struct google_protobuf_DescriptorProto *messages[] = {&inner};
    struct google_protobuf_FileDescriptorProto file = {
        .has_name = true,
        .name = NEO_LIT("t.proto"),
        .has_package = true,
        .package = NEO_LIT("t"),
        .message_type = {messages, 1},
        .extension = {fields, 1},
    };

    assert_int_equal(load(&file), NEO_OK);
    options.neo_unknown = NEO_LIT("\x80\xe7\x18\x03"); /* neo.v1.sensitivity */
    assert_int_equal(load(&file), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "t.proto: extension x is TEE_ONLY, and the table of what it "
                                     "extends does not know; declare it there as a field");
    file.extension.len = 0; /* nor inside a message */
    inner.extension.at = fields;
    inner.extension.len = 1;
    assert_int_equal(load(&file), NEO_INVALID_ARGUMENT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_arena, free_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_field_of_the_message_itself_is_refused_and_redacted),
        T(a_field_of_a_message_below_is_refused_and_redacted),
        T(an_any_is_looked_into),
        T(what_cannot_be_looked_into_is_refused),
        T(nesting_beyond_the_limit_is_refused),
        T(a_message_in_which_nothing_secret_is_set_may_go),
        T(tables_without_classes_cost_one_comparison),
        T(tables_know_what_is_below_them),
        T(an_extension_that_is_tee_only_does_not_load),
    };
    return cmocka_run_group_tests_name("codec/proto_sensitive", tests, NULL, NULL);
}
