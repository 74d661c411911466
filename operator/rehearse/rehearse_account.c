/* See rehearse_account.h. One walk over the events in the order of time, with a word of marks for each publication;
 * then one over the marks.
 *
 *   lost        acked, and a subscriber never got it. Subscribers are there before the first publication, and recover:
 *               whoever was away while it was pushed gets it out of the history
 *   gone        acked, and the history of its channel has an older one, but not this one. What stands before the first
 *               that is kept was trimmed. A channel that was fast may have been pushed to everybody before it was lost:
 *               then it is not lost to them, but to all who come later
 *   phantom     its publisher was told that nothing was done, for good, and yet it is there
 *   gaps        of acks in a channel, of deliveries of a channel to a subscriber: from one to the next, from the first
 *               publication to the first, and to the end where the last one has none */
#include "operator/rehearse/rehearse_account.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

enum mark {
    MARK_ACKED = 1 << 0,
    MARK_NACKED = 1 << 1,
    MARK_KEPT = 1 << 2,
    MARK_TO_FIRST = 1 << 8, /* and the following ones: delivered to subscriber 0, 1, … */
};

struct channel {
    uint16_t *marks; /* by number */
    uint32_t n;      /* numbers below it have a place */
    uint32_t last_sent;
    uint32_t last_to[REHEARSE_SUBSCRIBERS_MAX]; /* the highest number that each got */
    uint64_t first_sent_us;
    uint64_t last_ack_us;
    uint64_t last_delivery_us[REHEARSE_SUBSCRIBERS_MAX];
    bool is_read;
};

struct walk {
    struct rehearse_account account;
    struct channel channels[REHEARSE_CHANNELS_MAX];
    unsigned n_subscribers;
    uint64_t first_us;
    uint64_t begun_us;
    uint64_t last_us;
    bool is_away;
};

/* A number that nobody could have sent has no place. */
static uint16_t *mark_of(struct channel *channel, uint32_t number) {
    if (number == 0 || number > REHEARSE_PUBLICATIONS_MAX) {
        return NULL;
    }
    if (number >= channel->n) {
        uint32_t n = number * 2 < 64 ? 64 : number * 2;
        channel->marks = memory_realloc(channel->marks, n * sizeof *channel->marks);
        memset(channel->marks + channel->n, 0, (n - channel->n) * sizeof *channel->marks);
        channel->n = n;
    }
    return &channel->marks[number];
}

static void widen(struct walk *walk, struct rehearse_gap *gap, uint64_t from_us, uint64_t to_us, uint8_t channel,
                  uint8_t subscriber) {
    if (to_us > from_us && to_us - from_us > gap->us) {
        *gap = (struct rehearse_gap){to_us - from_us, from_us - walk->first_us, channel, subscriber};
    }
}

/* ---- the events ---- */

static void on_sent(struct walk *walk, struct channel *channel, const struct rehearse_event *event) {
    walk->account.sent++;
    channel->last_sent = event->number;
    if (channel->first_sent_us == 0) {
        channel->first_sent_us = event->at_us;
        channel->last_ack_us = event->at_us;
        for (unsigned i = 0; i < REHEARSE_SUBSCRIBERS_MAX; i++) {
            channel->last_delivery_us[i] = event->at_us;
        }
    }
}

static void on_acked(struct walk *walk, struct channel *channel, const struct rehearse_event *event, uint16_t *mark) {
    walk->account.acked++;
    *mark |= MARK_ACKED;
    widen(walk, &walk->account.ack_gap, channel->last_ack_us, event->at_us, event->channel, 0);
    channel->last_ack_us = event->at_us;
}

static void on_given_up(struct walk *walk, struct channel *channel, const struct rehearse_event *event,
                        uint16_t *mark) {
    widen(walk, &walk->account.ack_gap, channel->last_ack_us, event->at_us, event->channel, 0);
    if (event->flag) {
        walk->account.nacked++;
        *mark |= MARK_NACKED;
    } else {
        walk->account.unknown++;
    }
}

