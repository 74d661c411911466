/* One connection to one Redis, kept up: connects (TCP, TLS or unix), greets (AUTH, CLIENT SETNAME, SELECT), pipelines
 * commands and hands their replies out in order, connects again with full jitter between 100 ms and 3 s. It knows no
 * channel and no partition.
 *
 * Commands are appended to redis_link_out as RESP, each announced by redis_link_sent, and leave with redis_link_flush:
 * one write for a turn. Each command's on_reply is called exactly once: with its reply, or with NULL when the link was
 * cut before one came (then what it did is not known). A command without an answer within the deadline cuts the link.
 * Thread: the loop's. Nothing is called back inside a call. */
#ifndef CALLBOARD_BROKER_REDIS_LINK_H
#define CALLBOARD_BROKER_REDIS_LINK_H

#include "base/redis_reply.h"
#include "base/redis_tls.h"
#include "broker/redis/link/redis_url.h"

#include <uv.h>

typedef struct redis_link redis_link_t;

struct redis_link_events {
    /* Greeted: commands may be sent. */
    void (*on_up)(void *context);
    /* Cut, or an attempt failed; the replies still owed came as NULL before. reason is static text. */
    void (*on_down)(void *context, const char *reason);
    /* Links for pub/sub: a reply that no command waits for. */
    void (*on_push)(void *context, const struct redis_reply *reply);
};

struct redis_link_options {
    uv_loop_t *loop;
    struct redis_url url;    /* host, port or path, login, database; with tls: `tls` below */
    redis_tls_t *tls;        /* needed where url.tls; lives longer than the link */
    const char *client_name; /* copied */
    size_t commands_max;     /* unanswered at once; see redis_link_has_room */
    size_t bytes_max;        /* of them */
    struct redis_reply_limits reply_limits;
    uint32_t command_timeout_ms;
    bool is_pubsub;
    const struct redis_link_events *events;
    void *context;
};

/* Begins to connect in the loop's next turn. */
redis_link_t *redis_link_new(const struct redis_link_options *options);
/* Owed replies come as NULL before on_closed; then the memory is gone. */
void redis_link_close(redis_link_t *self, void (*on_closed)(void *context), void *context);

bool redis_link_is_up(const redis_link_t *self);
/* Did the last attempt end by a refusal (login, TLS) that does not pass by itself, rather than by silence or a cut?
 * To be asked in on_down: the next attempt begins anew. */
bool redis_link_is_refused(const redis_link_t *self);
/* Below both bounds? Small commands that keep the link sound may be sent above them too. */
bool redis_link_has_room(const redis_link_t *self);
typedef void (*redis_on_reply)(void *context, void *request, const struct redis_reply *reply);
/* Adds how much is unanswered now. */
void redis_link_add_load(const redis_link_t *self, size_t *n_commands, size_t *n_bytes);
/* Where the next command is written. Only while up. */
struct buffer *redis_link_out(redis_link_t *self);
/* All bytes appended since the last call are one command. on_reply NULL: the reply is not wanted (or, on a link for
 * pub/sub, comes as a push). context: that of the options. */
void redis_link_sent(redis_link_t *self, redis_on_reply on_reply, void *request);
void redis_link_flush(redis_link_t *self);
/* This server is not the one to speak to, or does not answer: cut and connect again. reason is static text. */
void redis_link_drop(redis_link_t *self, const char *reason);

#endif
