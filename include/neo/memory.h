/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/memory.h - the one door to the heap.
 *
 * Everything outside src/base allocates here, so that a test can make the n-th
 * allocation fail (neo_memory_fail_at) and prove that nothing breaks or leaks.
 */
#ifndef NEO_MEMORY_H
#define NEO_MEMORY_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Cleared memory, or NULL, also where count times size does not fit. Release with neo_free(), which
   takes NULL, too. Any thread. */
void *neo_alloc(size_t size);
void *neo_alloc_array(size_t count, size_t size);
/* Keeps the contents; the new part is not cleared. On failure `old` stays valid. */
void *neo_realloc(void *old, size_t size);
void neo_free(void *memory);

/* A terminated copy, or NULL. Release with neo_free(). */
char *neo_string_dup(const char *text);
char *neo_string_from(struct neo_bytes bytes);

/* Clears `len` bytes in a way the compiler may not remove. */
void neo_zeroise(void *memory, size_t len);

/* For NEO_CLEANUP on any pointer variable that owns heap memory. */
void neo_freep(void *pointer_to_pointer);

/* Tests only: the n-th allocation from now (1 is the next) and all later ones fail; 0 ends it. */
void neo_memory_fail_at(unsigned long n);

#ifdef __cplusplus
}
#endif

#endif
