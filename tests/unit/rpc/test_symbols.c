/* SPDX-License-Identifier: Apache-2.0 */
/* The index on files as they are generated, and on some that are put together here. */
#include "../unit.h"

#include "rpc/symbols.h"

#include <neo/memory.h>

#include <google/protobuf/descriptor.neo.h>
#include <neo/test/v1/all.neo.h>
#include <neo/test/v1/old.neo.h>
#include <neo/v1/options.neo.h>

#include <stdio.h>

static struct symbols *of(const struct neo_file_info *const *files, size_t n)
{
    struct symbols *s = NULL;
    struct neo_error err;

    if (symbols_new(files, n, &s, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return s;
}

static struct symbols *generated(void)
{
    static const struct neo_file_info *const files[] = {&neo_test_v1_all_file};

    return of(files, 1);
}

static const struct neo_file_info *declaring(const struct symbols *s, const char *symbol)
{
    const struct symbols_file *file = symbols_file_declaring(s, neo_text(symbol));

    return file == NULL ? NULL : file->info;
}

/* --- files put together here -------------------------------------------------------------- */

enum { IMPORTS_MAX = 4 };

struct made {
    struct neo_file_info info;
    const struct neo_file_info *imports[IMPORTS_MAX + 1];
    struct neo_buffer wire;
};

static void make(struct made *f, const char *name,
                 const struct google_protobuf_FileDescriptorProto *descriptor)
{
    memset(f, 0, sizeof(*f));
    assert_int_equal(google_protobuf_FileDescriptorProto_encode(descriptor, &f->wire, NULL),
                     NEO_OK);
    f->info = (struct neo_file_info){
        .name = name, .descriptor = neo_buffer_bytes(&f->wire), .imports = f->imports};
}

static void unmake(struct made *files, size_t n)
{
    for (size_t i = 0; i < n; i++)
        neo_buffer_fini(&files[i].wire);
}

/* A file of package `package` with one message. */
static void make_simple(struct made *f, const char *name, const char *package, const char *message)
{
    struct google_protobuf_DescriptorProto m = {.has_name = true, .name = neo_text(message)};
    struct google_protobuf_DescriptorProto *messages[] = {&m};

    make(f, name,
         &(struct google_protobuf_FileDescriptorProto){
             .has_package = true, .package = neo_text(package), .message_type = {messages, 1}});
}

/* A file that extends `type` with some numbers. */
static void make_extending(struct made *f, const char *name, const char *type,
                           const int32_t *numbers, size_t n)
{
    struct google_protobuf_FieldDescriptorProto fields[8];
    struct google_protobuf_FieldDescriptorProto *at[8];

    assert_true(n <= NEO_COUNT(fields));
    for (size_t i = 0; i < n; i++) {
        fields[i] = (struct google_protobuf_FieldDescriptorProto){.has_name = true,
                                                                  .name = NEO_LIT("more"),
                                                                  .has_extendee = true,
                                                                  .extendee = neo_text(type),
                                                                  .has_number = true,
                                                                  .number = numbers[i]};
        at[i] = &fields[i];
    }
    make(f, name, &(struct google_protobuf_FileDescriptorProto){.extension = {at, n}});
}

/* --- what is not there --------------------------------------------------------------------- */

TEST(what_is_declared_elsewhere_or_nowhere_is_not_found)
{
    static const char *const others[] = {
        "",
        ".",
        "Scalars",
        "neo.test.v1",
        "neo.test.v1.",
        ".neo.test.v1.Scalars",
        "neo.test.v1.Scalar",
        "neo.test.v1.Scalars.f",
        "neo.test.v1.Scalars.RED",
        "neo.test.v1.scalars",
        "neo.test.v1.Scalars ",
        "other.test.v1.Scalars",
        "neo.test.v1.Everything.Missing",
        "neo.test.v1.Scalars.f_double.f_double",
        "neo.test.v1.Color.Alias.RED",
    };
    struct symbols *s = generated();

    for (size_t i = 0; i < NEO_COUNT(others); i++)
        if (declaring(s, others[i]) != NULL)
            fail_msg("'%s' was found", others[i]);
    assert_null(symbols_file_declaring(s, (struct neo_bytes){0}));
    assert_null(symbols_file_declaring(s, NEO_LIT("neo.test.v1.Scalars\0")));
    assert_null(symbols_file_named(s, NEO_LIT("neo/test/v1/al.proto")));
    assert_null(symbols_file_named(s, (struct neo_bytes){0}));
    assert_null(symbols_file_extending(s, (struct neo_bytes){0}, 1));
    symbols_free(s);
}

TEST(no_files_declare_nothing)
{
    static const struct neo_file_info *const none[] = {NULL, NULL};
    struct symbols *s = of(NULL, 0);
    struct symbols *same = of(none, 2);

    assert_null(declaring(s, "neo.test.v1.Scalars"));
    assert_null(symbols_file_named(s, NEO_LIT("neo/test/v1/all.proto")));
    assert_int_equal(symbols_extensions(s, NEO_LIT("google.protobuf.FieldOptions")).n, 0);
    assert_null(symbols_file_extending(s, NEO_LIT("google.protobuf.FieldOptions"), 50800));
    assert_int_equal(symbols_size(same).files, 0);
    symbols_free(s);
    symbols_free(same);
    symbols_free(NULL);
}

TEST(a_descriptor_that_cannot_be_decoded_is_known_by_its_name_alone)
{
    static const struct neo_file_info *const nothing[] = {NULL};
    const struct neo_file_info broken = {
        .name = "broken.proto", .descriptor = NEO_LIT("\x22\x03\x0a\x01"), .imports = nothing};
    const struct neo_file_info *files[] = {&broken, &neo_v1_options_file};
    struct symbols *s = of(files, 2);

    assert_ptr_equal(symbols_file_named(s, NEO_LIT("broken.proto"))->info, &broken);
    assert_non_null(declaring(s, "neo.v1.Sensitivity"));
    symbols_free(s);
}

/* At every one of its allocations. */
TEST(without_memory_there_is_no_index)
{
    static const struct neo_file_info *const files[] = {&neo_test_v1_all_file};
    struct symbols *s = NULL;
    struct neo_error err;

    for (unsigned long n = 1;; n++) {
        neo_memory_fail_at(n);
        enum neo_code code = symbols_new(files, 1, &s, &err);
        neo_memory_fail_at(0);
        if (code == NEO_OK) {
            assert_true(n > 10);
            break;
        }
        assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(err.message, "out of memory"));
        assert_null(s);
    }
    assert_non_null(declaring(s, "neo.test.v1.Scalars"));
    symbols_free(s);
}

/* --- what is there ------------------------------------------------------------------------- */

TEST(all_that_a_file_declares_is_found)
{
    static const char *const own[] = {
        "neo.test.v1.Scalars",     "neo.test.v1.Scalars.f_double", "neo.test.v1.Color",
        "neo.test.v1.RED",         "neo.test.v1.Color.RED",        "neo.test.v1.Alias",
        "neo.test.v1.SECOND_NAME", "neo.test.v1.Names.Inner",      "neo.test.v1.Names.Inner.Level",
        "neo.test.v1.Everything",  "neo.test.v1.Everything.Unary", "neo.test.v1.Idle",
        "neo.test.v1.Nothing",
    };
    struct symbols *s = generated();

    for (size_t i = 0; i < NEO_COUNT(own); i++)
        if (declaring(s, own[i]) != &neo_test_v1_all_file)
            fail_msg("'%s' was not found", own[i]);
    assert_ptr_equal(symbols_file_named(s, NEO_LIT("neo/test/v1/all.proto"))->info,
                     &neo_test_v1_all_file);
    symbols_free(s);
}

/* An outer message with a nested one, and in that everything that a message may hold. */
TEST(what_is_nested_is_found_by_its_full_name)
{
    static const char *const names[] = {
        "a.b.Outer.Inner",       "a.b.Outer.Inner.field",      "a.b.Outer.Inner.Kind",
        "a.b.Outer.Inner.FIRST", "a.b.Outer.Inner.Kind.FIRST", "a.b.Outer.Inner.choice",
        "a.b.Outer.Inner.more"};
    struct google_protobuf_EnumValueDescriptorProto first = {.has_name = true,
                                                             .name = NEO_LIT("FIRST")};
    struct google_protobuf_EnumValueDescriptorProto *values[] = {&first};
    struct google_protobuf_EnumDescriptorProto kind = {
        .has_name = true, .name = NEO_LIT("Kind"), .value = {values, 1}};
    struct google_protobuf_EnumDescriptorProto *kinds[] = {&kind};
    struct google_protobuf_OneofDescriptorProto choice = {.has_name = true,
                                                          .name = NEO_LIT("choice")};
    struct google_protobuf_OneofDescriptorProto *choices[] = {&choice};
    struct google_protobuf_FieldDescriptorProto field = {.has_name = true,
                                                         .name = NEO_LIT("field")};
    struct google_protobuf_FieldDescriptorProto more = {.has_name = true,
                                                        .name = NEO_LIT("more"),
                                                        .has_extendee = true,
                                                        .extendee = NEO_LIT(".a.b.Outer"),
                                                        .has_number = true,
                                                        .number = 77};
    struct google_protobuf_FieldDescriptorProto *fields[] = {&field}, *extensions[] = {&more};
    struct google_protobuf_DescriptorProto inner = {.has_name = true,
                                                    .name = NEO_LIT("Inner"),
                                                    .field = {fields, 1},
                                                    .extension = {extensions, 1},
                                                    .enum_type = {kinds, 1},
                                                    .oneof_decl = {choices, 1}};
    struct google_protobuf_DescriptorProto *inners[] = {&inner};
    struct google_protobuf_DescriptorProto outer = {
        .has_name = true, .name = NEO_LIT("Outer"), .nested_type = {inners, 1}};
    struct google_protobuf_DescriptorProto *outers[] = {&outer};
    struct made f;

    make(&f, "a.proto",
         &(struct google_protobuf_FileDescriptorProto){
             .has_package = true, .package = NEO_LIT("a.b"), .message_type = {outers, 1}});
    const struct neo_file_info *files[] = {&f.info};
    struct symbols *s = of(files, 1);
    for (size_t i = 0; i < NEO_COUNT(names); i++)
        if (declaring(s, names[i]) != &f.info)
            fail_msg("'%s' was not found", names[i]);
    assert_ptr_equal(symbols_file_extending(s, NEO_LIT("a.b.Outer"), 77)->info, &f.info);
    assert_null(symbols_file_extending(s, NEO_LIT("a.b.Outer.Inner"), 77));
    assert_int_equal(symbols_size(s).names, 1 + NEO_COUNT(names));
    symbols_free(s);
    unmake(&f, 1);
}

TEST(a_file_without_a_package_declares_bare_names)
{
    struct made f;

    make_simple(&f, "bare.proto", "", "Bare");
    const struct neo_file_info *files[] = {&f.info};
    struct symbols *s = of(files, 1);
    assert_ptr_equal(declaring(s, "Bare"), &f.info);
    assert_null(declaring(s, ".Bare"));
    symbols_free(s);
    unmake(&f, 1);
}

TEST(of_two_files_that_declare_the_same_the_first_counts)
{
    const int32_t number = 7;
    struct made f[6];

    make_simple(&f[0], "one.proto", "p", "Twice");
    make_simple(&f[1], "two.proto", "p", "Twice");
    make_simple(&f[2], "two.proto", "p", "Hidden"); /* another one of that name */
    make_extending(&f[3], "three.proto", ".p.Twice", &number, 1);
    make_extending(&f[4], "four.proto", ".p.Twice", &number, 1);
    make_simple(&f[5], "five.proto", "p",
                "Twice"); /* imported by the first, yet behind all given */
    f[0].imports[0] = &f[5].info;
    const struct neo_file_info *files[] = {&f[0].info, &f[1].info, &f[2].info, &f[4].info,
                                           &f[3].info};
    struct symbols *s = of(files, NEO_COUNT(files));
    assert_ptr_equal(declaring(s, "p.Twice"), &f[0].info);
    assert_ptr_equal(symbols_file_named(s, NEO_LIT("two.proto"))->info, &f[1].info);
    assert_ptr_equal(declaring(s, "p.Hidden"), &f[2].info);
    assert_ptr_equal(symbols_file_extending(s, NEO_LIT("p.Twice"), 7)->info, &f[4].info);
    assert_int_equal(symbols_extensions(s, NEO_LIT("p.Twice")).n, 1);
    symbols_free(s);

    const struct neo_file_info *others[] = {&f[1].info, &f[0].info};
    s = of(others, 2);
    assert_ptr_equal(declaring(s, "p.Twice"), &f[1].info);
    symbols_free(s);
    unmake(f, NEO_COUNT(f));
}

/* So many that a table of any size has collisions, and more than a file has of messages. */
TEST(none_of_many_names_hides_another)
{
    enum { MANY = 20000 };
    static struct google_protobuf_DescriptorProto messages[MANY];
    static struct google_protobuf_DescriptorProto *at[MANY];
    static char names[MANY][8];
    char name[16];
    struct made f;

    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "M%zu", i);
        messages[i] =
            (struct google_protobuf_DescriptorProto){.has_name = true, .name = neo_text(names[i])};
        at[i] = &messages[i];
    }
    make(&f, "many.proto",
         &(struct google_protobuf_FileDescriptorProto){
             .has_package = true, .package = NEO_LIT("m"), .message_type = {at, MANY}});
    const struct neo_file_info *files[] = {&f.info};
    struct symbols *s = of(files, 1);
    assert_int_equal(symbols_size(s).names, MANY);
    for (size_t i = 0; i < 2 * MANY; i++) {
        (void)snprintf(name, sizeof(name), "m.M%zu", i);
        if ((declaring(s, name) != NULL) != (i < MANY))
            fail_msg("'%s' was%s found", name, i < MANY ? " not" : "");
    }
    symbols_free(s);
    unmake(&f, 1);
}

