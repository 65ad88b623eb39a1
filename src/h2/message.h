/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/message.h - what RFC 9113, section 8, asks of every message, whatever it is for.
 *
 * Names and values of fields, pseudo-headers, fields that belong to a connection,
 * content-length beside what DATA brings, 1xx before the answer, trailers. It takes the place
 * of nghttp2's checks, which this engine switches off: a field is looked at once, as it is
 * decoded, and what it is, is told by its name once. It refuses whatever nghttp2 refuses
 * (tests/fuzz/fuzz_h2_messages.c holds both against each other); grammar.h comes behind it
 * and asks more of what is for us.
 *
 * Every function that judges returns false for a malformed message: a stream error, PROTOCOL_ERROR.
 *
 * Pure. Zeros are a message of which nothing has come.
 */
#ifndef NEO_H2_MESSAGE_H
#define NEO_H2_MESSAGE_H

#include <neo/bytes.h>

/* What a field is, by its name. */
enum message_name {
    NAME_BAD, /* not a name, or one that no message may carry */
    NAME_METHOD,
    NAME_SCHEME,
    NAME_PATH,
    NAME_AUTHORITY,
    NAME_STATUS,
    NAME_HOST,
    NAME_TE,
    NAME_TYPE,
    NAME_LENGTH,
    NAME_UNDERSCORE, /* another, with an underscore in it */
    NAME_OTHER,
};

struct message {
    uint16_t seen;
    bool has_length;
    bool awaits_final; /* 1xx came, and the response must follow */
    uint16_t status;
    uint64_t length; /* what content-length says */
    uint64_t received;
};

enum message_name message_name(struct neo_bytes name);

static inline bool message_is_pseudo(enum message_name what)
{
    return what >= NAME_METHOD && what <= NAME_STATUS;
}

/*
 * A field of a request, or of a response. `is_known`: the value of :path or :authority is one that
 * the grammar, which is stricter, has found valid before.
 */
bool message_request_field(struct message *m, enum message_name what, struct neo_bytes value,
                           bool is_known);
bool message_response_field(struct message *m, enum message_name what, struct neo_bytes value);
/* content-length of a response without a body: it is valid and says nothing, so it is left out. */
bool message_drops(const struct message *m, enum message_name what);
/* Of trailers; `is_request`: of a request's. */
bool message_trailer_field(enum message_name what, struct neo_bytes value, bool is_request);

/* The block was read; `end`: it ends the stream. */
bool message_request_complete(struct message *m, bool end);
bool message_response_complete(struct message *m, bool end);
bool message_trailers_complete(const struct message *m, bool end);

/* DATA brings `len` bytes more. */
bool message_data(struct message *m, size_t len);
/* The stream ends, by DATA. */
bool message_ended(const struct message *m);

#endif
