/* What the files of a session share with each other and nobody else: the session itself, its subscriptions and
 * requests, and one handler for each command. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_SESSION_COMMANDS_H
#define CALLBOARD_GATEWAY_SESSION_COMMANDS_H

#include "gateway/outbox.h"
#include "gateway/session/permission.h"
#include "gateway/session/session.h"

enum session_state {
    SESSION_NEW,        /* no connect command yet */
    SESSION_CONNECTING, /* accepted, its server-side subscriptions join; no reply yet, commands wait */
    SESSION_CONNECTED,  /* its connect command was accepted */
    SESSION_REFUSED,    /* it was answered with an error: whatever the client sends now is a mistake */
    SESSION_CLOSING,    /* told to close, or gone; waits for session_on_closed */
};

/* Everything a session waits for has one place here and one timer for all. Monotonic ms, 0 = not waiting. */
enum session_deadline {
    SESSION_DEADLINE_CONNECT,      /* 3502 */
    SESSION_DEADLINE_PING,         /* send the next one */
    SESSION_DEADLINE_PONG,         /* 3012 */
    SESSION_DEADLINE_EXPIRY,       /* of the connection, with its grace: 3005 */
    SESSION_DEADLINE_SUBSCRIPTION, /* the first expiry among the subscriptions, with its grace: 2501 */
    SESSION_DEADLINE_STALL,        /* the transport did not take its backlog: 3008 */
    SESSION_DEADLINE_FLUSH,        /* pushes that wait for more of them (flush_interval) are written */
    SESSION_DEADLINE_AGE,          /* it may not get older: 3011 */
    SESSION_DEADLINES,
};

/* What a delivery and its write touch stands together at the beginning: with thousands of sessions each line of memory
 * is a miss. */
struct session {
    struct session_environment *environment;
    struct transport *transport;
    struct list_link dirty; /* linked: to be flushed */
    struct outbox outbox;
    uint8_t state;      /* enum session_state */
    bool owes_pong : 1; /* counted as dead */
    bool pings_by_frames : 1;
    bool backlogged : 1; /* no write before session_on_writable */
    bool is_paused : 1;  /* the transport does not read */
    bool was_counted : 1;
    bool is_released : 1; /* left everything; nothing more to do but free */
    bool has_token : 1;
    bool was_told : 1; /* services know of the connection */
    uint16_t close_code;
    uint8_t strikes;
    struct list_link deferred; /* struct deferred_message, oldest first */
    uint64_t deadlines[SESSION_DEADLINES];
    const struct client_codec *codec;
    payload_t *info;                       /* wire_client_info: user, client id, conn_info; NULL until connected */
    payload_t *jti;                        /* of its token; NULL: it has none */
    int64_t issued_at_s;                   /* of its token; -1: it has no iat */
    struct list_link link;                 /* in the environment's sessions or closing */
    struct list_link subscriptions;        /* struct subscription */
    struct list_link requests;             /* struct session_request, at the brokers */
    struct session_connecting *connecting; /* while CONNECTING */
    struct session_raw *raw;               /* NULL: speaks the client protocol */
    struct session_kept *kept;             /* NULL: nothing is kept for hooks */
    char *close_reason;                    /* NULL: what the code means */
    struct timer_entry timer;
    uint64_t granted_set;    /* number of the token's set of server-side channels */
    uint64_t rate_us;        /* when the commands so far would be done at the allowed rate; monotonic */
    uint64_t strike_us;      /* when the last strike was counted */
    uint32_t deferred_bytes; /* charged to the environment's budget */
    uint32_t n_subscriptions;
    uint32_t n_in_flight; /* requests and joining subscriptions */
};

