/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key-service: signs with keys that never leave. A key is made when it is first
 * asked for and kept in the state folder, mode 0600.
 */
#include "key/key.neo.h"

#include <neo/memory.h>
#include <neo/mesh.h>
#include <neo/store.h>

#include <pthread.h>
#include <stdio.h>

enum { MESSAGE_MAX = 64 << 10 };

struct service {
    struct neo_mesh *mesh;
    pthread_mutex_t lock; /* making keys */
};

static bool is_key_id(struct neo_bytes id)
{
    return neo_is_service_name(id); /* the same small alphabet: it becomes a file's name */
}

static enum neo_code make_key(const char *path, struct neo_key **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};

    NEO_TRY(neo_key_generate(NEO_KEY_P256, ret, err));
    NEO_TRY(neo_key_to_pem(*ret, &pem, err));
    return neo_file_replace(path, neo_buffer_bytes(&pem), 0600, err);
}

static enum neo_code load_key(const char *path, struct neo_key **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};

    NEO_TRY(neo_file_read(path, 16384, &pem, err));
    return neo_key_from_pem(neo_buffer_bytes(&pem), "stored key", ret, err);
}

/* Gives `*ret`: neo_key_unref(). */
static enum neo_code get_key(struct service *s, struct neo_bytes id, struct neo_key **ret,
                             struct neo_error *err)
{
    char path[1024];

    if (!is_key_id(id))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a key id is of [a-z0-9-]");
    (void)snprintf(path, sizeof(path), "%s/key-%.*s.pem", neo_mesh_state_dir(s->mesh), NEO_FMT(id));
    (void)pthread_mutex_lock(&s->lock);
    enum neo_code code = load_key(path, ret, err);
    if (code == NEO_NOT_FOUND)
        code = make_key(path, ret, err);
    (void)pthread_mutex_unlock(&s->lock);
    return code;
}

static void sign(struct neo_call *call, const struct keyservice_SignRequest *request, void *self)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer signature = {0};
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    struct neo_error err = {0};

    if (request->message.len == 0 || request->message.len > MESSAGE_MAX) {
        neo_call_fail(call, NEO_INVALID_ARGUMENT, "a message has 1 to %d bytes", MESSAGE_MAX);
        return;
    }
    enum neo_code code = get_key(self, request->key_id, &key, &err);
    if (code == NEO_OK)
        code = neo_key_sign(key, request->message, &signature, &err);
    if (code == NEO_OK)
        keyservice_KeyService_Sign_reply(
            call, &(struct keyservice_SignResponse){.signature = neo_buffer_bytes(&signature)});
    else
        neo_call_fail(call, code, "%s", err.message);
}

static void get_public_key(struct neo_call *call,
                           const struct keyservice_GetPublicKeyRequest *request, void *self)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    struct neo_error err = {0};

    enum neo_code code = get_key(self, request->key_id, &key, &err);
    if (code == NEO_OK)
        code = neo_key_spki(key, &spki, &err);
    if (code == NEO_OK)
        keyservice_KeyService_GetPublicKey_reply(
            call, &(struct keyservice_GetPublicKeyResponse){.spki = neo_buffer_bytes(&spki)});
    else
        neo_call_fail(call, code, "%s", err.message);
}

static const struct keyservice_KeyService_handlers handlers = {
    .Sign = sign,
    .GetPublicKey = get_public_key,
};

static enum neo_code serve(struct service *s, struct neo_error *err)
{
    NEO_TRY(neo_mesh_serve(s->mesh, &keyservice_KeyService_info, &handlers, s, err));
    NEO_TRY(neo_server_set_blocking(neo_mesh_server(s->mesh), "/keyservice.KeyService/Sign", err));
    NEO_TRY(neo_server_set_blocking(neo_mesh_server(s->mesh), "/keyservice.KeyService/GetPublicKey",
                                    err));
    return neo_mesh_run(s->mesh, err);
}

int main(int argc, char **argv)
{
    static struct service s;
    struct neo_error err;

    (void)pthread_mutex_init(&s.lock, NULL);
    if (neo_mesh_start(argc, argv, "key-service", &s.mesh, &err) != NEO_OK ||
        serve(&s, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    return 0;
}
