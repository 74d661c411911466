/* See checker.h. */
#include "tests/simulation/checker.h"

#include "base/check.h"
#include "tests/simulation/sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { EPOCHS_MAX = 128, PLACES_MAX = 8, OFFSETS_MAX = 4096 };

struct epoch_record {
    struct epoch epoch;
    bool is_born; /* Redis was seen to make it */
    uint64_t base;
    uint64_t top; /* the highest that Redis had */
    uint64_t born_us;
    uint16_t *ids; /* by offset: the publication that somebody was told; 0: nobody was */
    bool is_told;
};

struct channel_record {
    char name[64];
    bool is_safe;
    int64_t history_size;
    struct epoch_record epochs[EPOCHS_MAX];
    int n_epochs;
    unsigned births;
    unsigned told;   /* epochs that somebody was told of */
    unsigned losses; /* Redis was made to forget something of it */
};

struct place {
    int epoch;
    uint64_t offset;
};

struct publication_record {
    int channel;
    uint64_t invoked_us;
    unsigned pending;
    bool was_unknown;
    bool was_refused;
    bool was_acked;
    bool was_seen;
    struct place ack;
    uint64_t acked_us;
    struct place places[PLACES_MAX];
    int n_places;
};

struct session_record {
    int channel;
    bool is_joined;
    bool has_position;
    bool has_history;
    struct position at;
    uint64_t must_reach; /* of a recovery under way */
};

static struct {
    struct channel_record channels[CHANNELS_MAX];
    int n_channels;
    struct publication_record *publications; /* from 1 */
    int n_publications;
    struct session_record sessions[SESSIONS_MAX];
    int n_sessions;
    unsigned reigns;
    unsigned losses;
    uint64_t acked;
    uint64_t deliveries;
} checker;

void checker_begin(void) {
    memset(&checker, 0, sizeof checker);
    checker.publications = sim_alloc((PUBLICATIONS_MAX + 1) * sizeof *checker.publications);
}

/* ---- channels and epochs ---- */

int checker_add_channel(const char *name, bool is_safe, int64_t history_size) {
    check(checker.n_channels < CHANNELS_MAX, "channels");
    struct channel_record *channel = &checker.channels[checker.n_channels];
    snprintf(channel->name, sizeof channel->name, "%s", name);
    channel->is_safe = is_safe;
    channel->history_size = history_size;
    return checker.n_channels++;
}

int checker_channels(void) {
    return checker.n_channels;
}

const char *checker_channel_name(int channel) {
    return checker.channels[channel].name;
}

int checker_find_channel(struct span name) {
    for (int i = 0; i < checker.n_channels; i++) {
        if (span_equal_text(name, checker.channels[i].name)) {
            return i;
        }
    }
    return -1;
}

bool checker_is_safe(int channel) {
    return checker.channels[channel].is_safe;
}

static int epoch_index(struct channel_record *channel, const struct epoch *epoch) {
    for (int i = 0; i < channel->n_epochs; i++) {
        if (epoch_equal(&channel->epochs[i].epoch, epoch)) {
            return i;
        }
    }
    check(channel->n_epochs < EPOCHS_MAX, "a channel has more epochs than a schedule can make");
    struct epoch_record *record = &channel->epochs[channel->n_epochs];
    *record = (struct epoch_record){.epoch = *epoch};
    return channel->n_epochs++;
}

/* ---- Redis ---- */

void checker_note_reign(void) {
    checker.reigns++;
}

bool checker_has_reigns(void) {
    return checker.reigns > 0;
}

void checker_note_loss(int channel) {
    if (channel >= 0) {
        checker.channels[channel].losses++;
    } else {
        checker.losses++;
    }
}

static unsigned losses_of(const struct channel_record *channel) {
    return checker.losses + channel->losses;
}

bool checker_has_losses(int channel) {
    return losses_of(&checker.channels[channel]) > 0;
}

void checker_saw_meta(int server, struct span name, struct span epoch, uint64_t base, uint64_t top) {
    (void) server;
    int number = checker_find_channel(name);
    if (number < 0) {
        return;
    }
    struct channel_record *channel = &checker.channels[number];
    struct epoch text = epoch_from(epoch);
    struct epoch_record *record = &channel->epochs[epoch_index(channel, &text)];
    record->top = top > record->top ? top : record->top;
    if (record->is_born) {
        return;
    }
    record->is_born = true;
    record->base = base;
    record->born_us = sim_now_us();
    channel->births++;
    sim_trace("checker", "%s has the epoch %.6s from %llu (top %llu)", channel->name, record->epoch.text,
              (unsigned long long) base, (unsigned long long) top);
    unsigned allowed = 1 + losses_of(channel) + checker.reigns;
    if (!channel->is_safe && channel->births > allowed) {
        sim_fail("C8: %s got its epoch number %u, but only %u had a reason", channel->name, channel->births, allowed);
    }
}

