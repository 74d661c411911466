/* Commands as RESP, every value with its length before it (security.md S26): nothing a user sends can become another
 * command. Thread: any (no state). */
#ifndef CALLBOARD_BROKER_REDIS_REQUEST_H
#define CALLBOARD_BROKER_REDIS_REQUEST_H

#include "base/bytes.h"

void redis_request_begin(struct buffer *out, size_t n_arguments);
void redis_request_bytes(struct buffer *out, struct span argument);
void redis_request_text(struct buffer *out, const char *argument);
void redis_request_u64(struct buffer *out, uint64_t argument);
/* An argument of several parts. */
void redis_request_parts(struct buffer *out, const struct span *parts, size_t n_parts);
/* A whole command of texts. */
void redis_request_texts(struct buffer *out, size_t n, const char *const *arguments);

#endif