static void on_delivered(struct walk *walk, struct channel *channel, const struct rehearse_event *event,
                         uint16_t *mark) {
    uint16_t to = (uint16_t) (MARK_TO_FIRST << event->subscriber);
    uint32_t *last = &channel->last_to[event->subscriber];
    uint64_t *last_us = &channel->last_delivery_us[event->subscriber];
    walk->account.delivered++;
    if ((*mark & to) != 0) {
        walk->account.duplicates++;
        return;
    }
    walk->account.out_of_order += event->number < *last ? 1 : 0;
    *last = event->number > *last ? event->number : *last;
    *mark |= to;
    /* The push may be here before its publisher's first event has its time. */
    widen(walk, &walk->account.delivery_gap, *last_us == 0 ? event->at_us : *last_us, event->at_us, event->channel,
          event->subscriber);
    *last_us = event->at_us;
}

static void take_publication(struct walk *walk, const struct rehearse_event *event) {
    struct channel *channel = &walk->channels[event->channel];
    uint16_t *mark = mark_of(channel, event->number);
    if (mark == NULL) {
        walk->account.phantoms++;
        return;
    }
    switch ((enum rehearse_event_kind) event->kind) {
    case REHEARSE_SENT:
        on_sent(walk, channel, event);
        break;
    case REHEARSE_ACKED:
        on_acked(walk, channel, event, mark);
        break;
    case REHEARSE_GIVEN_UP:
        on_given_up(walk, channel, event, mark);
        break;
    case REHEARSE_DELIVERED:
        on_delivered(walk, channel, event, mark);
        break;
    case REHEARSE_KEPT:
        *mark |= MARK_KEPT;
        break;
    case REHEARSE_REFUSED:
    case REHEARSE_UNANSWERED:
    case REHEARSE_DISCONNECTED:
    case REHEARSE_CONNECTED:
    case REHEARSE_SUBSCRIBED:
    case REHEARSE_HISTORY:
    case REHEARSE_BEGUN:
    case REHEARSE_AWAY:
    case REHEARSE_BACK:
    case REHEARSE_WHOLE:
    case REHEARSE_ENDED:
        break;
    }
}

static void take(struct walk *walk, const struct rehearse_event *event) {
    struct rehearse_account *account = &walk->account;
    walk->last_us = event->at_us;
    switch ((enum rehearse_event_kind) event->kind) {
    case REHEARSE_SENT:
    case REHEARSE_ACKED:
    case REHEARSE_GIVEN_UP:
    case REHEARSE_DELIVERED:
    case REHEARSE_KEPT:
        take_publication(walk, event);
        break;
    case REHEARSE_REFUSED:
        account->refused_tries++;
        account->turned_away += walk->is_away ? 1 : 0;
        break;
    case REHEARSE_UNANSWERED:
        account->unanswered_tries++;
        account->turned_away += walk->is_away ? 1 : 0;
        break;
    case REHEARSE_DISCONNECTED:
    case REHEARSE_BACK:
    case REHEARSE_ENDED:
        break;
    case REHEARSE_CONNECTED:
        account->reconnects++;
        break;
    case REHEARSE_SUBSCRIBED:
        account->recovered += event->flag ? 1 : 0;
        account->unrecovered += event->flag ? 0 : 1;
        break;
    case REHEARSE_HISTORY:
        walk->channels[event->channel].is_read = true;
        break;
    case REHEARSE_BEGUN:
        account->has_action = true;
        walk->begun_us = event->at_us;
        break;
    case REHEARSE_AWAY:
        walk->is_away = true;
        break;
    case REHEARSE_WHOLE:
        walk->is_away = false; /* a try that was begun before it came back may fail later */
        account->is_whole = true;
        account->whole_us = event->at_us - walk->begun_us;
        break;
    }
}

/* ---- the marks ---- */

static void count_marks(struct walk *walk, uint8_t number) {
    struct channel *channel = &walk->channels[number];
    uint16_t to_all = (uint16_t) (((1U << walk->n_subscribers) - 1U) * MARK_TO_FIRST);
    uint16_t missed = 0;
    bool is_any_kept = false;
    bool is_empty = true;
    for (uint32_t i = 1; i < channel->n; i++) {
        is_empty = is_empty && (channel->marks[i] & MARK_KEPT) == 0;
    }
    for (uint32_t i = 1; i < channel->n; i++) {
        uint16_t marks = channel->marks[i];
        bool is_acked = (marks & MARK_ACKED) != 0;
        is_any_kept = is_any_kept || (marks & MARK_KEPT) != 0;
        if (is_acked && (marks & to_all) != to_all) {
            walk->account.lost++;
            missed |= (uint16_t) (to_all & ~marks);
        }
        if (is_acked && channel->is_read && (is_any_kept || is_empty) && (marks & MARK_KEPT) == 0) {
            walk->account.gone++;
        }
        if ((marks & MARK_NACKED) != 0 && (marks & (to_all | MARK_KEPT)) != 0) {
            walk->account.phantoms++;
        }
    }
    for (unsigned i = 0; i < walk->n_subscribers; i++) {
        if ((missed & (MARK_TO_FIRST << i)) != 0) {
            widen(walk, &walk->account.delivery_gap, channel->last_delivery_us[i], walk->last_us, number, (uint8_t) i);
        }
    }
    walk->account.unread += channel->last_sent > 0 && !channel->is_read ? 1 : 0;
}

