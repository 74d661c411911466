/* What the hub's files share: hub.c (table, joining), hub_subscription.c (asking, events and their actions),
 * hub_frames.c (what brokers send), hub_links.c (links, credit), hub_fanout.c (encode once, deliver), hub_waiting.c
 * (whom an answer admits, whose since is asked next), hub_presence.c, hub_departures.c. Nobody else includes this.
 * Thread: the worker's.
 */
#ifndef CALLBOARD_GATEWAY_HUB_INTERNAL_H
#define CALLBOARD_GATEWAY_HUB_INTERNAL_H

#include "base/backoff.h"
#include "gateway/broker_links.h"
#include "gateway/channel_subscription.h"
#include "gateway/hub.h"
#include "gateway/key_table.h"

enum hub_member_state { HUB_MEMBER_OUT, HUB_MEMBER_WAITING, HUB_MEMBER_JOINED };

enum hub_metric {
    HUB_METRIC_CHANNELS,
    HUB_METRIC_MEMBERS,
    HUB_METRIC_WAITING,
    HUB_METRIC_PUSHES,
    HUB_METRIC_DELIVERIES,
    HUB_METRIC_RETIRED,
    HUB_METRIC_ODD,
    HUB_METRIC_SUBSCRIBES,
    HUB_METRIC_MOVES,
    HUB_METRIC_LAGGING,
    HUB_METRIC_BEHIND,
    HUB_METRIC_LOST,
    HUB_METRIC_JOINS_FAILED,
    HUB_METRIC_RECOVERED,
    HUB_METRIC_NOT_RECOVERED,
    HUB_METRIC_FILTERED,
    HUB_METRIC_EXCLUDED,
    HUB_METRIC_DELTA_BASES,
    HUB_METRIC_PATCHES,
    HUB_METRIC_PATCHES_NOT_WORTH_IT,
    HUB_METRIC_PATCH_BYTES_SAVED,
    HUB_METRIC_DEPARTURES_FORGOTTEN,
};

struct hub {
    broker_links_t *links;
    timer_wheel_t *wheel;
    metric_values_t *metrics;
    struct hub_callbacks callbacks;
    uint64_t grace_ms;
    struct key_table channels; /* XXH64 of the name → hub_channel, those of one hash chained */
    struct key_table handles;  /* handle → hub_channel */
    uint32_t last_handle;
    uint32_t last_request;
    uint64_t last_channel_id;
    uint64_t last_serial; /* of publications, for what is judged once for each */
    size_t n_channels;
    size_t n_members;
    struct list_link woken;    /* someone came or the last one left: looked at outside of the sessions' calls */
    struct list_link starved;  /* their SUBSCRIBE waits for a link or its credit */
    struct list_link movers;   /* another broker ranks first: they move while its credit lasts */
    struct list_link resync;   /* presence to be told again, while credit lasts */
    struct list_link suspects; /* a top above W was told */
    struct list_link departed; /* channels that someone with presence left lately */
    size_t departures_bytes;   /* of these, and of channels of which only the name is left */
    size_t departures_bytes_max;
    struct broker_deferred working;
    struct buffer encoded; /* scratch: one message of one encoding */
    struct buffer slices;  /* scratch: where each publication of an answer starts */
    struct buffer patch;   /* scratch: of the publication that is fanned out */
    struct buffer patching;
};

/* Sized client infos of those whose clear was told lately: hub_departures.c. */
struct hub_departures {
    struct buffer recent;
    struct buffer older;
    struct list_link link; /* in the hub's `departed`, while there are any */
    struct timer_entry age;
};

struct hub_channel {
    hub_t *hub;
    struct hub_channel *same_hash;
    uint64_t hash;
    struct subscription subscription;
    /* the handle and where it is known */
    uplink_t *uplink; /* valid while handle is not 0 */
    uint16_t shard;
    uint32_t handle;
    uint32_t request; /* of the SUBSCRIBE that is out */
    bool asked_since;
    struct position asked;
    /* sessions */
    struct hub_member **members; /* NULL: a hole, while fan-outs are under way */
    uint32_t n_slots;
    uint32_t n_members;
    uint32_t capacity;
    uint32_t fanning_out; /* depth */
    uint64_t id;          /* for pushes without the name */
    /* the last publication's data, kept while someone wants deltas; what the next one may be a patch of */
    payload_t *delta_base;
    uint64_t delta_base_offset;
    uint32_t n_delta_members;
    uint8_t delta_base_flags;
    struct list_link waiting;
    uint32_t n_waiting;
    uint32_t n_waiting_for_latest; /* of these */
    /* which since failed last and which succeeded: the next one is chosen between (hub_waiting.c) */
    uint64_t failed_since;
    /* presence */
    uint32_t n_present;
    uint32_t resync_at;
    struct buffer clears; /* sized client infos to be cleared when there is a handle again */
    struct hub_departures departures;
    bool is_name_only; /* without sessions and subscription: it stays for its departures, and is not counted */
    /* memberships in the hub's lists, timers */
    struct list_link woken;
    struct list_link starved;
    struct list_link mover;
    struct list_link resync;
    struct list_link suspect;
    uint64_t suspected_top;
    struct backoff backoff;
    struct timer_entry retry;
    struct timer_entry grace;
    struct timer_entry patience; /* the earliest deadline of those who wait */
    size_t name_size;
    char name[];
};

