/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/openssl_memory.h - neo_memory_fail_at(), for the memory OpenSSL takes.
 */
#ifndef NEO_TESTS_SUPPORT_OPENSSL_MEMORY_H
#define NEO_TESTS_SUPPORT_OPENSSL_MEMORY_H

#include <stdbool.h>

/* First thing in main(): OpenSSL changes its allocator only before it has used it. */
bool openssl_memory_install(void);

/* The n-th allocation from now and all later ones fail; 0 ends it. */
void openssl_memory_fail_at(unsigned long n);

/* Allocations since the last call. */
unsigned long openssl_memory_count(void);

#endif
