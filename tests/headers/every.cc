// SPDX-License-Identifier: Apache-2.0
//
// Neo from C++: every.inc, made by ./run, includes all public headers and names all their functions.
#include "every.inc"

#include <cstdio>
#include <cstring>
#include <unistd.h>

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

// The macros of the log are the same words in both languages, and what they write is, too.
void logs()
{
    int ends[2];
    char said[512] = {};
    neo_log log = {};

    check(pipe(ends) == 0, "no pipe");
    log.fd = ends[1];
    log.level = NEO_LOG_INFO;
    log.wall_nsec = neo_wall_nsec;
    neo_log_debug(&log, "too.quiet", NEO_STR("a", "b"));
    neo_log_info(&log, "alone");
    neo_log_warn(&log, "all.kinds", NEO_STR("s", "text"), NEO_BYTES("y", neo_text("bytes")), NEO_U64("u", 1U),
                 NEO_I64("i", -1), NEO_BOOL("b", true));
    check(read(ends[0], said, sizeof(said) - 1) > 0, "nothing was logged");
    check(std::strstr(said, "too.quiet") == nullptr, "what is below the level was logged");
    check(std::strstr(said, "\"event\":\"alone\"}") != nullptr, "an event without fields is wrong");
    check(std::strstr(said, "\"event\":\"all.kinds\",\"s\":\"text\",\"y\":\"bytes\",\"u\":1,\"i\":-1,\"b\":true}") !=
              nullptr,
          said);
    close(ends[0]);
    close(ends[1]);
}

} // namespace

int main()
{
    for (const auto &function : every)
        check(function.at != nullptr, function.name);
    embeds();
    works();
    logs();
    return failures == 0 ? 0 : 1;
}
