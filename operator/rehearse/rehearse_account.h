/* What a rehearsal came to: figures out of its events, and the verdict out of the figures. Both pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_ACCOUNT_H
#define CALLBOARD_OPERATOR_REHEARSE_ACCOUNT_H

#include "base/bytes.h"
#include "operator/rehearse/rehearse_event.h"

/* The longest time in which something did not come that comes all the time, in one channel (and to one subscriber). */
struct rehearse_gap {
    uint64_t us;
    uint64_t from_us; /* when it began, since the first event */
    uint8_t channel;
    uint8_t subscriber; /* of a delivery gap */
};

struct rehearse_account {
    uint64_t sent;
    uint64_t acked;
    uint64_t nacked;        /* given up, and certainly nowhere */
    uint64_t unknown;       /* given up, and perhaps kept */
    uint64_t refused_tries; /* each is told to its publisher as an error */
    uint64_t unanswered_tries;
    uint64_t turned_away; /* tries that failed while something was away (AWAY to WHOLE) */
    uint64_t delivered;   /* to all subscribers together */
    uint64_t lost;        /* acked, and some subscriber never got it */
    uint64_t gone;        /* acked, and not in the history at the end, though older ones are */
    uint64_t phantoms;    /* nacked, and delivered or kept all the same */
    uint64_t duplicates;
    uint64_t out_of_order;
    uint64_t unread; /* channels whose history could not be read at the end */
    uint64_t reconnects;
    uint64_t recovered;
    uint64_t unrecovered;
    struct rehearse_gap ack_gap;
    struct rehearse_gap delivery_gap;
    bool has_action;
    bool is_whole;
    uint64_t whole_us; /* from BEGUN to WHOLE */
};

/* Sorted by time. Each of the subscribers should have got everything. */
struct rehearse_account rehearse_account_of(const struct rehearse_event *events, size_t n, unsigned n_subscribers);

struct rehearse_limits {
    uint64_t max_gap_us;      /* of acks, and of deliveries */
    uint64_t max_whole_us;    /* until all is as before */
    uint64_t max_unrecovered; /* subscriptions that had to begin anew: none, of safe channels */
    bool must_turn_away;      /* what was taken away has to be missed: publications were not acked meanwhile */
};

enum { REHEARSE_REASONS_MAX = 16, REHEARSE_REASON_SIZE = 160 };

struct rehearse_verdict {
    bool is_passed;
    size_t n;
    char reasons[REHEARSE_REASONS_MAX][REHEARSE_REASON_SIZE]; /* why it is not */
};

struct rehearse_verdict rehearse_judge(const struct rehearse_account *account, const struct rehearse_limits *limits);

/* "312 ms", "4.2 s". */
void rehearse_append_time(struct buffer *out, uint64_t us);

#endif
