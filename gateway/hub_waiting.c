/* Sessions that wait to join, and what an answer means to each.
 *
 * One SUBSCRIBE is out at a time, for one since; its answer serves everyone whom it can: recovered since s to P serves
 * all with s ≤ since ≤ P by slices, for the history is read once for a thousand sessions that come back together. Not
 * recovered at s is also the answer of those below s. What is left is asked next: after a refusal the middle of what is
 * left, so that the end of the history is found in a few steps.
 *
 * Who wants the latest (cache mode) is served by the last publication of any answer, or by the next push, whichever
 * comes first; where nobody else asks, W-1 is asked for. Where the stream does not hold it: not recovered.
 *
 * No broker is needed for: no since; since = W; a channel without history. A since of another epoch is "no" for
 * everyone by any answer, but not without one: a link that is half open leaves the hub in an epoch that is over, and
 * who comes from the new one would be sent back. */
#include "gateway/hub_internal.h"

#include "base/check.h"

bool hub_answer_is_dense(const struct hub_answer *answer) {
    struct cursor cursor = cursor_of(answer->publications);
    struct wire_publication publication;
    uint64_t expected = answer->since.offset;
    for (uint32_t i = 0; i < answer->n_publications; i++) {
        if (!wire_read_publication(&cursor, &publication) || publication.offset != ++expected) {
            return false;
        }
    }
    return cursor_is_done(&cursor) && expected == answer->position.offset &&
           epoch_equal(&answer->since.epoch, &answer->position.epoch);
}

/* Where each publication of a dense answer starts, as offsets into it. */
static void index_publications(struct buffer *ret_starts, const struct hub_answer *answer) {
    buffer_clear(ret_starts);
    struct cursor cursor = cursor_of(answer->publications);
    struct wire_publication publication;
    for (uint32_t i = 0; i < answer->n_publications; i++) {
        buffer_append_u32(ret_starts, (uint32_t) (answer->publications.size - cursor.left));
        wire_read_publication(&cursor, &publication);
    }
}

static struct span publications_above(const struct buffer *starts, const struct hub_answer *answer, uint64_t offset) {
    uint64_t skipped = offset - answer->since.offset;
    if (skipped >= answer->n_publications) {
        return SPAN_EMPTY;
    }
    struct cursor cursor = cursor_of(span_of(starts->data + skipped * 4, 4));
    uint32_t start = cursor_u32(&cursor);
    return span_of(answer->publications.data + start, answer->publications.size - start);
}

void hub_stop_waiting(hub_t *self, struct hub_member *member) {
    list_remove(&member->waiting);
    member->channel->n_waiting--;
    member->channel->n_waiting_for_latest -= member->wants_latest;
    metric_change(self->metrics, HUB_METRIC_WAITING, -1);
}

static void join(struct hub_channel *channel, struct hub_member *member, const struct hub_joined *joined) {
    hub_t *hub = channel->hub;
    member->wants_delta = member->wants_delta && joined->has_history; /* a patch needs the publication before */
    member->base_offset = joined->n_publications > 0 ? joined->position.offset : 0;
    hub_stop_waiting(hub, member);
    if (member->has_since) {
        hub_count(hub, joined->recovered ? HUB_METRIC_RECOVERED : HUB_METRIC_NOT_RECOVERED);
    }
    hub_add_member(channel, member);
    hub->callbacks.on_joined(member, joined); /* the member may be gone now */
}

static void join_at_w(struct hub_channel *channel, struct hub_member *member, bool recovered) {
    const struct subscription *subscription = &channel->subscription;
    join(channel, member,
         &(struct hub_joined){.has_history = subscription->has_history,
                              .id = channel->id,
                              .position = subscription->at,
                              .recovered = recovered && subscription->has_history});
}

static bool is_of_another_epoch(const struct position *since, const struct epoch *epoch) {
    return !epoch_is_empty(&since->epoch) && !epoch_equal(&since->epoch, epoch);
}

