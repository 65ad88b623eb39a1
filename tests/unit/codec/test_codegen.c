/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protoc-gen-neo promises about its output, partly by using the generated code of
 * tests/proto, partly by running protoc on small files.
 */
#include "unit/unit.h"

#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/bench.neo.h"
#include "neo/test/v1/clash.neo.h"
#include "neo/test/v1/more.neo.h"
#include "neo/test/v1/old.neo.h"
#include "neo/test/v1/secret.neo.h"

#include <neo/descriptor.h>
#include <neo/memory.h>

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* --- generated code ----------------------------------------------------------------------------
 */

#define MEMBER_IS(type, member, expected)                                                          \
    _Generic(((struct neo_test_v1_##type){0}).member, expected : true, default : false)

TEST(members_have_the_types_of_the_contract)
{
    assert_true(MEMBER_IS(Scalars, f_double, double));
    assert_true(MEMBER_IS(Scalars, f_float, float));
    assert_true(MEMBER_IS(Scalars, f_sfixed64, int64_t));
    assert_true(MEMBER_IS(Scalars, f_fixed32, uint32_t));
    assert_true(MEMBER_IS(Scalars, f_bool, bool));
    assert_true(MEMBER_IS(Scalars, f_enum, int32_t));
    assert_true(MEMBER_IS(Scalars, f_string, struct neo_bytes));
    assert_true(MEMBER_IS(Scalars, f_bytes, struct neo_bytes));
    assert_true(MEMBER_IS(Optionals, has_f_int32, bool));
    assert_true(MEMBER_IS(Optionals, f_message, struct neo_test_v1_Scalars *));
    assert_true(MEMBER_IS(Lists, f_int32.at, int32_t *));
    assert_true(MEMBER_IS(Lists, f_int32.len, size_t));
    assert_true(MEMBER_IS(Lists, f_message.at, struct neo_test_v1_Scalars **));
    assert_true(MEMBER_IS(Lists, f_string.at, struct neo_bytes *));
    assert_true(MEMBER_IS(Maps, strings.at, struct neo_test_v1_Maps_StringsEntry *));
    assert_true(MEMBER_IS(Maps_MessagesEntry, key, uint64_t));
    assert_true(MEMBER_IS(Maps_MessagesEntry, value, struct neo_test_v1_Scalars *));
    assert_true(MEMBER_IS(Choice, kind_case, int32_t));
    assert_true(MEMBER_IS(Old, has_count, bool));
    assert_true(MEMBER_IS(Names, inner, struct neo_test_v1_Names_Inner *));
}

TEST(names_that_c_has_for_itself_get_an_underscore)
{
    struct neo_test_v1_Names m = {
        .int_ = 1, .struct_ = NEO_LIT("s"), .register_ = true, .has_default = true, .linux_ = 2};

    assert_int_equal(m.int_ + m.linux_, 3);
    assert_string_equal(neo_test_v1_Names_info.fields[0].name, "int");
}

TEST(names_that_cpp_has_for_itself_get_one_too)
{
    struct neo_test_v1_Words2 m = {
        .class_ = 1,
        .has_namespace = true,
        .operator_case = neo_test_v1_Words2_new_FIELD,
        .new_ = NEO_LIT("n"),
        .this_ = true,
    };

    assert_true(MEMBER_IS(Words2, template_.at, int32_t *));
    assert_true(MEMBER_IS(Words2, delete_, struct neo_test_v1_Words2 *));
    assert_true(MEMBER_IS(Words2, private_.at, struct neo_test_v1_Words2_PrivateEntry *));
    assert_true(m.class_ == 1 && m.this_ && m.namespace_.len == 0);
    assert_string_equal(neo_test_v1_Words2_info.fields[0].name, "class");
}

TEST(maps_have_entries_of_every_kind_of_key)
{
    static const uint8_t kinds[] = {NEO_KIND_INT32,    NEO_KIND_INT64,   NEO_KIND_UINT32,
                                    NEO_KIND_UINT64,   NEO_KIND_SINT32,  NEO_KIND_SINT64,
                                    NEO_KIND_FIXED32,  NEO_KIND_FIXED64, NEO_KIND_SFIXED32,
                                    NEO_KIND_SFIXED64, NEO_KIND_BOOL,    NEO_KIND_STRING};
    const struct neo_message_info *info = &neo_test_v1_Keys_info;

    assert_true(MEMBER_IS(Keys_ByInt32Entry, key, int32_t));
    assert_true(MEMBER_IS(Keys_ByFixed64Entry, key, uint64_t));
    assert_true(MEMBER_IS(Keys_BySfixed64Entry, key, int64_t));
    assert_true(MEMBER_IS(Keys_ByBoolEntry, key, bool));
    assert_true(MEMBER_IS(Keys_ByStringEntry, key, struct neo_bytes));
    assert_true(MEMBER_IS(Keys_FloatsEntry, value, float));
    assert_true(MEMBER_IS(Keys_BasesEntry, value, struct neo_test_v1_deep_base_Base *));
    assert_true(MEMBER_IS(Keys_KindsEntry, value, int32_t));
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        assert_int_equal(info->fields[i].flags, NEO_FIELD_REPEATED | NEO_FIELD_MAP);
        assert_int_equal(info->fields[i].message->fields[0].kind, kinds[i]);
    }
}

TEST(imports_bring_what_they_pass_on)
{
    const struct neo_message_info *info = &neo_test_v1_Importing_info;

    assert_true(MEMBER_IS(Importing, base, struct neo_test_v1_deep_base_Base *));
    assert_ptr_equal(info->fields[0].message, &neo_test_v1_deep_Passing_info);
    assert_ptr_equal(info->fields[1].message, &neo_test_v1_deep_base_Base_info);
    assert_ptr_equal(info->fields[2].enumeration, &neo_test_v1_deep_base_Base_Kind_info);
    assert_int_equal(neo_test_v1_deep_base_Base_KIND_GOOD, 1);
}

TEST(tables_tell_what_proto2_has_and_proto3_has_not)
{
    const struct neo_field_info *old = neo_test_v1_Old_info.fields;
    const struct neo_field_info *legacy = neo_test_v1_Legacy_info.fields;

    assert_int_equal(old[0].flags, NEO_FIELD_PRESENCE | NEO_FIELD_REQUIRED);
    assert_int_equal(old[2].flags, NEO_FIELD_REPEATED);
    assert_int_equal(old[3].flags, NEO_FIELD_REPEATED | NEO_FIELD_PACKED);
    assert_true(neo_test_v1_Old_info.traits & NEO_MESSAGE_REQUIRED);
    assert_false(neo_test_v1_Legacy_info.traits & NEO_MESSAGE_REQUIRED);
    assert_true(MEMBER_IS(Legacy, part, struct neo_test_v1_Legacy_Part *));
    assert_int_equal(legacy[6].flags, NEO_FIELD_GROUP);
    assert_int_equal(legacy[7].flags, NEO_FIELD_GROUP | NEO_FIELD_REPEATED);
    assert_int_equal(neo_test_v1_Legacy_Mood_info.n_closed, 3);
    assert_int_equal(neo_test_v1_Legacy_Mood_info.closed[0], -2);
    assert_null(neo_test_v1_Color_info.closed);
}

TEST(defaults_are_applied_by_functions)
{
    static const struct neo_test_v1_Legacy empty;
    struct neo_test_v1_Legacy m = {.has_d_int32 = true,
                                   .either_case = neo_test_v1_Legacy_one_FIELD,
                                   .one = neo_test_v1_Legacy_SAD,
                                   .has_d_bool = true};

    assert_int_equal(neo_test_v1_Legacy_d_int32_or_default(&empty), -5);
    assert_true(neo_test_v1_Legacy_d_int64_or_default(&empty) == INT64_MIN);
    assert_true(neo_test_v1_Legacy_d_uint64_or_default(&empty) == UINT64_MAX);
    assert_true(neo_test_v1_Legacy_d_bool_or_default(&empty));
    assert_true(neo_test_v1_Legacy_d_double_or_default(&empty) > 6.9e22);
    assert_true(neo_test_v1_Legacy_d_float_or_default(&empty) < -3e38f);
    assert_true(neo_bytes_is(neo_test_v1_Legacy_d_string_or_default(&empty), "say \"\xc3\xa4\"\n"));
    assert_true(neo_bytes_equal(neo_test_v1_Legacy_d_bytes_or_default(&empty), NEO_LIT("\0\377x")));
    assert_int_equal(neo_test_v1_Legacy_d_mood_or_default(&empty), neo_test_v1_Legacy_SAD);
    assert_int_equal(neo_test_v1_Legacy_mood_or_default(&empty), neo_test_v1_Legacy_GLAD);
    assert_int_equal(neo_test_v1_Legacy_one_or_default(&empty), neo_test_v1_Legacy_GLAD);
    assert_int_equal(neo_test_v1_Legacy_d_int32_or_default(&m), 0);
    assert_int_equal(neo_test_v1_Legacy_one_or_default(&m), neo_test_v1_Legacy_SAD);
    assert_false(neo_test_v1_Legacy_d_bool_or_default(&m));
}

TEST(extensions_are_read_from_and_added_to_what_is_unknown)
{
    struct neo_test_v1_Legacy m = {.neo_unknown = NEO_LIT("\xa2\x3f\x01x")};
    struct neo_test_v1_extra_extension extra = {.has_extra = true, .extra = 3};
    struct neo_test_v1_Around_inside_extension inside;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 16);
    assert_int_equal(neo_test_v1_extra_extension_add(&m, &extra, &arena, NULL), NEO_OK);
    extra.extra = 4;
    assert_int_equal(neo_test_v1_extra_extension_add(&m, &extra, &arena, NULL), NEO_OK);
    assert_true(neo_bytes_equal(m.neo_unknown, NEO_LIT("\xa2\x3f\x01x\xa0\x06\x03\xa0\x06\x04")));
    assert_int_equal(neo_test_v1_extra_extension_get(&m, &extra, &arena, NULL), NEO_OK);
    assert_true(extra.has_extra && extra.extra == 4);
    assert_int_equal(neo_test_v1_Around_inside_extension_get(&m, &inside, &arena, NULL), NEO_OK);
    assert_null(inside.inside);
    assert_int_equal(neo_test_v1_extra_extension_extra_or_default(&extra), 4);
    extra.has_extra = false;
    assert_int_equal(neo_test_v1_extra_extension_extra_or_default(&extra), 7);
    neo_arena_fini(&arena);
}

TEST(every_struct_but_an_entry_ends_with_what_is_unknown)
{
    assert_int_equal(offsetof(struct neo_test_v1_Small, neo_unknown) + sizeof(struct neo_bytes),
                     sizeof(struct neo_test_v1_Small));
    assert_int_equal(neo_test_v1_Small_info.unknown,
                     offsetof(struct neo_test_v1_Small, neo_unknown));
    assert_true(neo_test_v1_Nothing_info.traits & NEO_MESSAGE_UNKNOWN);
    assert_false(neo_test_v1_Maps_IntsEntry_info.traits & NEO_MESSAGE_UNKNOWN);
}

TEST(enums_have_their_values_in_their_scope)
{
    assert_int_equal(neo_test_v1_RED, 1);
    assert_int_equal(neo_test_v1_DARK, -1);
    assert_int_equal(neo_test_v1_FIRST_NAME, neo_test_v1_SECOND_NAME);
    assert_int_equal(neo_test_v1_Names_Inner_HIGH, 1);
    assert_int_equal(neo_test_v1_Old_SOME, 2);
    assert_string_equal(neo_test_v1_Color_info.full_name, "neo.test.v1.Color");
    assert_string_equal(neo_test_v1_Names_Inner_Level_info.full_name,
                        "neo.test.v1.Names.Inner.Level");
    assert_int_equal(neo_test_v1_Alias_info.n_values, 3);
    assert_string_equal(neo_test_v1_Alias_info.values[1].name, "FIRST_NAME");
}

TEST(fields_are_sorted_and_the_dense_ones_known)
{
    const struct neo_message_info *info = &neo_test_v1_Sparse_info;

    assert_int_equal(info->n_fields, 5);
    assert_int_equal(info->dense, 2);
    for (uint32_t i = 1; i < info->n_fields; i++)
        assert_true(info->fields[i - 1].number < info->fields[i].number);
    assert_int_equal(neo_test_v1_Scalars_info.dense, 9);
    assert_int_equal(neo_test_v1_Nothing_info.n_fields, 0);
}

TEST(sensitivity_is_kept)
{
    const struct neo_field_info *fields = neo_test_v1_Secrets_info.fields;

    assert_int_equal(fields[0].sensitivity, NEO_SENSITIVITY_PUBLIC);
    assert_int_equal(fields[1].sensitivity, NEO_SENSITIVITY_TEE_ONLY);
    assert_int_equal(fields[3].sensitivity, NEO_SENSITIVITY_INTERNAL);
    assert_int_equal(neo_test_v1_Scalars_info.fields[0].sensitivity, NEO_SENSITIVITY_UNSPECIFIED);
}

TEST(services_have_their_methods_in_order)
{
    const struct neo_service_info *info = &neo_test_v1_Everything_info;
    const struct neo_method *m = neo_test_v1_Everything_methods;

    assert_string_equal(info->full_name, "neo.test.v1.Everything");
    assert_int_equal(info->n_methods, 4);
    assert_ptr_equal(info->methods, m);
    assert_ptr_equal(info->file, &neo_test_v1_all_file);
    assert_string_equal(m[neo_test_v1_Everything_Unary_INDEX].path,
                        "/neo.test.v1.Everything/Unary");
    assert_int_equal(m[neo_test_v1_Everything_Unary_INDEX].kind, NEO_UNARY);
    assert_int_equal(m[neo_test_v1_Everything_Upload_INDEX].kind, NEO_CLIENT_STREAM);
    assert_int_equal(m[neo_test_v1_Everything_Download_INDEX].kind, NEO_SERVER_STREAM);
    assert_int_equal(m[neo_test_v1_Everything_Chat_INDEX].kind, NEO_BIDI_STREAM);
    assert_true(m[neo_test_v1_Everything_Unary_INDEX].idempotent);
    assert_true(m[neo_test_v1_Everything_Download_INDEX].idempotent);
    assert_false(m[neo_test_v1_Everything_Chat_INDEX].idempotent);
    assert_ptr_equal(m[neo_test_v1_Everything_Unary_INDEX].request, &neo_test_v1_Scalars_info);
    assert_ptr_equal(m[neo_test_v1_Everything_Unary_INDEX].response, &neo_test_v1_Choice_info);
    assert_int_equal(neo_test_v1_Idle_info.n_methods, 0);
}

static void nothing_handler(struct neo_call *call, const struct neo_test_v1_Scalars *request,
                            void *self)
{
    (void)call;
    (void)request;
    (void)self;
}

TEST(handlers_are_one_pointer_per_method_in_order)
{
    struct neo_test_v1_Everything_handlers h = {.Unary = nothing_handler};

    assert_int_equal(sizeof(h), 4 * sizeof(void *));
    assert_int_equal(offsetof(struct neo_test_v1_Everything_handlers, Chat),
                     neo_test_v1_Everything_Chat_INDEX * sizeof(void *));
    assert_true(h.Unary == nothing_handler);
}

TEST(files_list_what_they_hold_and_import)
{
    const struct neo_file_info *file = &neo_test_v1_all_file;
    size_t imports = 0;
    size_t messages = 0;

    while (file->imports[imports] != NULL)
        imports++;
    while (file->messages[messages] != NULL)
        messages++;
    assert_string_equal(file->name, "neo/test/v1/all.proto");
    assert_int_equal(imports, 7);
    assert_int_equal(messages, 22);
    assert_ptr_equal(file->services[0], &neo_test_v1_Everything_info);
    assert_ptr_equal(file->services[1], &neo_test_v1_Idle_info);
    assert_null(file->services[2]);
    assert_ptr_equal(neo_test_v1_Tree_info.file, file);
    assert_true(file->descriptor.len > 1000);
    assert_null(memmem(file->descriptor.at, file->descriptor.len, "like grass", 10));
}

/* --- running protoc ----------------------------------------------------------------------------
 */

static char directory[64];
static char said[4096];

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/neo-codegen-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text)
{
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void read_bytes(const char *path, struct neo_buffer *ret)
{
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    for (int c = fgetc(file); c != EOF; c = fgetc(file))
        (void)neo_buffer_append_byte(ret, (uint8_t)c);
    (void)fclose(file);
}

/* The contents of a file, for the caller to free. */
static char *read_file(const char *folder, const char *name)
{
    char path[400];
    struct neo_buffer text = {0};

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    read_bytes(path, &text);
    (void)neo_buffer_append_byte(&text, '\0');
    return (char *)text.at;
}

static const char *parameter = ""; /* of the plugin: none */

/* Runs protoc with our plugin; its exit code, and what it said in `said`. */
static int run_protoc(const char *root, const char *file)
{
    char plugin[300];
    char out_dir[1000];
    char include[300];
    char ours[] = "-I" NEO_OUR_PROTOS;
    char google[] = "-I" NEO_PROTOBUF_ROOT;
    char program[] = NEO_PROTOC;
    char name[100];
    char log[100];
    char *arguments[] = {program, plugin, out_dir, include, ours, google, name, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    (void)snprintf(plugin, sizeof(plugin), "--plugin=protoc-gen-neo=%s", NEO_PLUGIN);
    (void)snprintf(out_dir, sizeof(out_dir), "--neo_out=%s:%s", parameter, directory);
    (void)snprintf(include, sizeof(include), "-I%s", root);
    (void)snprintf(name, sizeof(name), "%s", file);
    (void)snprintf(log, sizeof(log), "%s/log", directory);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
    assert_int_equal(posix_spawn(&pid, NEO_PROTOC, &actions, NULL, arguments, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);

    char *text = read_file(directory, "log");
    (void)snprintf(said, sizeof(said), "%s", text);
    neo_free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_refused(const char *proto, const char *message)
{
    write_file("t.proto", proto);
    assert_int_not_equal(run_protoc(directory, "t.proto"), 0);
    if (strstr(said, message) == NULL)
        fail_msg("expected: %s\n  got:      %s", message, said);
}

/* The exit code of a compiler that looks at a file; 127: there is none. */
static int compile(const char *compiler, const char *language, const char *standard,
                   const char *file)
{
    char flags[][24] = {"-D_GNU_SOURCE", "-Wall",   "-Wextra",      "-Wpedantic",
                        "-Wconversion",  "-Werror", "-fsyntax-only"};
    char include[] = "-I" NEO_INCLUDE;
    char generated[] = "-I" NEO_GEN_DIR;
    char own[100];
    char words[4][100];
    char *arguments[16] = {words[0], words[1], words[2], include, generated, own};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    (void)snprintf(words[0], sizeof(words[0]), "%s", compiler);
    (void)snprintf(words[1], sizeof(words[1]), "-x%s", language);
    (void)snprintf(words[2], sizeof(words[2]), "-std=%s", standard);
    (void)snprintf(words[3], sizeof(words[3]), "%s", file);
    (void)snprintf(own, sizeof(own), "-I%s", directory);
    for (size_t i = 0; i < NEO_COUNT(flags); i++)
        arguments[6 + i] = flags[i];
    arguments[6 + NEO_COUNT(flags)] = words[3];
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    status = posix_spawnp(&pid, compiler, getenv("NEO_SHOW") == NULL ? &actions : NULL, NULL,
                          arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (status != 0)
        return 127;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_compiles(const char *compiler, const char *language, const char *standard)
{
    static const char *const stems[] = {"all", "old", "secret", "more", "deep/public", "deep/base"};
    char probe[100];

    write_file("probe.c", "int probe;\n");
    (void)snprintf(probe, sizeof(probe), "%s/probe.c", directory);
    if (compile(compiler, language, standard, probe) != 0) {
        print_message("skipped: no %s\n", compiler);
        return;
    }
    for (size_t i = 0; i < NEO_COUNT(stems); i++) {
        char file[400];
        char text[100];

        (void)snprintf(text, sizeof(text), "#include \"neo/test/v1/%s.neo.h\"\n", stems[i]);
        write_file("use.h", text);
        (void)snprintf(file, sizeof(file), "%s/neo/test/v1/%s.neo.c", NEO_GEN_DIR, stems[i]);
        if (strcmp(language, "c++") == 0) {
            write_file("use.cc", "#include \"use.h\"\n");
            (void)snprintf(file, sizeof(file), "%s/use.cc", directory);
        }
        if (compile(compiler, language, standard, file) != 0)
            fail_msg("%s -std=%s complains of %s; NEO_SHOW=1 shows why", compiler, standard,
                     stems[i]);
    }
}

TEST(generated_code_compiles_without_a_warning_as_c_and_as_cpp)
{
    write_file("bad.c", "int f(long x);\nint f(long x)\n{\n    return x;\n}\n");
    char bad[100];
    (void)snprintf(bad, sizeof(bad), "%s/bad.c", directory);
    assert_int_not_equal(compile("cc", "c", "c17", bad), 0); /* the check can fail */
    assert_compiles("gcc", "c", "c17");
    assert_compiles("clang-14", "c", "c17");
    assert_compiles("g++", "c++", "c++17");
    assert_compiles("clang++-14", "c++", "c++17");
}

TEST(words_of_c_are_no_names_of_types_and_values_either)
{
    char file[100];
    char *header;

    write_file("plain.proto", "syntax = \"proto3\"; message int { int32 x = 1; } message A { int "
                              "a = 1; } enum E { NULL = 0; EOF = 1; fine = 2; }");
    assert_int_equal(run_protoc(directory, "plain.proto"), 0);
    header = read_file(directory, "plain.neo.h");
    assert_non_null(strstr(header, "struct int_ {"));
    assert_non_null(strstr(header, "    NULL_ = 0,\n    EOF_ = 1,\n    fine = 2,"));
    neo_free(header);
    (void)snprintf(file, sizeof(file), "%s/plain.neo.c", directory);
    assert_int_equal(compile("cc", "c", "c17", file), 0);
}

/* Generates for `proto`, and compiles what came as C, the header behind those of C also as C++. */
static void assert_usable(const char *proto)
{
    char file[100];

    write_file("t.proto", proto);
    if (run_protoc(directory, "t.proto") != 0)
        fail_msg("%s", said);
    write_file("use.cc", "#include <errno.h>\n#include <limits.h>\n#include <math.h>\n"
                         "#include <netdb.h>\n#include <signal.h>\n#include <stdio.h>\n"
                         "#include <sys/stat.h>\n#include \"t.neo.h\"\n");
    (void)snprintf(file, sizeof(file), "%s/t.neo.c", directory);
    assert_int_equal(compile("cc", "c", "c17", file), 0);
    (void)snprintf(file, sizeof(file), "%s/use.cc", directory);
    assert_int_equal(compile("cc", "c", "c17", file), 0);
    assert_int_equal(compile("c++", "c++", "c++17", file), 0);
}

TEST(macros_of_the_headers_of_c_are_no_names_of_members)
{
    assert_usable("syntax = \"proto3\"; package linux.errno; message stdin { int32 EAGAIN = 1; "
                  "int32 INT_MAX = 2; optional int32 SIGINT = 3; oneof EOF { int32 NULL = 4; "
                  "stdin st_mtime = 5; } repeated int32 si_pid = 6; map<int32, stdin> errno = 7; "
                  "int32 h_addr = 8; int32 linux = 9; int32 EMAIL = 10; int32 O_CREAT = 11; } "
                  "service SIGTERM { rpc BUFSIZ(stdin) returns (stdin); }");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, " EAGAIN_;"));
    assert_non_null(strstr(header, " has_SIGINT;"));
    assert_non_null(strstr(header, " O_CREAT_;"));
    assert_non_null(strstr(header, " EMAIL;")); /* not whatever looks like one */
    neo_free(header);
}

TEST(macros_of_libneo_and_of_compilers_are_no_names)
{
    assert_usable("syntax = \"proto3\"; package p; message A { int32 NEO_DEPRECATED = 1; "
                  "bool NEO_MUST_CHECK = 2 [deprecated = true]; A NEO_PROTO_TABLES = 3; "
                  "optional int32 NEO_LIT = 4; oneof NEO_FMT { int32 NEO_COUNT = 5; } "
                  "repeated A __LINE__ = 6; string __GNUC__ = 7; A __x86_64__ = 8; "
                  "int32 __cplusplus = 9; map<int32, A> _GNU_SOURCE = 10; bool T_NEO_H = 11; "
                  "bool _plain = 12; bool neo_plain = 13; } "
                  "service S { rpc NEO_MUST_CHECK(A) returns (A); rpc __FILE__(A) returns (A); }");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, " NEO_DEPRECATED_;"));
    assert_non_null(strstr(header, " __LINE___;"));
    assert_non_null(strstr(header, " _GNU_SOURCE_;"));
    assert_non_null(strstr(header, " _plain;"));
    assert_non_null(strstr(header, " neo_plain;"));
    assert_non_null(strstr(header, "(*__FILE___)(struct neo_call *call"));
    neo_free(header);
    assert_usable("syntax = \"proto3\"; message __GNUC__ { int32 a = 1; } message _GNU_SOURCE {} "
                  "enum E { __LINE__ = 0; NEO_COUNT = 1; T_NEO_H = 2; } message NEO_LIT {} "
                  "service __SIZEOF { rpc INT__(E2) returns (E2); } message E2 {} "
                  "service neo { rpc text(E2) returns (E2); } "
                  "service NEO { rpc LIT(E2) returns (E2); }");
    header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "    NEO_COUNT_ = 1,"));
    assert_non_null(strstr(header, "struct NEO_LIT_ {"));
    neo_free(header);
    assert_usable("syntax = \"proto3\"; package NEO.PROTO; enum E { TABLES = 0; } message M {}");
    parameter = "name=p.A=NEO_COUNT";
    assert_refused("syntax = \"proto3\"; package p; message A {}", "C's own words");
    parameter = "name=p.A=__A";
    assert_refused("syntax = \"proto3\"; package p; message A {}", "C's own words");
    parameter = "";
}

