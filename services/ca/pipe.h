/* SPDX-License-Identifier: Apache-2.0 */
/* ca/pipe.h - whole messages between the CA's front and its signer, over blocking pipes. */
#ifndef NEO_CA_PIPE_H
#define NEO_CA_PIPE_H

#include <stdbool.h>
#include <stddef.h>

/* All of `len` bytes, across interruptions. False when the other end is gone, or at an error. */
bool pipe_read(int fd, void *at, size_t len);
bool pipe_write(int fd, const void *at, size_t len);

#endif
