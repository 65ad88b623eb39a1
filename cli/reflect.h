/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/reflect.h - finds a method: in a descriptor file, or by gRPC reflection v1.
 */
#ifndef NEO_CLI_REFLECT_H
#define NEO_CLI_REFLECT_H

#include <neo/channel.h>

/* A FileDescriptorSet (protoc --include_imports --descriptor_set_out). Gives `*ret`. */
NEO_MUST_CHECK enum neo_code reflect_file(const char *path, struct neo_descriptors **ret,
                                          struct neo_error *err);
/* Asks the server for what defines "package.Service" of "package.Service/Method". Gives `*ret`. */
NEO_MUST_CHECK enum neo_code reflect_service(struct neo_channel *channel, const char *method,
                                             struct neo_descriptors **ret, struct neo_arena *arena,
                                             struct neo_status *ret_status, struct neo_error *err);
/* NOT_FOUND names the methods that there are. */
NEO_MUST_CHECK enum neo_code reflect_method(const struct neo_descriptors *pool, const char *method,
                                            const struct neo_method **ret, struct neo_error *err);

#endif