/* In a file without a package: as C and C++, behind the headers and before them. */
TEST(what_the_headers_of_c_declare_is_no_name_of_a_type_or_value)
{
    char header_first[100];

    assert_usable(
        "syntax = \"proto3\"; message FILE { time_t at = 1; repeated FILE more = 2; "
        "int32 time_t = 3; } message time_t { int64 size_t = 1; int32 int32_t = 2; "
        "repeated int32 uint32_t = 3; int64 int64_t = 4; uint64 uint64_t = 5; } "
        "message tm { message timeval { int32 x = 1; } timeval stat = 1; FILE FILE = 2; } "
        "message stat { oneof time { int32 open = 1; tm close = 2; } } "
        "message size_t { int32 x = 1; } "
        "enum div_t { open = 0; read = 1; environ = 2; fine = 3; M_PI = 4; PATH_MAX = 5; } "
        "service DIR { rpc open(FILE) returns (time_t); }");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "struct FILE_ {"));
    assert_non_null(strstr(header, "struct time_t_ {"));
    assert_non_null(strstr(header, "struct tm_timeval {"));
    assert_non_null(strstr(header, "    open_ = 0,\n    read_ = 1,\n    environ_ = 2,\n    fine = "
                                   "3,\n    M_PI_ = 4,\n    PATH_MAX_ = 5,"));
    assert_non_null(strstr(header, " time_t;"));   /* a member is in nobody's way, */
    assert_non_null(strstr(header, " int32_t_;")); /* but for one that is a type there */
    neo_free(header);
    write_file("use.cc", "#include \"t.neo.h\"\n#include <dirent.h>\n#include <fcntl.h>\n"
                         "#include <stdio.h>\n#include <stdlib.h>\n#include <sys/stat.h>\n"
                         "#include <time.h>\n#include <unistd.h>\n");
    (void)snprintf(header_first, sizeof(header_first), "%s/use.cc", directory);
    assert_int_equal(compile("cc", "c", "c17", header_first), 0);
    assert_int_equal(compile("c++", "c++", "c++17", header_first), 0);
    assert_refused(
        "syntax = \"proto3\"; message FILE {} message FILE_ {}",
        "message FILE (t.proto:1) and message FILE_ (t.proto:1) would both have FILE_ in "
        "C;");
}