/* --- imports ------------------------------------------------------------------------------- */

/* a imports b and c, both of which import d, which imports a again. */
TEST(a_file_brings_all_that_it_imports_each_once_and_itself_first)
{
    static const char *const order[4][4] = {
        {"a", "b", "c", "d"}, {"b", "d", "a", "c"}, {"c", "d", "a", "b"}, {"d", "a", "b", "c"}};
    static const char *const names[] = {"a", "b", "c", "d"};
    struct made f[4];

    for (size_t i = 0; i < 4; i++)
        make_simple(&f[i], names[i], names[i], "Message");
    f[0].imports[0] = &f[1].info;
    f[0].imports[1] = &f[2].info;
    f[1].imports[0] = f[2].imports[0] = &f[3].info;
    f[3].imports[0] = &f[0].info;
    f[3].imports[1] = &f[3].info; /* and itself */
    const struct neo_file_info *files[] = {&f[0].info, &f[0].info};
    struct symbols *s = of(files, 2);
    assert_int_equal(symbols_size(s).files, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct symbols_file *file = symbols_file_named(s, neo_text(names[i]));
        assert_int_equal(file->n_descriptors, 4);
        for (size_t k = 0; k < 4; k++)
            assert_ptr_equal(file->descriptors[k].at, f[order[i][k][0] - 'a'].wire.at);
    }
    symbols_free(s);
    unmake(f, 4);
}

