/* SPDX-License-Identifier: Apache-2.0 */
/* codec/yaml_text.h - what a configuration file may be made of, before and after YAML. */
#ifndef NEO_CODEC_YAML_TEXT_H
#define NEO_CODEC_YAML_TEXT_H

#include <neo/yaml.h>

/* Refuses what people cannot see or editors do not agree about, with its place. */
enum neo_code yaml_check_text(struct neo_bytes text, const char *file, struct neo_error *err);

/* The same for a value, where an escape may have made what the file does not hold. */
bool yaml_is_visible(struct neo_bytes value);

/*
 * Converts a scalar to what `kind` says, into `ret`. `plain`: written without quotes. Returns NULL,
 * or what the value must be instead.
 */
const char *yaml_convert(enum neo_yaml_kind kind, struct neo_bytes text, bool plain,
                         struct neo_arena *arena, void *ret);

/* The key of `fields` that `key` was probably meant to be, or NULL. */
const char *yaml_nearest_key(const struct neo_yaml_field *fields, struct neo_bytes key);

#endif