TEST(methods_may_be_named_as_what_a_service_has_itself_or_as_messages)
{
    assert_usable("syntax = \"proto3\"; package p; message N { int32 _Bool = 1; } message S_Get { "
                  "int32 x = 1; } service S { rpc add(N) returns (N); rpc Add(N) returns (N); "
                  "rpc info(N) returns (N); rpc methods(N) returns (N); rpc "
                  "handlers(stream N) returns (stream N); rpc Get(S_Get) returns (S_Get); rpc "
                  "int(N) returns (N); } service Empty {}");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "\np_S_add_(struct neo_channel *"));
    assert_non_null(strstr(header, "\np_S_add(struct neo_server *"));
    neo_free(header);
    assert_refused(
        "syntax = \"proto3\"; package p; message A {} service S { rpc Get(A) returns (A); "
        "rpc Get_start(A) returns (A); }",
        "rpc p.S.Get (t.proto:1) and rpc p.S.Get_start (t.proto:1) would both have p_S_Get_start");
    assert_refused("syntax = \"proto3\"; package p; message S_handlers {} service S {}",
                   "service p.S (t.proto:1) would both have p_S_handlers in C;");
}

TEST(names_of_any_length_are_kept_whole)
{
    enum { LEN = 300 };
    char name[LEN + 1] = {0};
    struct neo_buffer proto = {0};

    memset(name, 'N', LEN);
    (void)neo_buffer_printf(
        &proto,
        "syntax = \"proto3\"; package %sp; message %sA { int32 %s = 1; %sA self "
        "= 2; } message %sB { map<string, %sA> m = 1; } enum %sE { %s0 = 0; "
        "%s1 = 1; } service %sS { rpc %sM(%sA) returns (%sB); rpc %sL(%sA) "
        "returns (stream %sB); }",
        name, name, name, name, name, name, name, name, name, name, name, name, name, name, name,
        name);
    (void)neo_buffer_append_byte(&proto, '\0');
    assert_usable((const char *)proto.at);
    neo_buffer_fini(&proto);
}