struct subscription {
    struct list_link link; /* in the session's */
    session_t *session;
    int64_t flush_interval_ms;
    struct hub_member member; /* its beginning is what a delivery reads */
    payload_t *info;          /* with chan_info; NULL: the session's */
    payload_t *data;          /* of the token, for the reply; NULL: none, or sent */
    payload_t *jti;           /* of the token; NULL: it has none, or there was no token */
    int64_t expire_at_s;      /* wall clock, 0 = never */
    uint64_t from_offset;     /* what the client asked to recover from */
    uint32_t command_id;      /* of the subscribe command, while joining */
    uint32_t channel_hash;
    uint32_t begun_us; /* when its command came, while joining */
    bool is_joining : 1;
    bool is_server_side : 1;
    bool positioned : 1;
    bool recoverable : 1;
    bool is_recovering : 1;
    bool asked_to_recover : 1;  /* else auto_cache_recover */
    bool fails_unrecovered : 1; /* flag 2: error 112 instead of recovered false */
    bool has_presence : 1;
    bool tells_join_leave : 1;
    bool stands_in_presence : 1;
    bool has_events : 1; /* services want to know of it */
    bool was_told : 1;   /* and do */
    bool refreshed_by_hook : 1;
    bool is_refreshing : 1;        /* the hook has been asked */
    unsigned refresh_failures : 7; /* in a row */
};

/* A command that waits for a broker, or a question of the session's own. */
struct session_request {
    struct broker_request broker;
    struct list_link link; /* in the session's */
    session_t *session;
    struct session_asked *asked; /* of a hook: what goes on when it is answered; NULL: none */
    uint32_t id;
    struct session_begun begun;
    struct epoch since_epoch; /* history */
    bool is_call;             /* counted in the environment */
    bool is_own;              /* no command of the client's */
};

/* ---- for the handlers (session.c) ---- */

/* Asks to close; takes effect at the flush. Only the first call counts. */
void session_disconnect(session_t *self, enum disconnect_code code);
/* The same with a code and a reason of a service's own; an empty reason: what the code means. */
void session_disconnect_with(session_t *self, uint16_t code, struct span reason);
/* Encode one reply or push of this session into the buffer that begin returns, then call end. */
/* It has something to do at the flush. */
void session_mark_dirty(session_t *self);
struct buffer *session_begin_reply(session_t *self);
void session_end_reply(session_t *self);
void session_reply_error(session_t *self, uint32_t id, enum error_code code);
void session_reply_empty(session_t *self, const struct client_command *command);
/* Queues a framed payload and takes over a reference to it; over a bound the session closes with 3008. */
void session_queue(session_t *self, payload_t *framed);
/* The same, but it may wait so long for more to be written along with it. */
void session_queue_for(session_t *self, payload_t *framed, int64_t wait_ms);
void session_flush_waiting(session_t *self);

/* The session's user and client id; empty before connect. */
struct wire_client_info session_client_info(const session_t *self);
/* The same with conn_info and chan_info exchanged, as bytes to share. */
payload_t *session_make_info(struct span user, struct span client, struct span conn_info, struct span chan_info);
/* NULL when the session has no such subscription. */
struct subscription *session_find_subscription(const session_t *self, struct span channel);

/* The handler's own beginning of every command that names a channel: an empty name closes with 3501, a name without
 * options is answered with its error; false then. */
bool session_find_options(session_t *self, uint32_t id, struct span channel,
                          const struct namespace_options **ret_options);
struct permission_subject session_subject(const session_t *self, struct span channel);

struct session_request *session_request_new(session_t *self, uint32_t id,
                                            void (*on_done)(struct broker_request *request,
                                                            const struct broker_answer *answer));
/* The same for a question of the session's own: no command waits for it. */
struct session_request *session_request_new_own(session_t *self, void (*on_done)(struct broker_request *request,
                                                                                 const struct broker_answer *answer));
/* Frees it; a command that had to wait may go on. */
void session_request_finish(struct session_request **request_p);
/* The same, but its command is not done yet: something else has begun for it. */
void session_request_pass_on(struct session_request **request_p);
/* A command in flight is done: at the flush the next deferred one may follow. */
void session_command_done(session_t *self);

/* Frames the gathered replies as one message. */
void session_queue_replies(session_t *self);
/* Empties a shared buffer, and gives its memory back when it grew large. */
void session_clear_buffer(struct buffer *buffer);

/* ---- messages (session_messages.c) ---- */

/* Goes on with what had to wait, as far as it may. */
void session_resume(session_t *self);
void session_drop_deferred(session_t *self);

