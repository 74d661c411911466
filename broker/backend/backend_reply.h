/* Bodies of replies and events, as JSON. Pure. docs/backend-api.md "Reply", "Methods".
 * Thread: any. */
#ifndef CALLBOARD_BROKER_BACKEND_REPLY_H
#define CALLBOARD_BROKER_BACKEND_REPLY_H

#include "base/bytes.h"
#include "base/error_code.h"
#include "base/wire.h"
#include "broker/shard_request.h"

/* {"code","reason","message","temporary","definite"}; message NULL or "": the list's. */
void backend_append_error(struct buffer *out, enum error_code code, const char *message);
/* {"offset","epoch","duplicate"} and, where it is so, "suppressed":true, "durable":false */
void backend_append_published(struct buffer *out, const struct shard_reply *reply);
/* {"offset","epoch"} */
void backend_append_position(struct buffer *out, const struct position *position);
/* {"publications":[…],"offset","epoch"} */
void backend_append_history(struct buffer *out, const struct shard_reply *reply);
/* {"presence":{client:{…}}} */
void backend_append_presence(struct buffer *out, const struct shard_reply *reply);
void backend_append_presence_stats(struct buffer *out, const struct shard_reply *reply);
/* {"type","channel","offset","epoch",…}, without the payload; publication NULL: none */
void backend_append_event(struct buffer *out, const char *type, struct span channel, const struct position *position,
                          const struct wire_publication *publication);
/* {"user","client","conn_info"?,"chan_info"?} */
void backend_append_client_info(struct buffer *out, const struct wire_client_info *info);

/* {"mode","token"?,"ttl"?}: of a lease; and of a value by its kind */
void backend_append_lease(struct buffer *out, const struct shard_reply *reply);
void backend_append_value(struct buffer *out, const struct shard_reply *reply);

#endif