/* ---- what somebody was told of ---- */

/* Was what stood at this place lost, and is a later epoch's beginning the news of it? */
static bool is_told_lost(const struct channel_record *channel, const struct place *place) {
    for (int i = 0; i < channel->n_epochs; i++) {
        const struct epoch_record *later = &channel->epochs[i];
        if (i != place->epoch && later->is_born && later->base < place->offset &&
            later->born_us >= channel->epochs[place->epoch].born_us) {
            return true;
        }
    }
    return false;
}

/* Nobody hears of a second epoch of a safe channel. One that was never told may be lost with what was never told. */
static void note_told(struct channel_record *channel, const struct epoch *epoch) {
    struct epoch_record *record = &channel->epochs[epoch_index(channel, epoch)];
    if (record->is_told || epoch_is_empty(epoch)) {
        return;
    }
    record->is_told = true;
    channel->told++;
    if (channel->is_safe && channel->told > 1 + losses_of(channel)) {
        sim_fail("C8: %s is safe, and somebody is told of its epoch number %u", channel->name, channel->told);
    }
}

static void check_once(struct channel_record *channel, struct publication_record *publication, int id,
                       const struct place *place) {
    for (int i = 0; i < publication->n_places; i++) {
        const struct place *other = &publication->places[i];
        if (other->epoch == place->epoch && other->offset == place->offset) {
            return;
        }
        bool is_excused = losses_of(channel) > 0 || (!channel->is_safe && other->epoch != place->epoch &&
                                                     (is_told_lost(channel, other) || is_told_lost(channel, place)));
        if (other->offset != place->offset && !is_excused) {
            sim_fail("C5: %s: publication %d stands at %.6s:%llu and at %.6s:%llu", channel->name, id,
                     channel->epochs[other->epoch].epoch.text, (unsigned long long) other->offset,
                     channel->epochs[place->epoch].epoch.text, (unsigned long long) place->offset);
        }
    }
    if (publication->n_places < PLACES_MAX) {
        publication->places[publication->n_places++] = *place;
    }
}

static void check_phantom(const struct publication_record *publication, int id) {
    if (publication->was_refused && publication->was_seen && publication->pending == 0 && !publication->was_unknown &&
        !publication->was_acked) {
        sim_fail("C4: publication %d was refused for good, and was told to somebody", id);
    }
}

/* Somebody is told that this publication stands there. */
static void tell(int number, const struct epoch *epoch, uint64_t offset, int id, struct place *ret_place) {
    struct channel_record *channel = &checker.channels[number];
    if (id <= 0 || id > checker.n_publications || checker.publications[id].channel != number) {
        sim_fail("C4: %s: publication %d was told but never invoked there", channel->name, id);
        return;
    }
    struct publication_record *publication = &checker.publications[id];
    *ret_place = (struct place){0, offset};
    if (offset == 0) {
        return;
    }
    note_told(channel, epoch);
    ret_place->epoch = epoch_index(channel, epoch);
    check(offset < OFFSETS_MAX, "offsets of a schedule stay small");
    struct epoch_record *record = &channel->epochs[ret_place->epoch];
    if (record->ids == NULL) {
        record->ids = sim_alloc(OFFSETS_MAX * sizeof *record->ids);
    }
    if (record->ids[offset] == 0) {
        record->ids[offset] = (uint16_t) id;
    } else if (record->ids[offset] != id) {
        sim_fail("C1: %s %.6s:%llu is publication %u to one and %d to another", channel->name, record->epoch.text,
                 (unsigned long long) offset, record->ids[offset], id);
    }
    check_once(channel, publication, id, ret_place);
}

/* ---- publishers ---- */

int checker_invoke(int channel) {
    check(checker.n_publications < PUBLICATIONS_MAX, "publications");
    checker.publications[++checker.n_publications] =
        (struct publication_record){.channel = channel, .invoked_us = sim_now_us()};
    return checker.n_publications;
}