/* What can be said without asking; `has_answer`: W is what the broker said just now. */
static bool admit_now(struct hub_channel *channel, struct hub_member *member, bool has_answer) {
    const struct subscription *subscription = &channel->subscription;
    if (!subscription->has_history || !member->has_since) {
        join_at_w(channel, member, false);
        return true;
    }
    bool has_nothing_to_get = member->wants_latest && subscription->at.offset == 0;
    if (position_equal(&member->since, &subscription->at) && !has_nothing_to_get) {
        join_at_w(channel, member, true);
        return true;
    }
    if (member->wants_latest) {
        if (has_answer && has_nothing_to_get) {
            join_at_w(channel, member, false);
        }
        return has_answer && has_nothing_to_get;
    }
    if (has_answer && is_of_another_epoch(&member->since, &subscription->at.epoch)) {
        join_at_w(channel, member, false);
        return true;
    }
    return false;
}

enum verdict { VERDICT_RECOVERED, VERDICT_NOT_RECOVERED, VERDICT_NONE };

static enum verdict judge(const struct hub_answer *answer, const struct position *since) {
    if (!answer->has_since || !epoch_equal(&answer->since.epoch, &since->epoch)) {
        return VERDICT_NONE;
    }
    if (answer->recovered) {
        bool is_inside = since->offset >= answer->since.offset && since->offset <= answer->position.offset;
        return is_inside ? VERDICT_RECOVERED : VERDICT_NONE;
    }
    if (since->offset == answer->since.offset) {
        return VERDICT_NOT_RECOVERED;
    }
    bool asked_is_ahead = answer->since.offset > answer->position.offset;
    bool shares_fate = asked_is_ahead ? since->offset > answer->since.offset : since->offset < answer->since.offset;
    return shares_fate ? VERDICT_NOT_RECOVERED : VERDICT_NONE;
}

static void join_with_latest(struct hub_channel *channel, struct hub_member *member, struct span publication) {
    join(channel, member,
         &(struct hub_joined){.has_history = true,
                              .id = channel->id,
                              .position = channel->subscription.at,
                              .recovered = true,
                              .n_publications = 1,
                              .publications = publication});
}

/* A refusal of another since says nothing: the channel went on meanwhile. */
static void admit_latest_by(struct hub_channel *channel, struct hub_member *member, const struct hub_answer *answer) {
    const struct position *top = &answer->position;
    if (answer->recovered && answer->n_publications > 0) {
        join_with_latest(channel, member, publications_above(&channel->hub->slices, answer, top->offset - 1));
    } else if (answer->has_since && !answer->recovered && answer->since.offset + 1 == top->offset &&
               epoch_equal(&answer->since.epoch, &top->epoch)) {
        join_at_w(channel, member, false);
    }
}

static void admit_by(struct hub_channel *channel, struct hub_member *member, const struct hub_answer *answer) {
    if (member->wants_latest) {
        admit_latest_by(channel, member, answer);
        return;
    }
    switch (judge(answer, &member->since)) {
    case VERDICT_NONE:
        return;
    case VERDICT_NOT_RECOVERED:
        join_at_w(channel, member, false);
        return;
    case VERDICT_RECOVERED:
        join(channel, member,
             &(struct hub_joined){.has_history = true,
                                  .id = channel->id,
                                  .position = channel->subscription.at,
                                  .recovered = true,
                                  .n_publications = (uint32_t) (answer->position.offset - member->since.offset),
                                  .publications =
                                      publications_above(&channel->hub->slices, answer, member->since.offset)});
        return;
    }
}

static void note_outcome(struct hub_channel *channel, const struct hub_answer *answer) {
    if (answer->has_since && !is_of_another_epoch(&answer->since, &answer->position.epoch)) {
        channel->failed_since = answer->recovered ? 0 : answer->since.offset;
    }
}

/* Each member that waits now is looked at once; who comes inside stands in the list again. */
void hub_admit(struct hub_channel *channel, const struct hub_answer *answer) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &channel->waiting);
    if (answer != NULL) {
        note_outcome(channel, answer);
        if (answer->recovered) {
            index_publications(&channel->hub->slices, answer);
        }
    }
    while (!list_is_empty(&now)) {
        struct hub_member *member = list_entry(now.next, struct hub_member, waiting);
        list_remove(&member->waiting);
        list_push_back(&channel->waiting, &member->waiting);
        if (!admit_now(channel, member, answer != NULL) && answer != NULL) {
            admit_by(channel, member, answer);
        }
    }
}

