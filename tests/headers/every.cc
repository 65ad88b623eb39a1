// SPDX-License-Identifier: Apache-2.0
//
// Neo from C++: every.inc, made by ./run, includes all public headers and names all their functions.
#include "every.inc"

#include <cstdio>
#include <cstring>

namespace {

int failures;

void check(bool holds, const char *what)
{
    if (!holds) {
        std::printf("%s\n", what);
        failures++;
    }
}

// Values that C++ holds and the library works on: their size must be the same to both.
void embeds()
{
    struct Guarded {
        neo_ratelimit limit;
        uint64_t after;
    } guarded = {};
    const neo_breaker_config config = {20, 5, 50, 1, NEO_NSEC_PER_SEC, NEO_NSEC_PER_SEC, 5};
    struct {
        neo_breaker breaker;
        uint64_t after;
    } broken = {};

    guarded.after = broken.after = 0x5a5a;
    neo_ratelimit_init(&guarded.limit, 1, 1);
    neo_breaker_init(&broken.breaker, &config);
    check(guarded.after == 0x5a5a && broken.after == 0x5a5a, "a struct is smaller in C++");
    check(neo_breaker_state(&broken.breaker) == NEO_BREAKER_CLOSED, "a new breaker is not closed");
}

void works()
{
    neo_arena arena = {};
    neo_metrics *metrics = neo_metrics_new();

    neo_arena_init(&arena, 1 << 16);
    const char *text = neo_arena_printf(&arena, "%s %d", "forty", 2);
    check(text != nullptr && std::strcmp(text, "forty 2") == 0, "the arena does not print");
    neo_arena_fini(&arena);
    check(metrics != nullptr, "no metrics");
    neo_metrics_free(metrics);
    check(std::strcmp(neo_code_name(NEO_UNAVAILABLE), "UNAVAILABLE") == 0, "a code has another name");
    check(neo_value_i64(7).i64 == 7 && neo_text("abc").len == 3, "an inline function is wrong");
}

} // namespace

int main()
{
    for (const auto &function : every)
        check(function.at != nullptr, function.name);
    embeds();
    works();
    return failures == 0 ? 0 : 1;
}