void checker_attempt(int id) {
    checker.publications[id].pending++;
}

/* Acked before this one was invoked: then it stands below, in the same epoch. */
static void check_real_time(const struct channel_record *channel, const struct publication_record *publication,
                            int id) {
    for (int i = 1; i <= checker.n_publications; i++) {
        const struct publication_record *other = &checker.publications[i];
        if (other->channel != publication->channel || !other->was_acked || i == id ||
            other->ack.epoch != publication->ack.epoch) {
            continue;
        }
        bool is_before = other->acked_us < publication->invoked_us;
        bool is_behind = publication->acked_us < other->invoked_us;
        if ((is_before && other->ack.offset >= publication->ack.offset) ||
            (is_behind && other->ack.offset <= publication->ack.offset)) {
            sim_fail("C6: %s: publications %d (at %llu) and %d (at %llu) stand against their order", channel->name, id,
                     (unsigned long long) publication->ack.offset, i, (unsigned long long) other->ack.offset);
        }
    }
}

void checker_published(int id, const struct publish_result *result) {
    struct publication_record *publication = &checker.publications[id];
    const struct channel_record *channel = &checker.channels[publication->channel];
    publication->pending--;
    sim_note(result, sizeof result->outcome);
    if (result->outcome == PUBLISH_UNKNOWN) {
        publication->was_unknown = true;
    } else if (result->outcome == PUBLISH_NO) {
        publication->was_refused = true;
        check_phantom(publication, id);
    } else if (!publication->was_acked && !result->is_not_durable) {
        checker.acked++;
        struct place place = {0, 0};
        tell(publication->channel, &result->position.epoch, result->position.offset, id, &place);
        publication->was_acked = true;
        publication->ack = place;
        publication->acked_us = sim_now_us();
        check_real_time(channel, publication, id);
    } else {
        publication->was_acked = true;
    }
    if (sim_traces()) {
        static const char *const outcomes[] = {"ok", "no", "unknown"};
        sim_trace("publisher", "publication %d on %s: %s %.6s:%llu%s%s code %u", id, channel->name,
                  outcomes[result->outcome], result->position.epoch.text, (unsigned long long) result->position.offset,
                  result->is_duplicate ? " duplicate" : "", result->is_not_durable ? " live only" : "", result->code);
    }
}

/* ---- sessions ---- */

int checker_add_session(int channel) {
    check(checker.n_sessions < SESSIONS_MAX, "sessions");
    checker.sessions[checker.n_sessions].channel = channel;
    return checker.n_sessions++;
}

int checker_sessions(void) {
    return checker.n_sessions;
}

int checker_session_channel(int session) {
    return checker.sessions[session].channel;
}

bool checker_session_position(int session, struct position *ret_position) {
    *ret_position = checker.sessions[session].at;
    return checker.sessions[session].has_position;
}

bool checker_is_joined(int session) {
    return checker.sessions[session].is_joined;
}

/* "No" where the history surely had everything: somebody answered without knowing. */
static bool is_needless(struct channel_record *channel, const struct position *from, const struct position *to) {
    uint64_t top = channel->epochs[epoch_index(channel, &to->epoch)].top;
    return epoch_equal(&from->epoch, &to->epoch) && from->offset <= to->offset &&
           top - from->offset <= (uint64_t) channel->history_size / 2 && losses_of(channel) == 0;
}

void checker_joined(int number, bool has_history, bool has_since, const struct position *since, bool recovered,
                    const struct position *position) {
    struct session_record *session = &checker.sessions[number];
    struct channel_record *channel = &checker.channels[session->channel];
    note_told(channel, &position->epoch);
    sim_trace("session", "%d joins %s at %.6s:%llu%s since %.6s:%llu", number, channel->name, position->epoch.text,
              (unsigned long long) position->offset, recovered ? " recovered" : "", has_since ? since->epoch.text : "-",
              (unsigned long long) (has_since ? since->offset : 0));
    session->is_joined = true;
    session->has_history = has_history;
    session->has_position = has_history;
    session->must_reach = position->offset;
    session->at = *position;
    if (recovered) {
        session->at.offset = since->offset;
        if (!has_since || !epoch_equal(&since->epoch, &position->epoch)) {
            sim_fail("C7: %s: session %d recovered from %.6s into the epoch %.6s", channel->name, number,
                     since->epoch.text, position->epoch.text);
        }
    } else if (has_since && has_history && is_needless(channel, since, position)) {
        sim_fail("C7: %s: session %d did not recover from %llu, %llu is all it missed", channel->name, number,
                 (unsigned long long) since->offset, (unsigned long long) (position->offset - since->offset));
    } else if (has_since && has_history && channel->is_safe && !epoch_equal(&since->epoch, &position->epoch) &&
               losses_of(channel) == 0) {
        sim_fail("C8: %s: session %d did not recover, a safe channel changed its epoch", channel->name, number);
    }
}