void hub_admit_to_latest(struct hub_channel *channel, const struct wire_publication *publication) {
    if (channel->n_waiting_for_latest == 0 || !channel->subscription.knows || publication->offset == 0) {
        return;
    }
    struct buffer bytes = BUFFER_EMPTY;
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &channel->waiting);
    wire_append_publication(&bytes, publication);
    while (!list_is_empty(&now)) {
        struct hub_member *member = list_entry(now.next, struct hub_member, waiting);
        list_remove(&member->waiting);
        list_push_back(&channel->waiting, &member->waiting);
        if (member->wants_latest) {
            join_with_latest(channel, member, buffer_span(&bytes));
        }
    }
    buffer_finish(&bytes);
}

static void fail_member(struct hub_channel *channel, struct hub_member *member, enum error_code code) {
    hub_stop_waiting(channel->hub, member);
    hub_count(channel->hub, HUB_METRIC_JOINS_FAILED);
    member->state = HUB_MEMBER_OUT;
    member->channel = NULL;
    channel->hub->callbacks.on_join_failed(member, code);
}

void hub_fail_waiting(struct hub_channel *channel, enum error_code code) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &channel->waiting);
    while (!list_is_empty(&now)) {
        fail_member(channel, list_entry(now.next, struct hub_member, waiting), code);
    }
}

void hub_fail_impatient(struct hub_channel *channel, uint64_t now_ms) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &channel->waiting);
    while (!list_is_empty(&now)) {
        struct hub_member *member = list_entry(now.next, struct hub_member, waiting);
        if (member->deadline_ms <= now_ms) {
            fail_member(channel, member, ERROR_INTERNAL);
            continue;
        }
        list_remove(&member->waiting);
        list_push_back(&channel->waiting, &member->waiting);
    }
}

/* Who wants the latest only does not. */
static bool goes_by_since(const struct hub_member *member) {
    return member->has_since && !member->wants_latest;
}

/* The smallest since at or above `floor` among those of the first one's epoch; NULL: there is none. */
static const struct hub_member *smallest_from(const struct hub_channel *channel, const struct epoch *epoch,
                                              uint64_t floor) {
    const struct hub_member *smallest = NULL;
    list_for_each (link, &channel->waiting) {
        const struct hub_member *member = list_entry(link, struct hub_member, waiting);
        if (goes_by_since(member) && epoch_equal(&member->since.epoch, epoch) && member->since.offset >= floor &&
            (smallest == NULL || member->since.offset < smallest->since.offset)) {
            smallest = member;
        }
    }
    return smallest;
}

static const struct hub_member *first_with_since(const struct hub_channel *channel) {
    list_for_each (link, &channel->waiting) {
        const struct hub_member *member = list_entry(link, struct hub_member, waiting);
        if (goes_by_since(member)) {
            return member;
        }
    }
    return NULL;
}

/* Right before the latest, where somebody waits for that. */
static bool pick_before_latest(const struct hub_channel *channel, struct position *ret_since) {
    if (channel->n_waiting_for_latest == 0 || !channel->subscription.knows) {
        return false;
    }
    *ret_since = channel->subscription.at;
    ret_since->offset -= ret_since->offset > 0;
    return true;
}

bool hub_pick_since(const struct hub_channel *channel, struct position *ret_since) {
    const struct hub_member *first = first_with_since(channel);
    if (first == NULL) {
        return pick_before_latest(channel, ret_since);
    }
    const struct hub_member *pick = NULL;
    uint64_t top = channel->subscription.at.offset;
    if (channel->failed_since != 0 && channel->failed_since < top) {
        uint64_t middle = channel->failed_since + (top - channel->failed_since) / 2;
        pick = smallest_from(channel, &first->since.epoch, middle);
    }
    if (pick == NULL) {
        pick = smallest_from(channel, &first->since.epoch, 0);
    }
    check(pick != NULL, "the first one is one of its epoch");
    *ret_since = pick->since;
    return true;
}
