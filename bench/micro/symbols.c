/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a question to reflection costs, and the index that answers it.
 *
 * The files are those of a server with the services that every server has and a small one of its
 * own. Beside the look into the index stands the least of what a search without one takes: decoding
 * the descriptors that may declare the name, here the two of reflection, which have a field `name`.
 *
 *     bench_symbols [rounds]
 */
#include "rpc/symbols.h"

#include <google/protobuf/descriptor.neo.h>
#include <grpc/health/v1/health.neo.h>
#include <grpc/reflection/v1/reflection.neo.h>
#include <grpc/reflection/v1alpha/reflection.neo.h>
#include <neo/attest/v1/attest.neo.h>
#include <neo/test/v1/echo.neo.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BUDGET = 16 << 20, DEARER = 1000 /* times, about; so many rounds fewer */ };

static double cpu_nsec(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct symbols *make(void)
{
    static const struct neo_file_info *const files[] = {
        &neo_attest_v1_attest_file, &grpc_health_v1_health_file,
        &grpc_reflection_v1_reflection_file, &grpc_reflection_v1alpha_reflection_file,
        &neo_test_v1_echo_file};
    struct symbols *s;
    struct neo_error err;

    if (symbols_new(files, NEO_COUNT(files), &s, &err) != NEO_OK) {
        (void)fprintf(stderr, "bench_symbols: %s\n", err.message);
        exit(1);
    }
    return s;
}

static void look(const struct symbols *s, struct neo_bytes name, unsigned long rounds)
{
    double from = cpu_nsec();
    unsigned long found = 0;

    for (unsigned long i = 0; i < rounds; i++)
        found += symbols_file_declaring(s, name) != NULL;
    (void)printf("look  %-24.*s %10.0f ns, %s\n", NEO_FMT(name),
                 (cpu_nsec() - from) / (double)rounds, found > 0 ? "found" : "not there");
}

static void decode(unsigned long rounds)
{
    static const struct neo_file_info *const files[] = {&grpc_reflection_v1_reflection_file,
                                                        &grpc_reflection_v1alpha_reflection_file};
    double from = cpu_nsec();

    for (unsigned long i = 0; i < rounds; i++)
        for (size_t k = 0; k < NEO_COUNT(files); k++) {
            NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(BUDGET);
            struct google_protobuf_FileDescriptorProto file;
            if (google_protobuf_FileDescriptorProto_decode(files[k]->descriptor, &file, &arena,
                                                           NULL) != NEO_OK)
                exit(1);
        }
    (void)printf("decode two descriptors          %8.0f ns\n",
                 (cpu_nsec() - from) / (double)rounds);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000000;
    unsigned long few = rounds / DEARER + 1;
    double from = cpu_nsec();

    for (unsigned long i = 0; i < few; i++)
        symbols_free(make());
    double made = (cpu_nsec() - from) / (double)few;
    struct symbols *s = make();
    struct symbols_size size = symbols_size(s);
    (void)printf("index of %zu files, %zu names   %8.0f ns to make, %zu bytes\n", size.files,
                 size.names, made, size.bytes);
    look(s, NEO_LIT("neo.test.v1.Echoes"), rounds);
    look(s, NEO_LIT("x.name"), rounds);
    decode(few);
    symbols_free(s);
    return 0;
}