TEST(a_file_brings_nothing_that_it_does_not_import)
{
    static const struct neo_file_info *const files[] = {&neo_test_v1_all_file,
                                                        &neo_v1_options_file};
    struct symbols *s = of(files, 2);
    const struct symbols_file *options = symbols_file_named(s, neo_text(neo_v1_options_file.name));
    size_t n = 0;

    while (neo_v1_options_file.imports[n] != NULL)
        n++;
    assert_int_equal(options->n_descriptors, 1 + n);
    assert_ptr_equal(options->descriptors[0].at, neo_v1_options_file.descriptor.at);
    symbols_free(s);
}

/* --- extensions ---------------------------------------------------------------------------- */

TEST(an_extension_is_found_by_its_name_and_by_what_it_extends)
{
    static const struct neo_file_info *const files[] = {&neo_test_v1_all_file,
                                                        &neo_v1_options_file};
    const struct neo_bytes extended = NEO_LIT("google.protobuf.FieldOptions");
    struct symbols *s = of(files, 2);

    assert_ptr_equal(declaring(s, "neo.v1.sensitivity"), &neo_v1_options_file);
    assert_ptr_equal(symbols_file_extending(s, extended, 50800)->info, &neo_v1_options_file);
    assert_null(symbols_file_extending(s, extended, 50801));
    assert_null(symbols_file_extending(s, NEO_LIT("neo.v1.Sensitivity"), 50800));
    assert_null(symbols_file_extending(s, NEO_LIT(".google.protobuf.FieldOptions"), 50800));
    struct symbols_numbers numbers = symbols_extensions(s, extended);
    assert_int_equal(numbers.n, 1);
    assert_int_equal(numbers.at[0], 50800);
    assert_int_equal(symbols_extensions(s, NEO_LIT("neo.v1.Sensitivity")).n, 0);
    symbols_free(s);
}

