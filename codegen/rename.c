/* SPDX-License-Identifier: Apache-2.0 */
#include "rename.h"

#include "names.h"

#define KEY "name="

static size_t count(struct neo_bytes parameter)
{
    size_t n = 1;

    for (size_t i = 0; i < parameter.len; i++)
        n += parameter.at[i] == ',';
    return n;
}

static bool is_name(struct neo_arena *arena, struct neo_bytes name)
{
    return name.len > 0 && neo_bytes_is(name, names_global(arena, name));
}

static enum neo_code read_one(struct neo_bytes one, struct neo_arena *arena,
                              struct renames *renames, struct neo_error *err)
{
    if (!neo_bytes_starts(one, NEO_LIT(KEY)))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "unknown parameter \"%.*s\"; there is name=ELEMENT=NAME_IN_C",
                        NEO_FMT(one));
    struct neo_bytes element = neo_bytes_from(one, strlen(KEY));
    const uint8_t *equals = element.len == 0 ? NULL : memchr(element.at, '=', element.len);
    size_t at = equals == NULL ? 0 : (size_t)(equals - element.at);

    if (at == 0 || !is_name(arena, neo_bytes_from(element, at + 1)))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "\"%.*s\": write name=ELEMENT=NAME_IN_C, as in "
                        "name=chat.v1.Chat.Say=chat_v1_Chat_SayIt; C's own words and what its "
                        "headers declare are no names",
                        NEO_FMT(one));
    renames->at[renames->len++] = (struct rename){
        .element = neo_bytes(element.at, at),
        .name = neo_arena_string(arena, neo_bytes_from(element, at + 1)),
    };
    return NEO_OK;
}

enum neo_code rename_read(struct neo_bytes parameter, struct neo_arena *arena, struct renames *ret,
                          struct neo_error *err)
{
    struct renames renames = {.at = neo_arena_calloc(arena, count(parameter), sizeof(*renames.at))};

    if (renames.at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    while (parameter.len > 0) {
        const uint8_t *comma = memchr(parameter.at, ',', parameter.len);
        struct neo_bytes one = parameter;

        if (comma != NULL)
            one.len = (size_t)(comma - parameter.at);
        parameter = neo_bytes_from(parameter, one.len + (comma != NULL));
        NEO_TRY(read_one(one, arena, &renames, err));
    }
    *ret = renames;
    return NEO_OK;
}

const char *rename_find(const struct renames *renames, const char *element)
{
    for (size_t i = 0; element != NULL && i < renames->len; i++) {
        if (neo_bytes_is(renames->at[i].element, element)) {
            renames->at[i].is_used = true;
            return renames->at[i].name;
        }
    }
    return NULL;
}

enum neo_code rename_check(const struct renames *renames, struct neo_error *err)
{
    for (size_t i = 0; i < renames->len; i++) {
        if (!renames->at[i].is_used)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "name=%.*s=%s: there is no message, enum, value, field, service, "
                            "method or file of that name",
                            NEO_FMT(renames->at[i].element), renames->at[i].name);
    }
    return NEO_OK;
}