static inline struct span hub_channel_name(const struct hub_channel *channel) {
    return span_of(channel->name, channel->name_size);
}

/* An answer to SUBSCRIBE as far as it concerns those who wait. */
struct hub_answer {
    bool has_since;
    struct position since; /* that was asked for */
    bool recovered;
    struct position position;
    uint32_t n_publications;
    struct span publications;
};

/* An event and what comes with it. */
struct hub_occasion {
    struct subscription_event event;
    const struct wire_publication *publication; /* pushed */
    const struct hub_answer *answer;            /* answered */
    enum error_code code;                       /* refused */
};

enum { HUB_SUBSCRIBE_OVERHEAD = 128 }; /* of the frame, beside the name */

/* ---- hub.c ---- */
bool hub_is_unused(const struct hub_channel *channel);
/* It is looked at in this turn's work. */
void hub_wake(struct hub_channel *channel);
void hub_retire_handle(struct hub_channel *channel);
void hub_channel_free(struct hub_channel *channel);
/* Nobody uses it any more: gone, or only its name is left. */
void hub_channel_let_go(struct hub_channel *channel);
void hub_add_member(struct hub_channel *channel, struct hub_member *member);
void hub_count(hub_t *self, enum hub_metric metric);
void hub_work_later(hub_t *self);

/* ---- hub_subscription.c ---- */
void hub_init_timers(struct hub_channel *channel);
/* The channel may be gone behind it. */
void hub_occur(struct hub_channel *channel, const struct hub_occasion *occasion);
void hub_occur_plainly(struct hub_channel *channel, enum subscription_event_kind kind);
/* False: it is starved. */
bool hub_try_ask(struct hub_channel *channel);
void hub_send_unsubscribe(struct hub_channel *channel);

/* ---- hub_frames.c ---- */
bool hub_on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame);

/* ---- hub_links.c ---- */
void hub_listen(hub_t *self);
void hub_feed_starved(hub_t *self);
void hub_move_movers(hub_t *self);

/* ---- hub_fanout.c ---- */
void hub_fan_out_publication(struct hub_channel *channel, const struct wire_publication *publication);
void hub_fan_out_presence(struct hub_channel *channel, bool joined, const struct wire_client_info *info);
void hub_fan_out_lost(struct hub_channel *channel, const struct position *position);
void hub_forget_delta_base(struct hub_channel *channel);
/* Takes the holes out when no fan-out is under way. */
void hub_compact(struct hub_channel *channel);

/* ---- hub_waiting.c ---- */
/* Are the publications since+1 … offset, one after another, and as many as said? */
bool hub_answer_is_dense(const struct hub_answer *answer);
/* Admits whom the answer answers (NULL: who needs none). Members may leave or come inside. */
void hub_admit(struct hub_channel *channel, const struct hub_answer *answer);
/* A publication was delivered: it is what those wait for who want the latest. Members may leave or come inside. */
void hub_admit_to_latest(struct hub_channel *channel, const struct wire_publication *publication);
/* It leaves the waiting, for whatever comes next. */
void hub_stop_waiting(hub_t *self, struct hub_member *member);
void hub_fail_waiting(struct hub_channel *channel, enum error_code code);
/* Those whose deadline has passed. */
void hub_fail_impatient(struct hub_channel *channel, uint64_t now_ms);
/* The since to ask for next; false: nobody who waits has one. */
bool hub_pick_since(const struct hub_channel *channel, struct position *ret_since);

/* ---- hub_departures.c ---- */
void hub_departures_init(struct hub_channel *channel);
void hub_departures_finish(struct hub_channel *channel);
bool hub_departures_is_empty(const struct hub_channel *channel);
/* A clear was told. */
void hub_departures_note(struct hub_channel *channel, struct span client_info);
/* Whoever was told may have forgotten, or never got to it: all clears again, over the next handle … */
void hub_departures_owe(struct hub_channel *channel);
/* … or now, where there is one; else one is asked for. */
void hub_departures_tell_again(struct hub_channel *channel);

/* ---- hub_presence.c ---- */
/* The member leaves with its presence set. */
void hub_presence_drop(struct hub_channel *channel, struct hub_member *member);
/* The channel has a live handle: what could not be cleared before, and with `anew` every member's presence again. */
void hub_presence_renew(struct hub_channel *channel, bool anew);
/* Tells presence again while credit lasts. */
void hub_presence_work(hub_t *self);
bool hub_presence_on_resync(hub_t *self, const uplink_t *uplink, struct span body);

#endif
