/* An actor: a thread with a libuv loop and an inbox; nobody else touches what it owns.
 * Its turn: inbox → handlers, sockets, timers → on_flush (once, before the loop sleeps). Messages cross by pointer
 * through a lock-free queue with one wake-up a batch; ownership of a message passes with it. The inbox is bounded in
 * messages and bytes; messages posted as `control` always pass (they are few and bounded).
 * Starting: actor_new returns after on_start ran on the new thread, with its result; an on_start that refuses closes
 * what it had opened. Stopping: actor_stop asks, on_stop starts closing handles, the loop runs until none is left; a
 * deadline turns a stuck actor into an abort with a message. The thread blocks all signals: they are the main thread's.
 * Thread: actor_new, actor_stop, actor_destroy: the owner. actor_post: any. The rest: the actor's own. */
#ifndef CALLBOARD_BASE_ACTOR_H
#define CALLBOARD_BASE_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

typedef struct actor actor_t;

/* Embedded first in every message of an actor's own kind. */
struct actor_message {
    struct actor_message *next; /* the inbox's */
    uint32_t kind;              /* of the receiver's enum */
    uint32_t control;           /* the inbox's: was it posted as control? */
    size_t bytes;               /* what it is charged with, ≥ sizeof(struct) */
};

struct actor_limits {
    size_t inbox_messages; /* default 65,536 */
    size_t inbox_bytes;    /* default 64 MiB */
};

#define ACTOR_LIMITS_DEFAULT ((struct actor_limits){65536, (size_t) 64 << 20})

struct actor_callbacks {
    /* On the new thread, first. False: start failed, say why in `ret_error`; on_stop is not called. */
    bool (*on_start)(void *context, actor_t *actor, char *ret_error, size_t error_size);
    /* One message; the callee owns it and frees it. */
    void (*on_message)(void *context, struct actor_message *message);
    /* Before each sleep: flush what the turn gathered. It has the last word of the turn: prepare callbacks of others
     * may have run already, so what it hands to a socket it must also send. */
    void (*on_flush)(void *context);
    /* Asked to stop, after the last messages were handled and flushed: close every uv handle of yours. */
    void (*on_stop)(void *context);
    /* Frees a message that nobody will handle any more (inbox of a stopped actor). */
    void (*drop_message)(void *context, struct actor_message *message);
};

/* NULL when the thread could not be made or on_start refused; `ret_error` says why (at least 256 bytes). */
actor_t *actor_new(const char *name, const struct actor_callbacks *callbacks, void *context,
                   const struct actor_limits *limits, char *ret_error, size_t error_size);
/* Asks to stop and returns at once; any thread. What was posted before is still handled. */
void actor_ask_to_stop(actor_t *self);
/* Asks, and waits until the thread has ended; aborts after `deadline_ms`. From then on posts are answered with
 * ACTOR_STOPPED, so actors that know each other are all stopped first and destroyed afterwards. May be called again. */
void actor_stop(actor_t *self, uint32_t deadline_ms);
/* Stops unless stopped, drops what is left in the inbox, frees. Accepts NULL. */
void actor_destroy(actor_t **self_p, uint32_t deadline_ms);

enum actor_post_result {
    ACTOR_POSTED,  /* taken: *message_p is NULL */
    ACTOR_FULL,    /* at a bound: the message stays the caller's */
    ACTOR_STOPPED, /* the message stays the caller's */
};
enum actor_post_result actor_post(actor_t *self, struct actor_message **message_p);
/* As actor_post, never ACTOR_FULL. */
enum actor_post_result actor_post_control(actor_t *self, struct actor_message **message_p);

uv_loop_t *actor_loop(actor_t *self);
bool actor_is_on_thread(const actor_t *self);
const char *actor_name(const actor_t *self);
/* Milliseconds since the loop last came round, for liveness (any thread); up to about 200 while it sleeps. */
uint64_t actor_stalled_ms(const actor_t *self);
/* Inbox now, for metrics (any thread). */
size_t actor_inbox_messages(const actor_t *self);
size_t actor_inbox_bytes(const actor_t *self);

#endif