TEST(numbers_of_all_files_ascend_and_are_there_once)
{
    static const int32_t first[] = {900, 5, 0x1fffffff, 17}, second[] = {4, 900, 18};
    static const int32_t all[] = {4, 5, 17, 18, 900, 0x1fffffff};
    struct made f[3];

    make_extending(&f[0], "first.proto", ".p.Base", first, NEO_COUNT(first));
    make_extending(&f[1], "second.proto", ".p.Base", second, NEO_COUNT(second));
    make_extending(&f[2], "other.proto", ".p.Base2", second, NEO_COUNT(second));
    const struct neo_file_info *files[] = {&f[0].info, &f[2].info, &f[1].info};
    struct symbols *s = of(files, 3);
    struct symbols_numbers numbers = symbols_extensions(s, NEO_LIT("p.Base"));
    assert_int_equal(numbers.n, NEO_COUNT(all));
    assert_memory_equal(numbers.at, all, sizeof(all));
    for (size_t i = 0; i < NEO_COUNT(all); i++) {
        bool own = all[i] == 4 || all[i] == 18;
        assert_ptr_equal(symbols_file_extending(s, NEO_LIT("p.Base"), all[i])->info,
                         own ? &f[1].info : &f[0].info);
    }
    assert_null(symbols_file_extending(s, NEO_LIT("p.Base"), 6));
    assert_null(symbols_file_extending(s, NEO_LIT("p.Base"), -1));
    assert_null(symbols_file_extending(s, NEO_LIT("p.Bas"), 4));
    assert_int_equal(symbols_extensions(s, NEO_LIT("p.Base2")).n, NEO_COUNT(second));
    symbols_free(s);
    unmake(f, 3);
}

