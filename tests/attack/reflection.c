/* SPDX-License-Identifier: Apache-2.0 */
/*
 * G11: questions to the reflection service whose answers are read, so that nothing slows them down
 * but what they cost. They ask for what is in no file and looks as if it were: a symbol that ends
 * as fields of many files do, a number with which a type that is extended is not.
 */
#include "matrix.h"

#include <google/protobuf/descriptor.neo.h>
#include <grpc/reflection/v1/reflection.neo.h>

#include <time.h>

enum { QUESTIONS = 20000, SEARCHED = 200, BODY = 16000 };

static const char path[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

static void put_question(struct neo_buffer *body, uint8_t field, struct neo_bytes what)
{
    put_prefix(body, false, 2 + what.len);
    neo_buffer_append_byte(body, field);
    neo_buffer_append_byte(body, (uint8_t)what.len);
    neo_buffer_append(body, what);
}

static void put_questions(struct neo_buffer *body, uint32_t i)
{
    enum { SYMBOL = 0x22, EXTENSION = 0x2a, NUMBERS = 0x32 };

    switch (i % 4) {
    case 0:
        put_question(body, NUMBERS, NEO_LIT("x.name"));
        break;
    case 1:
        put_question(body, EXTENSION, NEO_LIT("\x0a\x1cgoogle.protobuf.FieldOptions\x10\x07"));
        break;
    default:
        put_question(body, SYMBOL, NEO_LIT("x.name"));
        break;
    }
}

/* All of them on one stream, which ends with OK when the last is answered. */
static void ask(struct report *r, struct link *l)
{
    struct neo_buffer out = {0}, body = {0};
    uint32_t n = 0;

    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0x7fffffff);
    frames_window_update(&out, 0, 0x7fff0000 - 65535);
    put_head(&out, 1, path, 0);
    while (n < QUESTIONS && !l->closed && l->reset < 0) {
        size_t heard = l->frames[FRAME_WINDOW_UPDATE];
        neo_buffer_clear(&body);
        while (n < QUESTIONS && body.len < BODY)
            put_questions(&body, n++);
        frames_put(&out, FRAME_DATA, n == QUESTIONS ? FLAG_END_STREAM : 0, 1,
                   neo_buffer_bytes(&body));
        (void)attack_send(l, &out);
        for (int i = 0; i < 20 && l->frames[FRAME_WINDOW_UPDATE] == heard && !l->closed; i++)
            link_read(l, 1);
    }
    for (int i = 0; i < 2000 && l->grpc < 0 && l->reset < 0 && !l->closed; i++)
        link_read(l, 10);
    attack_say(r, "%u asked, %zu KiB of answers, grpc-status %d", n, l->data / KIB, l->grpc);
    neo_buffer_fini(&out);
    neo_buffer_fini(&body);
}

void ask_in_vain(struct report *r)
{
    struct link l;

    attack_open(&l);
    ask(r, &l);
    r->through = l.grpc != NEO_OK;
    link_close(&l);
}

static double cpu(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* us for one search of the files that have a `name`, as their descriptors are. */
static double search_descriptors(void)
{
    const struct neo_file_info *const files[] = {&google_protobuf_descriptor_file,
                                                 &grpc_reflection_v1_reflection_file};
    double before = cpu();

    for (unsigned i = 0; i < SEARCHED; i++)
        for (size_t k = 0; k < NEO_COUNT(files); k++) {
            NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(16 * MIB);
            struct google_protobuf_FileDescriptorProto file;
            if (google_protobuf_FileDescriptorProto_decode(files[k]->descriptor, &file, &arena,
                                                           NULL) != NEO_OK)
                abort();
        }
    return (cpu() - before) / SEARCHED;
}

/* The control: a server that looks for each of them in the descriptors is ten times as dear. */
void search_in_vain(struct report *r)
{
    double before = cpu();
    struct link l;

    attack_open(&l);
    ask(r, &l);
    double asked = (cpu() - before) / QUESTIONS;
    double searched = search_descriptors();
    r->through = l.grpc == NEO_OK && searched > 10 * asked;
    attack_say(r, "decoding for each: %.1f us for %.2f of the attacker", searched, asked);
    link_close(&l);
}