/* ---- deadlines (session_deadlines.c) ---- */

void session_init_deadlines(session_t *self);
/* at_ms 0: no more. */
void session_set_deadline(session_t *self, enum session_deadline which, uint64_t at_ms);
void session_cancel_deadlines(session_t *self);
/* Monotonic ms of a wall-clock second, with the configured grace. */
uint64_t session_grace_end_ms(const session_t *self, int64_t expire_at_s);
void session_start_pings(session_t *self);
void session_start_aging(session_t *self);

/* ---- subscriptions (session_subscribe.c) ---- */

/* Joining, but not yet asked for at the hub. */
struct subscription *session_add_subscription(session_t *self, const struct client_subscribe *request,
                                              const struct namespace_options *options,
                                              const struct subscription_features *features);
void session_join(struct subscription *subscription, const struct client_subscribe *request,
                  const struct namespace_options *options);
/* Enters the channel's presence where that is granted, and services are told; after the reply. */
void session_stand_in_presence(struct subscription *subscription);
/* Leaves the channel, in whatever state, and frees; the client is told nothing. */
void session_drop_subscription(struct subscription **subscription_p);
/* Tells the client by an unsubscribe push, and drops. */
void session_end_subscription(struct subscription **subscription_p, uint32_t code, const char *reason);
/* One that is joining, and will not: an error reply where the client asked, else 3004; it may be gone then. */
void session_fail_joining(struct subscription *subscription, enum error_code code);
/* Both tell the new info to channels in whose presence it stands. */
void session_set_chan_info(struct subscription *subscription, struct span chan_info);
void session_renew_presence(session_t *self); /* the session's own info has changed */
void session_schedule_subscription_expiry(session_t *self);
void session_expire_subscriptions(session_t *self);

/* ---- delivery (session_delivery.c) ---- */

/* ERROR_NONE or 107. */
enum error_code session_judge_filter(const session_t *self, const struct client_subscribe *request,
                                     const struct namespace_options *options);
/* Of a new subscription, before it joins; its filter was judged. */
void session_choose_delivery(struct subscription *subscription, const struct client_subscribe *request,
                             const struct namespace_options *options);
/* Of what was recovered, what its filter lets pass; returns how many. */
uint32_t session_filter_recovered(const struct subscription *subscription, const struct hub_joined *joined,
                                  struct buffer *ret_publications);
/* Takes over a reference. */
void session_deliver(const struct subscription *subscription, payload_t *framed);

/* ---- what services ask for (session_orders.c) ---- */

/* Joins the channel for the client, as `grant` says (info, data, override, expire_at, recover_since); harmless where it
 * is subscribed. False: it is no such session, or was subscribed. (session_server_subscriptions.c) */
bool session_subscribe_for(session_t *self, struct span channel, const struct namespace_options *options,
                           struct json_value grant);
/* A server-side subscription that has not joined yet goes, and the client is told nothing. */
void session_drop_joining(struct subscription **subscription_p);

/* ---- tokens (session_refresh.c) ---- */

/* A new conn_info is told to the channels in whose presence the session stands. */
void session_exchange_conn_info(session_t *self, struct span conn_info);

/* A connection token. ret_claims is filled on TOKEN_OK: finish it then. */
enum token_outcome session_verify_token(const session_t *self, struct span token, struct token_claims *ret_claims);
/* Of the raw endpoint: a connection token, or one of a channel by the keys of such. */
enum token_outcome session_verify_raw_token(const session_t *self, struct span token, struct token_claims *ret_claims);
/* What of its token a session must know to be found when that is revoked. */
void session_remember_token(session_t *self, const struct token_claims *claims);
enum subscription_token {
    SUBSCRIPTION_TOKEN_FINE,
    SUBSCRIPTION_TOKEN_INVALID,
    SUBSCRIPTION_TOKEN_FOREIGN, /* of another user, channel or client */
    SUBSCRIPTION_TOKEN_EXPIRED,
    SUBSCRIPTION_TOKEN_AWAITS_KEY, /* perhaps good: its key is being fetched */
};
/* ret_claims is filled when FINE: finish it then. An empty channel stands for the one the token names. */
enum subscription_token session_verify_subscription_token(session_t *self, struct span token, struct span channel,
                                                          struct token_claims *ret_claims);