TEST(code_for_other_tables_does_not_compile_or_link)
{
    char *header = read_file(NEO_GEN_DIR, "neo/test/v1/bench.neo.h");
    char *source = read_file(NEO_GEN_DIR, "neo/test/v1/bench.neo.c");
    char file[100];

    char *number = strstr(header, "#if NEO_PROTO_TABLES != 2");
    assert_non_null(number);
    assert_non_null(strstr(source, ".tables = &neo_proto_tables_2,"));
    number[strlen("#if NEO_PROTO_TABLES != ")] = '1';
    write_file("other.h", header);
    (void)snprintf(file, sizeof(file), "%s/other.h", directory);
    assert_int_not_equal(compile("cc", "c", "c17", file), 0);
    neo_free(header);
    neo_free(source);
}

TEST(an_extension_whose_class_nobody_would_see_is_refused)
{
    assert_refused("syntax = \"proto2\"; package p; import \"neo/v1/options.proto\"; message M { "
                   "extensions 100 to 200; } extend M { optional int32 x = 100 "
                   "[(neo.v1.sensitivity) = TEE_ONLY]; }",
                   "t.proto: extension x is TEE_ONLY, and the table of what it extends does not "
                   "know; declare it there as a field");
}

TEST(names_that_would_collide_in_c_are_refused)
{
    assert_refused(
        "syntax = \"proto3\"; package p;\nmessage A { optional int32 b = 1;\nbool has_b = "
        "2; }",
        "field p.A.b (t.proto:2) and field p.A.has_b (t.proto:3) would both have has_b in "
        "C's struct; rename one, or --neo_opt=name=ELEMENT=NAME_IN_C");
    assert_refused(
        "syntax = \"proto3\"; package p; message A { oneof k { int32 a = 1; } int32 "
        "k_case = 2; }",
        "field p.A.a (t.proto:1) and field p.A.k_case (t.proto:1) would both have k_case");
    assert_refused("syntax = \"proto2\"; package p; message A { optional int32 int = 1; optional "
                   "int32 int_ = 2; }",
                   "would both have int_ in C's struct");
    assert_refused("syntax = \"proto3\"; package p; message A {\nmessage B {} }\nmessage A_B {}",
                   "message p.A.B (t.proto:2) and message p.A_B (t.proto:3) would both have p_A_B "
                   "in C;");
    assert_refused("syntax = \"proto3\"; package p; message A {} message A_info {}",
                   "message p.A (t.proto:1) and message p.A_info (t.proto:1) would both have "
                   "p_A_info in C;");
    assert_refused("syntax = \"proto3\"; package p; message A {} service S {\nrpc Foo(A) returns "
                   "(A);\nrpc Foo_start(A) returns (A); }",
                   "rpc p.S.Foo (t.proto:2) and rpc p.S.Foo_start (t.proto:3) would both have "
                   "p_S_Foo_start in C;");
    assert_refused("syntax = \"proto3\"; package t; enum E { descriptor = 0; }",
                   "the file t.proto and value t.descriptor (t.proto:1) would both have "
                   "t_descriptor in C;");
    assert_refused(
        "syntax = \"proto3\"; package p; message A { int32 x = 1; } enum E { A_fields = 0; }",
        "message p.A (t.proto:1) and value p.A_fields (t.proto:1) would both have "
        "p_A_fields in C;");
    assert_usable("syntax = \"proto3\"; package t; message messages { int32 fields = 1; } "
                  "message messages_fields {}");
    assert_refused("syntax = \"proto3\"; package p; message A { bool neo_unknown = 1; }",
                   "field p.A.neo_unknown (t.proto:1) and what every message keeps of fields it "
                   "does not know would both have neo_unknown in C's struct");
}

