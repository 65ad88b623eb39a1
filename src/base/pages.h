/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/pages.h - large memory of which little is used.
 *
 * It comes from the system in pages of its own, so that what is never touched is never there. From
 * the heap it would be what somebody else has used before.
 */
#ifndef NEO_BASE_PAGES_H
#define NEO_BASE_PAGES_H

#include <neo/memory.h>

/* Cleared, or NULL. Release with pages_free() and the same size. */
void *pages_alloc(size_t size);
void pages_free(void *memory, size_t size);

#endif