/* When what the token grants ends: wall-clock second, 0 = never. */
int64_t session_expiry_of(const struct token_claims *claims);
bool session_is_past(int64_t expire_at_s);
uint32_t session_ttl_s(int64_t expire_at_s);
/* Appends a claim that comes as JSON or as base64: what is not JSON becomes a string of base64. */
void session_append_claim(struct buffer *out, struct json_value json, struct span binary);
/* The same for a member of an object: `json` or, base64 and winning over it, `binary`; `scratch` is overwritten. */
void session_append_grant(struct buffer *out, struct json_value object, const char *json, const char *binary,
                          struct buffer *scratch);

/* ---- server-side subscriptions (session_server_subscriptions.c) ---- */

/* Starts those of the token or the connect hook (NULL: none), the personal one and those of connect.subs; `data` goes
 * into the reply; session_reply_connected follows,
 * at once where there are none, when all have joined else. Not ERROR_NONE: no reply will, refuse the connect. */
enum error_code session_connect_channels(session_t *self, uint32_t command_id, int64_t expire_at_s,
                                         const struct token_claims *claims, struct json_value wanted, struct span data);
void session_on_server_joined(struct subscription *subscription, const struct client_subscribed *result);
void session_drop_connecting(session_t *self);
/* A number of the set of channels that a token grants. */
uint64_t session_granted_set(const struct token_claims *claims);
/* The connect reply, before everything that waits; then pings begin (session_connect.c). `data`: NULL: none. */
void session_reply_connected(session_t *self, uint32_t id, int64_t expire_at_s, struct span subs,
                             const payload_t *data);

/* ---- handlers, one for each command ---- */

void session_handle_connect(session_t *self, const struct client_command *command);
void session_handle_subscribe(session_t *self, const struct client_command *command);
void session_handle_unsubscribe(session_t *self, const struct client_command *command);
void session_handle_publish(session_t *self, const struct client_command *command);
void session_handle_history(session_t *self, const struct client_command *command);
void session_handle_presence(session_t *self, const struct client_command *command);
void session_handle_presence_stats(session_t *self, const struct client_command *command);
void session_handle_rpc(session_t *self, const struct client_command *command);
void session_handle_send(session_t *self, const struct client_command *command);
void session_handle_ping(session_t *self, const struct client_command *command);
void session_handle_pong(session_t *self, const struct client_command *command);
void session_handle_refresh(session_t *self, const struct client_command *command);
void session_handle_sub_refresh(session_t *self, const struct client_command *command);

/* ---- questions to workers (session_call.c) ---- */

/* What a worker said. Spans are the answer's. */
struct session_verdict {
    enum wire_call_outcome outcome;
    uint32_t code;            /* of an error or a disconnect */
    struct span text;         /* its message or reason */
    struct json_value result; /* RESULT: an object, or absent */
    struct span payload;      /* RESULT: bytes beside it */
};
/* ERROR_NONE: *ret_verdict is it. Else nobody could be asked, or nobody knows what came of it. */
enum error_code session_read_verdict(const struct broker_answer *answer, struct session_verdict *ret_verdict);
/* Asks; on_done follows. NULL: too many questions are open, or the name is too long: *ret_error says which. `details`:
 * more JSON members, each with a comma before it, or empty. id 0: a question of the session's own. */
struct session_request *
session_ask_worker(session_t *self, uint32_t id, const struct broker_question *question, struct span details,
                   void (*on_done)(struct broker_request *request, const struct broker_answer *answer),
                   enum error_code *ret_error);
/* An error or a disconnect of a worker's; false: it is a result. */
bool session_take_refusal(session_t *self, uint32_t id, const struct session_verdict *verdict);
/* Appends what a string of base64 stands for; false: it is none. */
bool session_decode_base64(struct json_value text, struct buffer *out);
/* `name` or "b64" and it of the result, unless there is a payload: as the client's encoding has it. */
void session_append_verdict_data(const session_t *self, const struct session_verdict *verdict, struct buffer *out);