void checker_join_ended(int number) {
    const struct session_record *session = &checker.sessions[number];
    if (session->has_history && session->at.offset != session->must_reach) {
        sim_fail("C7: %s: session %d was promised everything to %llu, and got it to %llu",
                 checker.channels[session->channel].name, number, (unsigned long long) session->must_reach,
                 (unsigned long long) session->at.offset);
    }
}

void checker_received(int number, uint64_t offset, struct span data) {
    struct session_record *session = &checker.sessions[number];
    const struct channel_record *channel = &checker.channels[session->channel];
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int) data.size, (const char *) data.data);
    int id = atoi(text);
    struct place place = {0, 0};
    checker.deliveries++;
    sim_note(&offset, sizeof offset);
    sim_note(&id, sizeof id);
    if (offset != 0 && session->has_history) {
        if (offset != session->at.offset + 1) {
            sim_fail("C2: %s: session %d stands at %llu and is given %llu", channel->name, number,
                     (unsigned long long) session->at.offset, (unsigned long long) offset);
        }
        session->at.offset = offset;
    }
    if (id > 0 && id <= checker.n_publications) {
        checker.publications[id].was_seen = true;
        check_phantom(&checker.publications[id], id);
    }
    tell(session->channel, &session->at.epoch, session->has_history ? offset : 0, id, &place);
}

void checker_lost(int number, bool by_broker, const struct position *position) {
    struct session_record *session = &checker.sessions[number];
    struct channel_record *channel = &checker.channels[session->channel];
    if (!session->is_joined) {
        return;
    }
    sim_trace("session", "%d of %s at %.6s:%llu is told: lost, now %.6s:%llu", number, channel->name,
              session->at.epoch.text, (unsigned long long) session->at.offset, position->epoch.text,
              (unsigned long long) position->offset);
    session->is_joined = false;
    if (by_broker && session->has_history && is_needless(channel, &session->at, position)) {
        sim_fail("C7: %s: session %d was told lost at %llu, %llu is all it missed", channel->name, number,
                 (unsigned long long) session->at.offset, (unsigned long long) (position->offset - session->at.offset));
    }
    if (by_broker && channel->is_safe && losses_of(channel) == 0 &&
        !epoch_equal(&session->at.epoch, &position->epoch)) {
        sim_fail("C8: %s: session %d was told of another epoch, but the channel is safe", channel->name, number);
    }
}

void checker_left(int number) {
    checker.sessions[number].is_joined = false;
}

/* ---- the end ---- */

bool checker_stands_at(int number, const struct position *top) {
    const struct session_record *session = &checker.sessions[number];
    return session->is_joined && position_equal(&session->at, top);
}

void checker_final(int number, struct span epoch, uint64_t first, uint64_t top, int (*id_at)(void *context, uint64_t),
                   void *context) {
    struct channel_record *channel = &checker.channels[number];
    struct epoch now = epoch_from(epoch);
    int index = epoch_index(channel, &now);
    for (int id = 1; id <= checker.n_publications; id++) {
        const struct publication_record *publication = &checker.publications[id];
        if (publication->channel != number || !publication->was_acked || publication->ack.offset == 0) {
            continue;
        }
        const struct place *ack = &publication->ack;
        if (ack->epoch != index) {
            if (channel->is_safe && losses_of(channel) == 0) {
                sim_fail("C3: %s: publication %d was acked in an epoch that is gone, and the channel is safe",
                         channel->name, id);
            }
            continue;
        }
        int there = ack->offset < first || ack->offset > top ? 0 : id_at(context, ack->offset);
        if (ack->offset >= first && there != id) {
            sim_fail("C3: %s: publication %d was acked at %.6s:%llu, where Redis has %d", channel->name, id, now.text,
                     (unsigned long long) ack->offset, there);
        }
    }
}

uint64_t checker_acked(void) {
    return checker.acked;
}

uint64_t checker_deliveries(void) {
    return checker.deliveries;
}
