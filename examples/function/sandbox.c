/* SPDX-License-Identifier: Apache-2.0 */
#include "function/sandbox.h"

#include <neo/memory.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { HOOK_EVERY = 1000 };

struct run {
    sandbox_log_fn *log;
    void *self;
    unsigned lines;
    uint64_t instructions;
    size_t used;
    size_t peak;
    bool over_instructions;
    bool over_memory;
};

/* Lua's allocator: counts, and says no beyond the limit. */
static void *allocate(void *ud, void *old, size_t old_size, size_t size)
{
    struct run *r = ud;
    size_t before = old == NULL ? 0 : old_size;

    if (size == 0) {
        r->used -= before;
        neo_free(old);
        return NULL;
    }
    if (r->used - before + size > SANDBOX_MEMORY) {
        r->over_memory = true;
        return NULL;
    }
    void *at = neo_realloc(old, size);
    if (at == NULL)
        return NULL;
    r->used = r->used - before + size;
    if (r->used > r->peak)
        r->peak = r->used;
    return at;
}

static struct run *run_of(lua_State *L)
{
    void *ud;

    (void)lua_getallocf(L, &ud);
    return ud;
}

static void count(lua_State *L, lua_Debug *ar)
{
    struct run *r = run_of(L);

    (void)ar;
    r->instructions += HOOK_EVERY;
    if (r->instructions >= SANDBOX_INSTRUCTIONS) {
        r->over_instructions = true;
        (void)luaL_error(L, "too many instructions");
    }
}

static int log_line(lua_State *L)
{
    struct run *r = run_of(L);
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    if (r->lines++ < SANDBOX_LOG_LINES)
        r->log(r->self, neo_bytes(text, len > SANDBOX_LOG_LINE ? SANDBOX_LOG_LINE : len));
    return 0;
}

static void remove_globals(lua_State *L)
{
    static const char *const gone[] = {"dofile",  "loadfile",     "load",        "collectgarbage",
                                       "require", "print",        "rawset",      "rawget",
                                       "warn",    "getmetatable", "setmetatable"};

    for (size_t i = 0; i < NEO_COUNT(gone); i++) {
        lua_pushnil(L);
        lua_setglobal(L, gone[i]);
    }
    /* Bytecode is not checked by Lua: neither made nor read here. */
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
}

static void open_libraries(lua_State *L)
{
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    lua_pop(L, 5);
    remove_globals(L);
    lua_pushcfunction(L, log_line);
    lua_setglobal(L, "log");
}

/* Everything that may fail inside Lua, under one lua_pcall(). */
struct job {
    struct neo_bytes source;
    struct neo_bytes input;
    bool only_check;
};

static int protected(lua_State *L)
{
    const struct job *job = lua_touserdata(L, 1);

    open_libraries(L);
    if (luaL_loadbufferx(L, (const char *)job->source.at, job->source.len, "=function", "t") !=
        LUA_OK)
        return lua_error(L);
    if (job->only_check)
        return 0;
    lua_pushlstring(L, (const char *)job->input.at, job->input.len);
    lua_setglobal(L, "input");
    lua_sethook(L, count, LUA_MASKCOUNT, HOOK_EVERY);
    lua_call(L, 0, 1);
    if (!lua_isnil(L, -1))
        (void)luaL_tolstring(L, -1, NULL);
    return 1;
}

static enum neo_code judge(lua_State *L, const struct run *r, bool only_check,
                           struct neo_error *err)
{
    const char *words = lua_tostring(L, -1);

    if (words == NULL)
        words = "it failed without a word";
    if (r->over_instructions)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the function took more than %d instructions",
                        SANDBOX_INSTRUCTIONS);
    if (r->over_memory)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the function took more than %d MiB",
                        SANDBOX_MEMORY >> 20);
    return neo_fail(err, only_check ? NEO_INVALID_ARGUMENT : NEO_ABORTED, "%s", words);
}

static enum neo_code take_output(lua_State *L, struct sandbox_result *ret, struct neo_error *err)
{
    size_t len = 0;
    const char *text = lua_isnil(L, -1) ? "" : lua_tolstring(L, -1, &len);

    if (len > SANDBOX_OUTPUT)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the output has more than %d KiB",
                        SANDBOX_OUTPUT >> 10);
    return neo_buffer_append(&ret->output, neo_bytes(text, len))
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

static enum neo_code run(struct job *job, struct run *r, struct sandbox_result *ret,
                         struct neo_error *err)
{
    lua_State *L = lua_newstate(allocate, r);

    if (L == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting Lua");
    lua_pushcfunction(L, protected);
    lua_pushlightuserdata(L, job);
    enum neo_code code;
    if (lua_pcall(L, 1, job->only_check ? 0 : 1, 0) != LUA_OK)
        code = judge(L, r, job->only_check, err);
    else
        code = job->only_check ? NEO_OK : take_output(L, ret, err);
    lua_close(L);
    return code;
}

enum neo_code sandbox_check(struct neo_bytes source, struct neo_error *err)
{
    struct job job = {.source = source, .only_check = true};
    struct run r = {.used = 0};

    return run(&job, &r, NULL, err);
}

enum neo_code sandbox_run(struct neo_bytes source, struct neo_bytes input, sandbox_log_fn *log,
                          void *self, struct sandbox_result *ret, struct neo_error *err)
{
    struct job job = {.source = source, .input = input};
    struct run r = {.log = log, .self = self};
    struct sandbox_result result = {.instructions = 0};

    enum neo_code code = run(&job, &r, &result, err);
    if (code != NEO_OK) {
        neo_buffer_fini(&result.output);
        return code;
    }
    result.instructions = r.instructions + HOOK_EVERY;
    result.memory = r.peak;
    *ret = result;
    return NEO_OK;
}