/* ---- hooks: what workers decide (session_hook.c) ---- */

enum session_hook {
    SESSION_HOOK_CONNECT,
    SESSION_HOOK_REFRESH,
    SESSION_HOOK_SUBSCRIBE,
    SESSION_HOOK_PUBLISH,
    SESSION_HOOK_SUB_REFRESH,
    SESSION_HOOKS,
};
/* How often which came is counted. */
enum session_verdict_kind {
    SESSION_VERDICT_ALLOWED,
    SESSION_VERDICT_ERROR,
    SESSION_VERDICT_DISCONNECT,
    SESSION_VERDICT_FAILED,
    SESSION_VERDICT_INVALID,
    SESSION_VERDICTS,
};

/* What a session keeps where hooks are on; on the heap, so that others pay a pointer. */
struct session_kept {
    payload_t *meta;     /* a JSON object for hooks, never for the client; NULL: none */
    int64_t expire_at_s; /* of the connection, where the hook refreshes it */
    bool refreshed_by_hook;
    bool is_refreshing; /* the hook has been asked */
    unsigned failures;  /* of it in a row */
};
struct session_kept *session_keep(session_t *self); /* made where there is none */
void session_kept_free(session_t *self);
/* An object replaces what was kept; anything else does not. */
void session_keep_meta(session_t *self, struct json_value meta);

/* The command that waits for a hook: a copy of what is needed to go on, charged to the outbox budget. */
struct session_asked {
    enum session_hook hook;
    struct client_command command; /* its spans are in bytes */
    size_t size;                   /* what was charged */
    uint8_t bytes[];
};
void session_asked_free(session_t *self, struct session_asked *asked); /* accepts NULL */
/* Does a command to this channel wait for a hook? */
bool session_waits_for_hook(const session_t *self, struct span channel);
/* Subscriptions that hooks have not allowed yet. */
uint32_t session_count_asked(const session_t *self, enum session_hook hook);

/* Asks whether this command may go on; on_done follows, with request->asked. `details`: as session_ask_worker. False:
 * nobody could be asked, *ret_error says why. */
bool session_hook_ask(session_t *self, enum session_hook hook, const struct client_command *command, struct span data,
                      struct span details,
                      void (*on_done)(struct broker_request *request, const struct broker_answer *answer),
                      enum error_code *ret_error);
/* ERROR_NONE: the hook said something, an object where it allows. Else nobody said anything that counts, and nothing
 * has been done. */
enum error_code session_hook_read(const session_t *self, enum session_hook hook, const struct broker_answer *answer,
                                  struct session_verdict *ret_verdict);
/* Its verdict allows, and cannot be used all the same: logged, counted; the error for the client. */
enum error_code session_hook_invalid(const session_t *self, enum session_hook hook, const char *reason);
enum { SESSION_REFRESH_FAILURES_MAX = 127 };

/* Joins as the hook says, which was asked about `command`. (session_subscribe.c) */
void session_subscribe_allowed(session_t *self, const struct client_command *command,
                               const struct session_verdict *verdict);
/* In the place of the decision list: a reply follows, or the subscription joins. (session_hook_subscribe.c) */
void session_ask_subscribe(session_t *self, const struct client_command *command);
/* info and data of a grant. (session_server_subscriptions.c) */
void session_take_grant(struct subscription *subscription, struct json_value grant);

/* In the place of the permission: the publication follows, or an error. (session_hook_publish.c) */
void session_ask_publish(session_t *self, const struct client_command *command);
/* It is allowed; `tags`: wire_tag after wire_tag, `flags`: WIRE_PUBLISH_*. (session_publish.c) */
void session_send_publication(session_t *self, const struct client_command *command, struct span tags, uint8_t flags);
/* Who connects without a token: accepted or refused when it has answered. (session_hook_connect.c) */
void session_ask_connect(session_t *self, const struct client_command *command);
/* Claims: of a token, or what a hook says in its place; NULL: none. `data`: for the reply. (session_connect.c) */
void session_accept_claims(session_t *self, const struct client_command *command, const struct token_claims *claims,
                           struct span data);
