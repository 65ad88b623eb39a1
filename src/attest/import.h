/* SPDX-License-Identifier: Apache-2.0 */
/* attest/import.h - one row of reference values, on its way from a tool's output to YAML. */
#ifndef NEO_ATTEST_IMPORT_H
#define NEO_ATTEST_IMPORT_H

#include <neo/arena.h>
#include <neo/reference.h>

enum { IMPORT_VALUES = 96, IMPORT_VALUE_MAX = 64, IMPORT_ROWS = 16, IMPORT_MAX = 4 << 20 };

/* A key of a row: "mrtd", or "rtmr" with an index below. Several of one key are a list. */
struct import_value {
    const char *key;
    int index; /* -1: none */
    uint8_t at[IMPORT_VALUE_MAX];
    size_t len;
};
struct import_row {
    const char *tee;     /* a literal */
    const char *missing; /* what must be added before it loads, or NULL */
    struct import_value values[IMPORT_VALUES];
    size_t n;
};
struct import {
    struct neo_arena *arena;
    struct import_row *rows; /* IMPORT_ROWS of them */
    size_t n;
};

/* The row for `tee`, made when there is none; NULL: too many. */
struct import_row *import_row(struct import *import, const char *tee);
/* The same value again is left out. False: too many, or too long. */
bool import_add(struct import_row *row, const char *key, int index, struct neo_bytes value);

typedef enum neo_code import_fn(struct neo_bytes text, struct import *import,
                                struct neo_error *err);
import_fn import_snp_measure, import_td_shim, import_ccel, import_nitro_cli, import_corim,
    import_tpm2;

#endif
