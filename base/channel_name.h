/* Channel names: client-protocol.md section 13, narrowed by security.md S26.
 * At most 255 bytes of 0x21–0x7E, without { } * ? [ ] \ " ' `. `$` first: private. Text before the first `:` (after a
 * leading `$`): the namespace. `#` last: user-limited, user ids separated by commas. */
#ifndef CALLBOARD_BASE_CHANNEL_NAME_H
#define CALLBOARD_BASE_CHANNEL_NAME_H

#include "base/bytes.h"

enum { CHANNEL_NAME_MAX = 255, NAMESPACE_NAME_MAX = 64 };

enum channel_name_outcome { CHANNEL_NAME_OK, CHANNEL_NAME_EMPTY, CHANNEL_NAME_TOO_LONG, CHANNEL_NAME_BAD_BYTE };

enum channel_name_outcome channel_name_check(struct span name);
bool channel_name_is_private(struct span name);
/* Of the channels that are our own: no client and no service can name one, because channel_name_check refuses it. */
#define REVOCATIONS_CHANNEL "[revocations]" /* gateway/token/revocation_feed.h */
bool channel_name_is_own(struct span name);
/* Empty when the name has no namespace. */
struct span channel_name_namespace(struct span name);
bool channel_name_is_user_limited(struct span name);
/* Does the user-limited name list this user? Never for the empty user. */
bool channel_name_allows_user(struct span name, struct span user);
/* ^[-a-zA-Z0-9_]{2,}$, at most NAMESPACE_NAME_MAX */
bool namespace_name_is_valid(struct span name);
/* Glob with * only (any run of bytes), bounded work: for rights and `channels`. */
bool channel_name_matches(struct span pattern, struct span name);

#endif