TEST(a_parameter_that_is_not_known_or_names_nothing_is_refused)
{
    static const struct {
        const char *parameter;
        const char *says;
    } rows[] = {
        {"foo=bar", "unknown parameter \"foo=bar\"; there is name=ELEMENT=NAME_IN_C"},
        {"name=p.A=B_ok,paths=source_relative", "unknown parameter \"paths=source_relative\""},
        {"name=p.A", "write name=ELEMENT=NAME_IN_C"},
        {"name==B", "write name=ELEMENT=NAME_IN_C"},
        {"name=p.A=", "write name=ELEMENT=NAME_IN_C"},
        {"name=p.A=b-c", "write name=ELEMENT=NAME_IN_C"},
        {"name=p.A=int", "C's own words"},
        {"name=p.A=EAGAIN", "what its headers declare"},
        {"name=p.B=p_Bee", "name=p.B=p_Bee: there is no message"},
    };

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        parameter = rows[i].parameter;
        assert_refused("syntax = \"proto3\"; package p; message A {}", rows[i].says);
    }
    parameter = "";
}

/* Whoever uses other people's files cannot rename what is in them. */
TEST(names_that_collide_may_be_chosen_in_c_alone)
{
    parameter = "name=p.S.Foo_start=p_S_Begin,name=p.A_B=p_AB,name=p.A.has_b=b_is_there,"
                "name=p.S_info=p_Info,name=p.A_info=p_ValueInfo,name=p.T=p_Tee";
    assert_usable("syntax = \"proto3\"; package p; message A { message B {} optional int32 b = 1; "
                  "bool has_b = 2; oneof o { int32 x = 3; } } message A_B { A a = 1; } "
                  "message S_info {} enum E { A_info = 0; } "
                  "service T { rpc Go(A) returns (stream A_B); } "
                  "service S { rpc Foo(A) returns (A); rpc Foo_start(A) returns (S_info); }");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "struct p_AB {"));
    assert_non_null(strstr(header, "    bool b_is_there;"));
    assert_non_null(strstr(header, "    p_ValueInfo = 0,"));
    assert_non_null(strstr(header, "p_S_Begin_start("));
    assert_non_null(strstr(header, "p_Tee_Go_stream("));
    assert_non_null(strstr(header, "(*Foo_start)(struct neo_call *call")); /* in nobody's way */
    neo_free(header);
    char *source = read_file(directory, "t.neo.c");
    assert_non_null(strstr(source, "\"/p.S/Foo_start\"")); /* the wire does not change */
    assert_non_null(strstr(source, ".full_name = \"p.A_B\""));
    assert_non_null(strstr(source, ".name = \"has_b\""));
    neo_free(source);
    parameter = "";
}

