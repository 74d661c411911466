/* Which tokens are revoked before their time: those of a user that were issued before a moment, and single ones by
 * their jti (security.md S7). A list is read whole from a text of lines, each a JSON object:
 *     {"user":"42","not_before":1767225600}      tokens of user 42 with an iat before this, or without iat
 *     {"jti":"7f3a","until":1767312000}          this token
 * until, in either, is when the line means nothing more; it may be left out. Empty lines, and lines that begin with #,
 * are passed over. So a line is added by appending it. Counted references, never changed. Thread: any. */
#ifndef CALLBOARD_GATEWAY_REVOCATIONS_H
#define CALLBOARD_GATEWAY_REVOCATIONS_H

#include "base/bytes.h"

typedef struct revocations revocations_t;

#define REVOCATION_WITHOUT_END INT64_MAX
/* One line. */
struct revocation {
    bool is_user;
    struct span name;     /* the user, or the jti */
    int64_t not_before_s; /* of a user */
    int64_t until_s;      /* REVOCATION_WITHOUT_END: it has none */
};
/* NULL: *ret_revocation is it, its name appended to `decoded`, which has room for the line's size. Else what is wrong.
 */
const char *revocation_read(struct span line, struct buffer *decoded, struct revocation *ret_revocation);
void revocation_append(struct buffer *out, const struct revocation *revocation); /* the line, without its end */

/* NULL: a line is wrong; ret_error says which and why. Lines whose time has passed at now_s are left out. */
revocations_t *revocations_read(struct span text, int64_t now_s, char *ret_error, size_t error_size);
revocations_t *revocations_ref(revocations_t *self);
void revocations_unref(revocations_t **self_p); /* accepts NULL */
/* What either list revokes; either may be NULL. */
revocations_t *revocations_union(const revocations_t *a, const revocations_t *b);

size_t revocations_count(const revocations_t *self); /* NULL: 0 */
/* jti empty: the token has none. has_issued_at false: it has no iat. */
bool revocations_have(const revocations_t *self, struct span user, bool has_issued_at, int64_t issued_at_s,
                      struct span jti);

#endif
