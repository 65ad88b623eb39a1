/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader accepts, the writer can say again, and saying it again changes nothing more. */
#include <neo/json.h>

#include <stdlib.h>

enum { BUDGET = 32 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

/* Copies the scalar that comes next, or opens the container; true when it opened one. */
static bool copy_one(struct neo_json *r, struct neo_json_writer *w)
{
    struct neo_bytes text;
    bool truth;

    switch (neo_json_peek(r)) {
    case NEO_JSON_OBJECT:
        neo_json_open_object(w);
        return neo_json_enter_object(r);
    case NEO_JSON_ARRAY:
        neo_json_open_array(w);
        return neo_json_enter_array(r);
    case NEO_JSON_STRING:
        if (neo_json_string(r, &text))
            neo_json_put_string(w, text);
        return false;
    case NEO_JSON_NUMBER:
        if (neo_json_number(r, &text))
            neo_json_put_raw(w, text);
        return false;
    case NEO_JSON_BOOL:
        if (neo_json_bool(r, &truth))
            neo_json_put_bool(w, truth);
        return false;
    case NEO_JSON_NULL:
        if (neo_json_null(r))
            neo_json_put_null(w);
        return false;
    case NEO_JSON_ERROR:
        break;
    }
    return false;
}

static enum neo_code copy(struct neo_bytes text, bool pretty, struct neo_buffer *out)
{
    bool is_object[NEO_JSON_DEPTH_MAX + 1];
    struct neo_json_writer w = {.out = out, .pretty = pretty};
    struct neo_arena arena;
    struct neo_bytes key;
    struct neo_json r;
    size_t depth = 0;

    neo_arena_init(&arena, BUDGET);
    neo_json_init(&r, text, "fuzz", &arena);
    do {
        bool opens_object = neo_json_peek(&r) == NEO_JSON_OBJECT;
        if (copy_one(&r, &w))
            is_object[depth++] = opens_object;
        while (depth > 0) {
            if (is_object[depth - 1] && neo_json_key(&r, &key)) {
                neo_json_put_key_bytes(&w, key);
                break;
            }
            if (!is_object[depth - 1] && neo_json_element(&r))
                break;
            if (is_object[--depth])
                neo_json_close_object(&w);
            else
                neo_json_close_array(&w);
        }
    } while (depth > 0);
    enum neo_code code = neo_json_finish(&r, NULL);
    neo_arena_fini(&arena);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_buffer compact = {0};
    struct neo_buffer pretty = {0};
    struct neo_buffer again = {0};

    if (copy(neo_bytes(data, size), false, &compact) == NEO_OK) {
        must(copy(neo_buffer_bytes(&compact), true, &pretty) == NEO_OK);
        must(copy(neo_buffer_bytes(&pretty), false, &again) == NEO_OK);
        must(neo_bytes_equal(neo_buffer_bytes(&again), neo_buffer_bytes(&compact)));
    }
    neo_buffer_fini(&compact);
    neo_buffer_fini(&pretty);
    neo_buffer_fini(&again);
    return 0;
}