/* --- memory -------------------------------------------------------------------------------- */

/* What the header promises, with room for the arena's last block. */
TEST(it_takes_what_its_names_take)
{
    static const struct neo_file_info *const files[] = {&neo_test_v1_all_file, &neo_v1_options_file,
                                                        &neo_test_v1_old_file};
    struct symbols *s = of(files, NEO_COUNT(files));
    struct symbols_size size = symbols_size(s);

    assert_true(size.names > 500);
    assert_in_range(size.bytes, size.names * 48, size.names * 192);
    symbols_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_declared_elsewhere_or_nowhere_is_not_found),
        cmocka_unit_test(no_files_declare_nothing),
        cmocka_unit_test(a_descriptor_that_cannot_be_decoded_is_known_by_its_name_alone),
        cmocka_unit_test(without_memory_there_is_no_index),
        cmocka_unit_test(all_that_a_file_declares_is_found),
        cmocka_unit_test(what_is_nested_is_found_by_its_full_name),
        cmocka_unit_test(a_file_without_a_package_declares_bare_names),
        cmocka_unit_test(of_two_files_that_declare_the_same_the_first_counts),
        cmocka_unit_test(none_of_many_names_hides_another),
        cmocka_unit_test(a_file_brings_all_that_it_imports_each_once_and_itself_first),
        cmocka_unit_test(a_file_brings_nothing_that_it_does_not_import),
        cmocka_unit_test(an_extension_is_found_by_its_name_and_by_what_it_extends),
        cmocka_unit_test(numbers_of_all_files_ascend_and_are_there_once),
        cmocka_unit_test(it_takes_what_its_names_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
