/* A channel's members: loaded once, page by page, kept by the engine's events, loaded again where something is in
 * doubt, and swept of those whose gateway is dead. JOIN and LEAVE are told where the members really changed, so a
 * retry, a move or a second answer to RESYNC is silent.
 *
 * Failure modes: a load that failed for now is done again by the sweep, a second later. While the leases cannot be read
 * nobody is swept. A set that waited under its
 * gateway's former lease came behind the one under the new lease, and the store says the old number: its member is
 * swept, and the gateway, which lives, is asked again (RESYNC). */
#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum { SWEEP_FOR_MS = 3 * PRESENCE_GRACE_MS };

/* Number 0 was set before its gateway's lease was known; RESYNC then brought the number, so behind the grace it only
 * stands in our memory, and a fresh load knows better. */
static bool is_alive(void *context, struct span gateway_id, uint64_t lease_number) {
    return !gateway_leases_are_known(context) ||
           (lease_number != 0 && gateway_leases_is_alive(context, gateway_id, lease_number));
}

static struct presence_lives lives_of(const struct channel *self) {
    return (struct presence_lives){is_alive, (void *) (uintptr_t) self->set->options.leases};
}

static bool is_known(void *context, struct span gateway_id) {
    return gateway_leases_number(context, gateway_id) != 0;
}

static void on_gone(void *context, const struct presence_gone *gone) {
    struct channel *self = context;
    metric_count(self->set->options.metrics, SHARD_MEMBERS_SWEPT);
    if (gone->in_store) {
        /* Only what was looked at: another broker may have set it under its gateway's new lease meanwhile. The engine
         * tells the leaving to everyone, us too; where it is another's by now it tells nothing, and the next look finds
         * whose. */
        const struct engine_presence_owner owner = {gone->entry.gateway_id, gone->entry.lease_number};
        self->set->engine->methods->presence_clear(self->set->engine, channel_name(self), gone->client, &owner);
        return;
    }
    if (gone->is_told) {
        channel_tell_members(self, false, gone->entry.info);
    }
    presence_leave(self->presence->members, gone->client);
}

static void take_page(struct channel *self, const struct engine_presence_read *read) {
    presence_t *members = self->presence->members;
    uint64_t now_ms = clock_monotonic_ms();
    bool tell = presence_was_ready(members);
    for (uint32_t i = 0; i < read->n_entries; i++) {
        if (presence_load(members, &read->entries[i], now_ms) && tell) {
            channel_tell_members(self, true, read->entries[i].info);
        }
    }
}

static void end_load(struct channel *self) {
    presence_t *members = self->presence->members;
    uint64_t now_ms = clock_monotonic_ms();
    bool tell = presence_was_ready(members);
    presence_end_load(members, now_ms);
    if (now_ms + SWEEP_FOR_MS > self->set->sweep_until_ms) {
        self->set->sweep_until_ms = now_ms + SWEEP_FOR_MS;
    }
    if (tell && gateway_leases_are_fresh(self->set->options.leases, now_ms)) {
        struct presence_lives lives = lives_of(self);
        if (presence_sweeps_the_living(members, &lives, now_ms, is_known)) {
            self->set->options.on_swept_living(self->set->options.context,
                                               partition_of(channel_name(self), self->set->n_partitions));
        }
        presence_sweep(members, &lives, now_ms, on_gone, self);
    }
}

static void read_page(struct channel *self, uint64_t cursor);

/* The next sweep, or the one after, loads it. */
static void doubt(struct channel *self) {
    self->presence->in_doubt = true;
    self->set->sweep_until_ms = clock_monotonic_ms() + SWEEP_FOR_MS;
}

static void on_read_done(struct engine_presence_read *read, enum engine_outcome outcome) {
    struct channel *self = list_entry(read, struct channel_presence, read)->channel;
    self->set->presence_reads_out--;
    if (self->set->closing) {
        return;
    }
    if (outcome != ENGINE_OK) {
        presence_fail_load(self->presence->members);
        if (outcome == ENGINE_TEMPORARY || outcome == ENGINE_FULL) {
            doubt(self);
        }
    } else {
        take_page(self, read);
        if (read->next != 0) {
            read_page(self, read->next);
            return;
        }
        end_load(self);
    }
    if (self->presence->load_again) {
        self->presence->load_again = false;
        channel_load_presence(self);
        return;
    }
    if (self->n_subscriptions == 0) {
        channel_settle(self);
    }
}

static void read_page(struct channel *self, uint64_t cursor) {
    self->presence->read = (struct engine_presence_read){
        .channel = channel_name(self),
        .cursor = cursor,
        .deadline_ms = clock_monotonic_ms() + (uint64_t) self->set->options.config->publish_timeout_ms,
        .on_done = on_read_done};
    self->set->presence_reads_out++;
    self->set->engine->methods->presence_read(self->set->engine, &self->presence->read);
}

bool channel_reads_presence(const struct channel *self) {
    return self->presence != NULL && presence_is_loading(self->presence->members);
}

void channel_presence_destroy(struct channel *self) {
    if (self->presence != NULL) {
        presence_destroy(&self->presence->members);
        memory_free(self->presence);
        self->presence = NULL;
    }
}

void channel_load_presence(struct channel *self) {
    if (self->presence == NULL) {
        self->presence = memory_alloc_zero(sizeof *self->presence);
        self->presence->channel = self;
        self->presence->members = presence_new((uint32_t) self->set->options.config->presence_infos_max);
    }
    if (channel_reads_presence(self)) {
        self->presence->load_again = true;
        return;
    }
    self->presence->in_doubt = false;
    presence_begin_load(self->presence->members);
    read_page(self, 0);
}

/* Whoever seems dead is looked up again before it is taken out: its gateway may have set it under a new lease. */
void channel_sweep_presence(struct channel *self, uint64_t now_ms) {
    if (self->presence == NULL || channel_reads_presence(self)) {
        return;
    }
    if (self->presence->in_doubt) {
        channel_load_presence(self);
        return;
    }
    struct presence_lives lives = lives_of(self);
    const presence_t *members = self->presence->members;
    if (!presence_was_ready(members) || presence_needs_sweep(members, &lives, now_ms)) {
        channel_load_presence(self);
    }
}

void channel_on_presence(channel_t *self, bool joined, const struct engine_presence_entry *entry, uint64_t now_ms) {
    struct wire_client_info info;
    if (!wire_read_client_info(entry->info, &info)) {
        return;
    }
    bool changed = true;
    if (self->presence != NULL) {
        presence_t *members = self->presence->members;
        changed = joined ? presence_join(members, entry, now_ms) : presence_leave(members, info.client);
        if (!joined && presence_wants_infos(members) && !presence_is_loading(members)) {
            channel_load_presence(self);
        }
    }
    if (changed) {
        channel_tell_members(self, joined, entry->info);
    }
}

void channel_set_member(channel_t *self, const struct engine_presence_entry *entry, uint64_t now_ms) {
    if (self->presence != NULL) {
        presence_set(self->presence->members, entry, now_ms);
    }
}

void channel_clear_member(channel_t *self, struct span client) {
    if (self->presence != NULL) {
        presence_clear(self->presence->members, client);
    }
}

const presence_t *channel_presence(const channel_t *self) {
    return self->presence != NULL && presence_is_ready(self->presence->members) ? self->presence->members : NULL;
}