/* clash.proto is refused without the OPTIONS of its neo_protos(): that this compiles is the
 * promise. */
TEST(neo_protos_gives_its_options_to_the_generator)
{
    const struct neo_test_v1_Clash clash = {.has_b = true, .b = 1, .b_is_there = true};
    const struct neo_test_v1_ClashPart part = {{0}};

    assert_true(clash.b_is_there);
    assert_int_equal(part.neo_unknown.len, 0);
    assert_string_equal(neo_test_v1_Clash_info.fields[1].name, "has_b");
    assert_string_equal(neo_test_v1_ClashPart_info.full_name, "neo.test.v1.Clash_Inner_Part");
}

TEST(what_has_no_package_keeps_out_of_the_way_of_libneo)
{
    assert_usable("syntax = \"proto3\"; message neo_bytes { neo_error neo_code = 1; } "
                  "message neo_error { message bytes {} } message neo { message buffer {} } "
                  "enum neo_code { NEO_OK = 0; neo_text = 1; } message neo_call {} "
                  "service neo_server { rpc new(neo_bytes) returns (stream neo_call); }");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "struct neo_bytes_ {"));
    assert_non_null(strstr(header, "neo_server__new_stream("));
    neo_free(header);
    assert_usable("syntax = \"proto3\"; package neo; message bytes { bytes more = 1; }");
}

TEST(what_is_deprecated_is_so_in_c_and_no_use_of_our_own_is_named)
{
    char use[100];

    assert_usable(
        "syntax = \"proto2\"; package p; message M { optional int32 a = 1 [deprecated = "
        "true, default = 5]; repeated M b = 2 [deprecated = true]; oneof o { M c = 3 "
        "[deprecated = true]; int32 d = 4; } optional int32 fine = 5; } message Old { "
        "option deprecated = true; optional Old old = 1; } service S { rpc Gone(M) returns "
        "(Old) { option deprecated = true; } rpc Flow(stream M) returns (stream M) { option "
        "deprecated = true; } rpc Stays(M) returns (M); }");
    write_file("use.c", "#include \"t.neo.h\"\nint x(struct p_M *m);\nint x(struct p_M *m)\n{\n    "
                        "return m->fine;\n}\n");
    (void)snprintf(use, sizeof(use), "%s/use.c", directory);
    assert_int_equal(compile("cc", "c", "c17", use), 0);
    static const char *const uses[] = {
        "m->a",
        "m->has_a",
        "(int)m->b.len",
        "m->c != 0",
        "p_M_a_or_default(m)",
        "p_S_Gone(0, 0, 0, 0, 0, 0)",
        "p_S_Gone_start(0, 0, 0, 0, 0, 0, 0)",
        "p_S_Flow_stream(0, 0, 0, 0)",
    };
    for (size_t i = 0; i < NEO_COUNT(uses); i++) {
        char text[300];
        (void)snprintf(text, sizeof(text),
                       "#include \"t.neo.h\"\nint x(struct p_M *m);\nint x(struct p_M *m)\n{\n    "
                       "(void)m;\n    return (int)(%s);\n}\n",
                       uses[i]);
        write_file("use.c", text);
        if (compile("cc", "c", "c17", use) == 0)
            fail_msg("nobody complains of %s", uses[i]);
    }
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "/* Deprecated. */\nstruct p_Old {"));
    neo_free(header);
}

