/* What the workload of a rehearsal saw, one event after the other: each thread of it writes a log of its own, and what
 * they come to is a pure function of all of them together (rehearse_account.h). Publications are numbered from 1 on in
 * each channel. Thread: a log is its owner's. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_EVENT_H
#define CALLBOARD_OPERATOR_REHEARSE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REHEARSE_CHANNELS_MAX = 64,
    REHEARSE_SUBSCRIBERS_MAX = 8,
    REHEARSE_PUBLICATIONS_MAX = 1000000, /* of all channels */
    REHEARSE_EVENTS_MAX = 4000000        /* of one log: then it counts what it drops */
};

enum rehearse_event_kind {
    REHEARSE_SENT,         /* a publication, by its first try */
    REHEARSE_ACKED,        /* a publication */
    REHEARSE_REFUSED,      /* one try of it: an error that says that nothing was done */
    REHEARSE_UNANSWERED,   /* one try of it: silence, or an error that says that nobody knows */
    REHEARSE_GIVEN_UP,     /* no more tries; flag: each was refused, so it is nowhere */
    REHEARSE_DELIVERED,    /* a publication, to a subscriber */
    REHEARSE_DISCONNECTED, /* a subscriber */
    REHEARSE_CONNECTED,    /* a subscriber, again */
    REHEARSE_SUBSCRIBED,   /* a subscriber to a channel, again; flag: recovered */
    REHEARSE_HISTORY,      /* a channel's history was read, at the end */
    REHEARSE_KEPT,         /* a publication is in it */
    REHEARSE_BEGUN,        /* what is rehearsed */
    REHEARSE_AWAY,         /* something was taken away so that publications have to be refused */
    REHEARSE_BACK,         /* it is back */
    REHEARSE_WHOLE,        /* all is as before: servers well, all channels acked and delivered to everybody */
    REHEARSE_ENDED,        /* the workload */
};

struct rehearse_event {
    uint64_t at_us; /* monotonic */
    uint32_t number;
    uint8_t kind;
    uint8_t channel;
    uint8_t subscriber;
    bool flag;
};

struct rehearse_log {
    struct rehearse_event *events;
    size_t n;
    size_t capacity;
    uint64_t n_dropped;
};

#define REHEARSE_LOG_EMPTY ((struct rehearse_log){NULL, 0, 0, 0})

/* With the time of now. */
void rehearse_log_add(struct rehearse_log *self, struct rehearse_event event);
/* Appends what the other one has. */
void rehearse_log_take(struct rehearse_log *self, struct rehearse_log *other);
/* By time; what has the same stays in its order. */
void rehearse_log_sort(struct rehearse_log *self);
void rehearse_log_finish(struct rehearse_log *self);

#endif