struct rehearse_account rehearse_account_of(const struct rehearse_event *events, size_t n, unsigned n_subscribers) {
    struct walk *walk = memory_alloc_zero(sizeof *walk);
    walk->n_subscribers = n_subscribers;
    walk->first_us = n == 0 ? 0 : events[0].at_us;
    for (size_t i = 0; i < n; i++) {
        take(walk, &events[i]);
    }
    for (unsigned i = 0; i < REHEARSE_CHANNELS_MAX; i++) {
        count_marks(walk, (uint8_t) i);
        memory_free(walk->channels[i].marks);
    }
    struct rehearse_account account = walk->account;
    memory_free(walk);
    return account;
}

/* ---- the verdict ---- */

void rehearse_append_time(struct buffer *out, uint64_t us) {
    if (us < 1000000) {
        buffer_append_format(out, "%llu ms", (unsigned long long) (us / 1000));
    } else {
        buffer_append_format(out, "%llu.%llu s", (unsigned long long) (us / 1000000),
                             (unsigned long long) (us / 100000 % 10));
    }
}

static void fail(struct rehearse_verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct rehearse_verdict *verdict, const char *format, ...) {
    va_list values;
    verdict->is_passed = false;
    if (verdict->n < REHEARSE_REASONS_MAX) {
        va_start(values, format);
        vsnprintf(verdict->reasons[verdict->n++], REHEARSE_REASON_SIZE, format, values);
        va_end(values);
    }
}

static void fail_count(struct rehearse_verdict *verdict, uint64_t n, const char *what) {
    if (n > 0) {
        fail(verdict, "%llu %s", (unsigned long long) n, what);
    }
}

static void fail_time(struct rehearse_verdict *verdict, uint64_t us, uint64_t max_us, const char *what) {
    struct buffer text = BUFFER_EMPTY;
    if (us <= max_us) {
        return;
    }
    rehearse_append_time(&text, us);
    buffer_append_text(&text, "; at most ");
    rehearse_append_time(&text, max_us);
    fail(verdict, "%s %.*s", what, (int) text.size, (const char *) text.data);
    buffer_finish(&text);
}

struct rehearse_verdict rehearse_judge(const struct rehearse_account *account, const struct rehearse_limits *limits) {
    struct rehearse_verdict verdict = {.is_passed = true};
    if (account->acked == 0) {
        fail(&verdict, "nothing was acked");
    }
    fail_count(&verdict, account->lost, "acked, and never delivered to some subscriber");
    fail_count(&verdict, account->gone, "acked, and gone from the history");
    fail_count(&verdict, account->phantoms, "refused for good, and there all the same");
    fail_count(&verdict, account->duplicates, "delivered twice");
    fail_count(&verdict, account->out_of_order, "out of order");
    fail_count(&verdict, account->nacked + account->unknown, "given up: not acked within --patience");
    fail_count(&verdict, account->unread, "channels whose history could not be read at the end");
    if (account->unrecovered > limits->max_unrecovered) {
        fail_count(&verdict, account->unrecovered, "subscriptions could not be recovered");
    }
    fail_time(&verdict, account->ack_gap.us, limits->max_gap_us, "no ack for");
    fail_time(&verdict, account->delivery_gap.us, limits->max_gap_us, "no delivery for");
    if (limits->must_turn_away && account->turned_away == 0) {
        fail(&verdict, "no publication was refused meanwhile: what was taken away was not missed");
    }
    if (account->has_action && !account->is_whole) {
        fail(&verdict, "not all was as before in the end");
    }
    fail_time(&verdict, account->whole_us, limits->max_whole_us, "all was as before after");
    return verdict;
}