TEST(the_same_file_always_gives_the_same_code)
{
    static const char *const outputs[] = {"neo/test/v1/all.neo.h", "neo/test/v1/all.neo.c"};

    assert_int_equal(run_protoc(NEO_TEST_PROTOS, "neo/test/v1/all.proto"), 0);
    for (size_t i = 0; i < NEO_COUNT(outputs); i++) {
        char *again = read_file(directory, outputs[i]);
        char *built = read_file(NEO_GEN_DIR, outputs[i]);
        assert_string_equal(again, built);
        neo_free(again);
        neo_free(built);
    }
}

TEST(comments_are_carried_over_and_cannot_escape)
{
    char *header = read_file(NEO_GEN_DIR, "neo/test/v1/all.neo.h");

    assert_non_null(strstr(header, "/* A colour, and a comment that ends early * / for C. */\n"
                                   "enum neo_test_v1_Color {"));
    assert_non_null(strstr(header, "neo_test_v1_GREEN = 2, /* like grass */"));
    assert_non_null(strstr(header, "/*\n * A node, with\n * a comment of two lines.\n */\n"
                                   "struct neo_test_v1_Tree {"));
    assert_non_null(strstr(header, "    /* One for one. */\n    void (*Unary)("));
    neo_free(header);
}

/* As gcc's -Wbidi-chars says: such code looks other than it is. */
TEST(what_turns_text_around_is_named_in_a_comment)
{
    assert_usable("syntax = \"proto3\"; package p;\n"
                  "// a\xe2\x80\xae b \xe2\x81\xa6 c \xe2\x80\x8f, \xe2\x82\xac and ?/ ?\?/\n"
                  "// more\nmessage A { int32 a = 1; // \xe2\x80\xaa d\n}");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(
        strstr(header, " * a<U+202E> b <U+2066> c <U+200F>, \xe2\x82\xac and ?/ ?? /\n"));
    assert_non_null(strstr(header, "int32_t a; /* <U+202A> d */\n"));
    neo_free(header);
}

/* A lone CR ends a line for clang, and a backslash before it takes the line away. */
TEST(control_characters_do_not_get_out_of_a_comment)
{
    assert_usable("syntax = \"proto3\"; package p;\n"
                  "// x *\\\r/ int evil; /*\\\r* y\x7f\tz\nmessage A { int32 a = 1; }");
    char *header = read_file(directory, "t.neo.h");
    assert_non_null(strstr(header, "x *\\ / int evil; / *\\ * y \tz"));
    assert_null(strchr(header, '\r'));
    neo_free(header);
}

/* --- names of files ----------------------------------------------------------------------------
 */

static void make_folder(const char *name)
{
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* A file of package p with one message. */
static void write_message(const char *name, const char *message)
{
    char text[200];

    (void)snprintf(text, sizeof(text),
                   "syntax = \"proto3\"; package p; message %s { int32 a = 1; }", message);
    write_file(name, text);
}

static void generate(const char *name)
{
    if (run_protoc(directory, name) != 0)
        fail_msg("%s", said);
}

static void assert_file_compiles(const char *name)
{
    char file[200];

    (void)snprintf(file, sizeof(file), "%s/%s", directory, name);
    if (compile("cc", "c", "c17", file) != 0)
        fail_msg("%s does not compile; NEO_SHOW=1 shows why", name);
}

TEST(files_that_would_have_one_name_in_c_are_refused_or_named_by_the_user)
{
    make_folder("x");
    write_message("x/y.proto", "A");
    write_message("x_y.proto", "B");
    write_message("x-y.proto", "C");
    generate("x/y.proto");
    assert_refused("syntax = \"proto3\"; import \"x/y.proto\"; import \"x_y.proto\";",
                   "file x/y.proto and file x_y.proto would both have x_y_file in C; rename one, "
                   "or --neo_opt=name=ELEMENT=NAME_IN_C");
    assert_refused("syntax = \"proto3\"; import \"x_y.proto\"; import \"x-y.proto\";",
                   "file x-y.proto and file x_y.proto would both have x_y_file in C;");
    parameter = "name=x_y.proto=x_under_y";
    generate("x_y.proto");
    assert_usable("syntax = \"proto3\"; package q; import \"x/y.proto\"; import \"x_y.proto\"; "
                  "message M { p.A a = 1; p.B b = 2; }");
    parameter = "";
    char *source = read_file(directory, "t.neo.c");
    assert_non_null(strstr(source, "    &x_y_file,\n    &x_under_y_file,\n"));
    neo_free(source);
    source = read_file(directory, "x_y.neo.c");
    assert_non_null(strstr(source, "const struct neo_file_info x_under_y_file = {\n"
                                   "    .name = \"x_y.proto\",\n"));
    neo_free(source);
}

TEST(headers_of_files_that_are_named_alike_can_be_included_together)
{
    static const char *const stems[] = {"x/y", "x_y",   "x-y", "x.y", "X/y",
                                        "X_y", "xx5fy", "1",   "_1"};
    struct neo_buffer all = {0};

    make_folder("x");
    make_folder("X");
    for (size_t i = 0; i < NEO_COUNT(stems); i++) {
        char name[40];
        char message[40];

        (void)snprintf(name, sizeof(name), "%s.proto", stems[i]);
        (void)snprintf(message, sizeof(message), "M%zu", i);
        write_message(name, message);
        generate(name);
        (void)neo_buffer_printf(&all, "#include \"%s.neo.h\"\n", stems[i]);
    }
    for (size_t i = 0; i < NEO_COUNT(stems); i++)
        (void)neo_buffer_printf(&all, "struct p_M%zu m%zu;\n", i, i);
    (void)neo_buffer_append_byte(&all, '\0');
    write_file("use.c", (const char *)all.at);
    assert_file_compiles("use.c");
    neo_buffer_fini(&all);
    char *header = read_file(directory, "x/y.neo.h");
    assert_non_null(strstr(header, "#ifndef X_Y_NEO_H\n#define X_Y_NEO_H\n"));
    neo_free(header);
}

TEST(names_of_files_that_a_line_of_c_cannot_carry_are_refused)
{
    static const struct {
        const char *name;
        const char *says;
    } rows[] = {
        {"a\"b.proto", "a\"b.proto: a quotation mark in the name of a file or folder"},
        {"a\\b.proto", "a\\b.proto: a backslash in the name of a file or folder"},
        {"a\nb.proto", "a control character in the name of a file or folder"},
        {"a\x7f.proto", "a control character in"},
        {"a\xe2\x80\xae.proto", "a control character in"},
        {"a?\?/.proto", "two question marks in"},
    };

    make_folder("a??");
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        write_message(rows[i].name, "A");
        assert_int_not_equal(run_protoc(directory, rows[i].name), 0);
        if (strstr(said, rows[i].says) == NULL)
            fail_msg("expected: %s\n  got:      %s", rows[i].says, said);
    }
}