/* The connection is of no use any more. (session_connect.c) */
void session_refuse_connect(session_t *self, uint32_t id, enum error_code error);

/* ---- what hooks extend (session_hook_refresh.c) ---- */

/* The connection ends then, or asks the hook then; 0: never. */
void session_set_expiry(session_t *self, int64_t expire_at_s);
/* Does the client have to send tokens? */
bool session_is_refreshed_by_hook(const session_t *self);
/* The connection's time is over: asks, or closes with 3005. */
void session_on_expired(session_t *self);
/* Monotonic ms when something is to be done about its expiry; 0: never. */
uint64_t session_subscription_due_ms(const struct subscription *subscription);
/* Its time is over: asks, or ends it; the connection may close then, and the subscription be gone. */
void session_on_subscription_expired(struct subscription *subscription);

/* ---- what services are told (session_events.c) ---- */

void session_tell_connected(session_t *self);
void session_tell_disconnected(session_t *self);
void session_tell_subscribed(struct subscription *subscription); /* once, however often it is called */
/* code 0: its client or its connection ended it. */
void session_tell_unsubscribed(struct subscription *subscription, uint32_t code);

/* ---- the raw endpoint (session_raw.c); only where session->raw ---- */

void session_raw_connected(session_t *self);
/* False: the token is not for this channel, or leaves nothing to do. */
bool session_raw_takes(session_t *self, const struct token_claims *claims);
void session_raw_subscribed(session_t *self);
/* An error was told: before it is live that is the end. */
void session_raw_failed(session_t *self, enum error_code error);
struct span session_raw_channel(const session_t *self);
void session_raw_free(session_t *self); /* also where there is none */

/* ---- metrics (session_metrics.c): rows of session_metric_table ---- */

enum session_metric {
    SESSION_METRIC_CONNECTIONS,
    SESSION_METRIC_DEAD,
    SESSION_METRIC_OUTBOX_BYTES,
    SESSION_METRIC_TAG_FILTERS,
    SESSION_METRIC_COMMANDS,
    SESSION_METRIC_COMMAND_LAST = SESSION_METRIC_COMMANDS + CLIENT_COMMAND_SUB_REFRESH,
    SESSION_METRIC_SECONDS, /* of each command, as above */
    SESSION_METRIC_SECONDS_LAST = SESSION_METRIC_SECONDS + CLIENT_COMMAND_SUB_REFRESH,
    SESSION_METRIC_USERS,
#define SESSION_METRIC_ERROR(name, code, reason, message, temporary, definite) SESSION_METRIC_ERROR_##name,
    ERROR_CODES(SESSION_METRIC_ERROR)
#undef SESSION_METRIC_ERROR
        SESSION_METRIC_RATE_LIMITED,
    SESSION_METRIC_TOKENS_UNSURE,
    SESSION_METRIC_AGED,
    SESSION_METRIC_CALLS,
    SESSION_METRIC_HOOKS, /* verdicts of each hook */
    SESSION_METRIC_HOOKS_LAST = SESSION_METRIC_HOOKS + SESSION_HOOKS * SESSION_VERDICTS - 1,
    SESSION_METRIC_DEFERRED,
    SESSION_METRIC_SUBSCRIPTIONS_LOST,
    SESSION_METRIC_SUBSCRIPTIONS_EXPIRED,
    SESSION_METRIC_SUBSCRIPTIONS_UNSERVED,
#define SESSION_METRIC_DISCONNECT(name, code, reason) SESSION_METRIC_DISCONNECT_##name,
    DISCONNECT_CODES(SESSION_METRIC_DISCONNECT)
#undef SESSION_METRIC_DISCONNECT
        SESSION_METRICS,
};
void session_count_error(const session_t *self, enum error_code code);
/* The command that began so is answered; nothing is counted once the session is gone. */
void session_count_done(const session_t *self, struct session_begun begun);
void session_count_disconnect(const session_t *self, enum disconnect_code code);
void session_count(const session_t *self, enum session_metric row);
void session_count_change(const session_t *self, enum session_metric row, int64_t amount);

#endif
