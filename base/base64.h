/* Base64 (RFC 4648), both alphabets, strictly: no white space, no foreign characters, padding exactly where the
 * standard wants it, unused bits zero. So every byte string has one text, and what was judged here is what everybody
 * else reads. Thread: any. */
#ifndef CALLBOARD_BASE_BASE64_H
#define CALLBOARD_BASE_BASE64_H

#include "base/bytes.h"

/* The URL-safe alphabet without padding (section 5), as tokens have it. Decoding appends; false: not base64url, or over
 * the limit of `out` (part of it may have been appended then). */
bool base64url_decode(struct buffer *out, struct span text);
void base64url_encode(struct buffer *out, struct span bytes);
/* The standard alphabet with padding (section 4), for b64info and b64data. */
bool base64_decode(struct buffer *out, struct span text);
void base64_encode(struct buffer *out, struct span bytes);

#endif