TEST(other_names_of_files_cannot_escape_from_a_comment)
{
    static const char *const stems[] = {"star*/b", "a/*c",     "it's", "sp ace",
                                        "50%s",    "\xc3\xbc", "why?"};
    char name[40];

    make_folder("star*");
    make_folder("a");
    for (size_t i = 0; i < NEO_COUNT(stems); i++) {
        (void)snprintf(name, sizeof(name), "%s.proto", stems[i]);
        write_message(name, "A");
        generate(name);
        (void)snprintf(name, sizeof(name), "%s.neo.c", stems[i]);
        assert_file_compiles(name);
    }
    char *header = read_file(directory, "star*/b.neo.h");
    assert_non_null(
        strstr(header, "/* Made by protoc-gen-neo from star* /b.proto. Do not edit. */"));
    neo_free(header);
}

TEST(a_file_without_a_package_has_plain_names)
{
    char *header;

    write_file("odd-name.1.proto",
               "syntax = \"proto3\"; message A { repeated A b = 1; } enum E { Z "
               "= 0; } service S { rpc M(A) returns (A); }");
    assert_int_equal(run_protoc(directory, "odd-name.1.proto"), 0);
    header = read_file(directory, "odd-name.1.neo.h");
    assert_non_null(strstr(header, "extern const struct neo_file_info odd_name_1_file;"));
    assert_non_null(strstr(header, "struct A {"));
    assert_non_null(strstr(header, "    Z = 0,"));
    assert_non_null(strstr(header, "extern const struct neo_method S_methods[];"));
    neo_free(header);
}

/* --- our own protocols -------------------------------------------------------------------------
 */

enum { NEST_MAX = 32, VISITS_MAX = 100000 };

/* Whether a message can hold, at any depth, one of its own kind: a path through the tables that
 * long. */
static bool nests(const struct neo_message_info *info, unsigned depth, unsigned *visits)
{
    if (depth == NEST_MAX || ++*visits > VISITS_MAX)
        return true;
    for (uint32_t i = 0; i < info->n_fields; i++) {
        if (info->fields[i].kind == NEO_KIND_MESSAGE &&
            nests(info->fields[i].message, depth + 1, visits))
            return true;
    }
    return false;
}

static size_t check_nesting(const struct neo_descriptors *pool, struct neo_bytes wire,
                            struct neo_arena *arena)
{
    struct neo_descriptor_file file = {0};

    assert_int_equal(neo_proto_decode(&neo_descriptor_file_info, wire, &file, arena, NULL), NEO_OK);
    if (neo_bytes_starts(file.name, NEO_LIT("google/protobuf/")))
        return 0; /* of these, what our own messages use is reached through them */
    for (size_t i = 0; i < file.message_type.len; i++) {
        unsigned visits = 0;
        const char *name = neo_arena_printf(arena, "%.*s.%.*s", NEO_FMT(file.package),
                                            NEO_FMT(file.message_type.at[i]->name));
        const struct neo_message_info *info = neo_descriptors_message(pool, neo_text(name));

        assert_non_null(info);
        if (nests(info, 0, &visits))
            fail_msg("%s can nest without end: no protocol of ours may", name);
    }
    return file.message_type.len;
}

TEST(no_message_of_our_protocols_can_nest_without_end)
{
    struct neo_descriptors *pool = NULL;
    struct neo_descriptor_set files = {0};
    struct neo_buffer set = {0};
    struct neo_arena arena;
    unsigned visits = 0;
    size_t messages = 0;

    neo_arena_init(&arena, 64 << 20);
    read_bytes(NEO_PUBLIC_DESCRIPTORS, &set);
    assert_int_equal(neo_descriptors_from_set(neo_buffer_bytes(&set), &pool, NULL), NEO_OK);
    assert_int_equal(
        neo_proto_decode(&neo_descriptor_set_info, neo_buffer_bytes(&set), &files, &arena, NULL),
        NEO_OK);
    for (size_t i = 0; i < files.file.len; i++)
        messages += check_nesting(pool, files.file.at[i], &arena);
    assert_true(messages > 20);
    assert_true(nests(&neo_test_v1_Tree_info, 0, &visits)); /* the check can fail */
    neo_descriptors_free(pool);
    neo_buffer_fini(&set);
    neo_arena_fini(&arena);
}

#define T(name) cmocka_unit_test(name)
#define P(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(members_have_the_types_of_the_contract),
        T(names_that_c_has_for_itself_get_an_underscore),
        T(names_that_cpp_has_for_itself_get_one_too),
        T(maps_have_entries_of_every_kind_of_key),
        T(imports_bring_what_they_pass_on),
        T(tables_tell_what_proto2_has_and_proto3_has_not),
        T(defaults_are_applied_by_functions),
        T(extensions_are_read_from_and_added_to_what_is_unknown),
        P(an_extension_whose_class_nobody_would_see_is_refused),
        T(every_struct_but_an_entry_ends_with_what_is_unknown),
        T(enums_have_their_values_in_their_scope),
        T(fields_are_sorted_and_the_dense_ones_known),
        T(sensitivity_is_kept),
        T(services_have_their_methods_in_order),
        T(handlers_are_one_pointer_per_method_in_order),
        T(files_list_what_they_hold_and_import),
        P(generated_code_compiles_without_a_warning_as_c_and_as_cpp),
        P(words_of_c_are_no_names_of_types_and_values_either),
        P(macros_of_the_headers_of_c_are_no_names_of_members),
        P(macros_of_libneo_and_of_compilers_are_no_names),
        P(what_the_headers_of_c_declare_is_no_name_of_a_type_or_value),
        P(methods_may_be_named_as_what_a_service_has_itself_or_as_messages),
        P(names_of_any_length_are_kept_whole),
        P(code_for_other_tables_does_not_compile_or_link),
        P(names_that_would_collide_in_c_are_refused),
        P(a_parameter_that_is_not_known_or_names_nothing_is_refused),
        P(names_that_collide_may_be_chosen_in_c_alone),
        P(neo_protos_gives_its_options_to_the_generator),
        P(what_has_no_package_keeps_out_of_the_way_of_libneo),
        P(what_is_deprecated_is_so_in_c_and_no_use_of_our_own_is_named),
        P(the_same_file_always_gives_the_same_code),
        P(comments_are_carried_over_and_cannot_escape),
        P(what_turns_text_around_is_named_in_a_comment),
        P(control_characters_do_not_get_out_of_a_comment),
        P(files_that_would_have_one_name_in_c_are_refused_or_named_by_the_user),
        P(headers_of_files_that_are_named_alike_can_be_included_together),
        P(names_of_files_that_a_line_of_c_cannot_carry_are_refused),
        P(other_names_of_files_cannot_escape_from_a_comment),
        P(a_file_without_a_package_has_plain_names),
        T(no_message_of_our_protocols_can_nest_without_end),
    };
    return cmocka_run_group_tests_name("codec/codegen", tests, NULL, NULL);
}
