/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gas-bank-service: balances in SQLite. A grant is recorded under the caller's
 * idempotency key in the transaction that takes it from the balance, so a repeated
 * request is answered and not paid twice.
 */
#include "gas-bank/gasbank.neo.h"

#include <neo/memory.h>
#include <neo/mesh.h>
#include <neo/store.h>

#include <pthread.h>
#include <stdio.h>

enum { FIRST_BALANCE = 1000000000 };

struct service {
    struct neo_mesh *mesh;
    struct neo_store *store; /* under the lock */
    pthread_mutex_t lock;
};

static const char *const migrations[] = {
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))"
    "  WITHOUT ROWID;"
    "CREATE TABLE grants (id INTEGER PRIMARY KEY, caller TEXT NOT NULL, key TEXT NOT NULL,"
    "  account TEXT NOT NULL, amount INTEGER NOT NULL, remaining INTEGER NOT NULL,"
    "  UNIQUE (caller, key));",
    NULL,
};

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

static enum neo_code read_balance(struct service *s, struct neo_bytes account, int64_t *ret,
                                  struct neo_error *err)
{
    struct neo_row *row;

    NEO_TRY(neo_store_run(s->store, "INSERT OR IGNORE INTO accounts VALUES (?1, ?2)",
                          VALUES(neo_value_text(account), neo_value_i64(FIRST_BALANCE)), NULL,
                          err));
    NEO_TRY(neo_store_query(s->store, "SELECT balance FROM accounts WHERE name = ?1",
                            VALUES(neo_value_text(account)), &row, err));
    if (neo_row_next(row))
        *ret = neo_row_i64(row, 0);
    return neo_row_done(row, err);
}

struct grant {
    int64_t id;
    int64_t remaining;
};

/* NOT_FOUND: this key is new. */
static enum neo_code find_grant(struct service *s, struct neo_bytes caller,
                                const struct gasbankservice_RequestGasRequest *r, struct grant *ret,
                                struct neo_error *err)
{
    struct neo_row *row;
    bool found = false, same = false;

    NEO_TRY(neo_store_query(
        s->store,
        "SELECT id, remaining, account, amount FROM grants WHERE caller = ?1 AND key = ?2",
        VALUES(neo_value_text(caller), neo_value_text(r->idempotency_key)), &row, err));
    if (neo_row_next(row)) {
        found = true;
        *ret = (struct grant){neo_row_i64(row, 0), neo_row_i64(row, 1)};
        same = neo_bytes_equal(neo_row_bytes(row, 2), r->account) &&
               neo_row_i64(row, 3) == (int64_t)r->amount;
    }
    NEO_TRY(neo_row_done(row, err));
    if (found && !same)
        return neo_fail(err, NEO_ALREADY_EXISTS, "this key was used for another request");
    return found ? NEO_OK : NEO_NOT_FOUND;
}

static enum neo_code take(struct service *s, struct neo_bytes caller,
                          const struct gasbankservice_RequestGasRequest *r, struct grant *ret,
                          struct neo_error *err)
{
    int64_t balance = 0, amount = (int64_t)r->amount;

    NEO_TRY(read_balance(s, r->account, &balance, err));
    if (amount > balance)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "the balance is %lld", (long long)balance);
    NEO_TRY(neo_store_run(s->store, "UPDATE accounts SET balance = balance - ?2 WHERE name = ?1",
                          VALUES(neo_value_text(r->account), neo_value_i64(amount)), NULL, err));
    NEO_TRY(neo_store_run(
        s->store,
        "INSERT INTO grants (caller, key, account, amount, remaining) VALUES (?1, ?2, ?3, ?4, ?5)",
        VALUES(neo_value_text(caller), neo_value_text(r->idempotency_key),
               neo_value_text(r->account), neo_value_i64(amount), neo_value_i64(balance - amount)),
        NULL, err));
    *ret = (struct grant){neo_store_last_id(s->store), balance - amount};
    return NEO_OK;
}

static enum neo_code decide(struct service *s, struct neo_bytes caller,
                            const struct gasbankservice_RequestGasRequest *r, struct grant *ret,
                            struct neo_error *err)
{
    enum neo_code code = find_grant(s, caller, r, ret, err);

    if (code != NEO_NOT_FOUND)
        return code;
    NEO_TRY(neo_store_begin(s->store, err));
    code = take(s, caller, r, ret, err);
    if (code == NEO_OK)
        code = neo_store_commit(s->store, err);
    if (code != NEO_OK)
        neo_store_rollback(s->store);
    return code;
}

static void request_gas(struct neo_call *call,
                        const struct gasbankservice_RequestGasRequest *request, void *self)
{
    struct service *s = self;
    struct gasbankservice_RequestGasResponse response;
    struct grant grant = {0};
    struct neo_error err = {0};
    char id[32];

    if (request->account.len == 0 || request->amount == 0 || request->amount > INT64_MAX ||
        request->idempotency_key.len == 0) {
        neo_call_fail(call, NEO_INVALID_ARGUMENT, "account, amount and idempotency_key are needed");
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    enum neo_code code = decide(s, neo_call_context(call)->caller, request, &grant, &err);
    (void)pthread_mutex_unlock(&s->lock);
    if (code != NEO_OK) {
        neo_call_fail(call, code, "%s", err.message);
        return;
    }
    (void)snprintf(id, sizeof(id), "grant-%lld", (long long)grant.id);
    response = (struct gasbankservice_RequestGasResponse){.grant_id = neo_text(id),
                                                          .remaining = (uint64_t)grant.remaining};
    gasbankservice_GasBankService_RequestGas_reply(call, &response);
}

static void check_balance(struct neo_call *call,
                          const struct gasbankservice_CheckBalanceRequest *request, void *self)
{
    struct service *s = self;
    struct neo_error err = {0};
    int64_t balance = 0;

    (void)pthread_mutex_lock(&s->lock);
    enum neo_code code = read_balance(s, request->account, &balance, &err);
    (void)pthread_mutex_unlock(&s->lock);
    if (code == NEO_OK)
        gasbankservice_GasBankService_CheckBalance_reply(
            call, &(struct gasbankservice_CheckBalanceResponse){.balance = (uint64_t)balance});
    else
        neo_call_fail(call, code, "%s", err.message);
}

static const struct gasbankservice_GasBankService_handlers handlers = {
    .RequestGas = request_gas,
    .CheckBalance = check_balance,
};

static enum neo_code serve(struct service *s, struct neo_error *err)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/gasbank.db", neo_mesh_state_dir(s->mesh));
    NEO_TRY(neo_store_open(path, migrations, &s->store, err));
    NEO_TRY(neo_mesh_serve(s->mesh, &gasbankservice_GasBankService_info, &handlers, s, err));
    NEO_TRY(neo_server_set_blocking(neo_mesh_server(s->mesh),
                                    "/gasbankservice.GasBankService/RequestGas", err));
    NEO_TRY(neo_server_set_blocking(neo_mesh_server(s->mesh),
                                    "/gasbankservice.GasBankService/CheckBalance", err));
    return neo_mesh_run(s->mesh, err);
}

int main(int argc, char **argv)
{
    static struct service s;
    struct neo_error err;

    (void)pthread_mutex_init(&s.lock, NULL);
    if (neo_mesh_start(argc, argv, "gas-bank-service", &s.mesh, &err) != NEO_OK ||
        serve(&s, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    neo_store_close(s.store);
    return 0;
}
