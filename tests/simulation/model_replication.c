/* Replication of the simulated Redis (PSYNC2): a log of atomic changes, copied to replicas with a delay each.
 *
 * A promoted server keeps its old replid as the second one, up to the offset it had: replicas that are not further go
 * on without a new copy. A demoted one that is further, or of another history, is copied anew, and what it had alone is
 * gone. */
#include "tests/simulation/model_server.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/simulation/sim.h"

#include <stdio.h>

enum { COPY_US = 20 * MS };

void model_new_replid(struct model_server *self) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < MODEL_REPLID; i++) {
        self->replid[i] = digits[sim_below(16)];
    }
}

/* ---- the log ---- */

static void log_append(struct model_server *self, struct model_change *change) {
    if (self->n_log == self->log_capacity) {
        self->log_capacity = self->log_capacity == 0 ? 256 : self->log_capacity * 2;
        self->log = memory_realloc(self->log, self->log_capacity * sizeof(struct model_change *));
    }
    self->log[self->n_log++] = change;
}

void model_apply(struct model_server *self, const struct model_change *change) {
    struct buffer ignored = BUFFER_EMPTY;
    self->is_replaying = true;
    for (size_t i = 0; i < change->n; i++) {
        struct model_call call = {.server = self,
                                  .n = change->commands[i].n,
                                  .arguments = change->commands[i].arguments,
                                  .reply = &ignored,
                                  .is_replayed = true};
        model_command(&call);
        buffer_clear(&ignored);
    }
    self->is_replaying = false;
    buffer_finish(&ignored);
}

/* The keys as they were behind so many changes. */
void model_rebuild(struct model_server *self, uint64_t offset) {
    model_store_clear(&self->store);
    model_store_copy(&self->store, &self->base);
    size_t n = (size_t) (offset - self->base_offset);
    for (size_t i = 0; i < n; i++) {
        model_apply(self, self->log[i]);
    }
    self->n_log = n;
}

static void everysec(void *context, uint64_t offset) {
    struct model_server *self = context;
    if (self->is_alive && offset <= model_offset(self) && offset > self->fsynced) {
        self->fsynced = offset;
    }
}

/* ---- shipping ---- */

struct shipment {
    struct model_server *replica;
    uint64_t link_number;
    uint64_t offset;
};

static void wake_waiting(struct model_server *self);

static void on_ack(void *context, uint64_t offset) {
    struct shipment *shipment = context;
    struct model_server *replica = shipment->replica;
    struct model_server *primary = replica->primary;
    if (primary == NULL || replica->link_number != shipment->link_number || !primary->is_alive) {
        return;
    }
    if (sim_now_us() < replica->link_cut_us) {
        sim_at(replica->link_cut_us, on_ack, context, offset);
        return;
    }
    if (sim_now_us() < primary->still_until_us) {
        sim_at(primary->still_until_us, on_ack, context, offset);
        return;
    }
    if (offset > primary->acked[replica->index]) {
        primary->acked[replica->index] = offset;
        wake_waiting(primary);
    }
}

static void on_shipped(void *context, uint64_t ignored) {
    (void) ignored;
    struct shipment *shipment = context;
    struct model_server *replica = shipment->replica;
    const struct model_server *primary = replica->primary;
    if (primary == NULL || replica->link_number != shipment->link_number || !replica->is_alive) {
        return;
    }
    uint64_t later_us = replica->link_cut_us > replica->still_until_us ? replica->link_cut_us : replica->still_until_us;
    if (sim_now_us() < later_us) {
        sim_at(later_us, on_shipped, context, 0);
        return;
    }
    if (!replica->link_is_up) {
        return;
    }
    while (model_offset(replica) < shipment->offset && model_offset(replica) < model_offset(primary)) {
        struct model_change *change = primary->log[model_offset(replica) - primary->base_offset];
        model_apply(replica, change);
        log_append(replica, change);
    }
    replica->fsynced = model_offset(replica);
    sim_after(sim_between(50, replica->replica_delay_us), on_ack, shipment, model_offset(replica));
}

static void ship(struct model_server *replica, uint64_t offset, uint64_t from_us) {
    struct shipment *shipment = sim_alloc(sizeof *shipment);
    *shipment = (struct shipment){replica, replica->link_number, offset};
    uint64_t at_us = from_us + sim_between(50, replica->replica_delay_us);
    replica->shipped_us = at_us < replica->shipped_us ? replica->shipped_us : at_us;
    sim_at(replica->shipped_us, on_shipped, shipment, 0);
}

void model_record(struct model_server *self, struct model_change *change) {
    if (self->primary != NULL) {
        return; /* a PUBLISH to a replica stays there */
    }
    log_append(self, change);
    if (model_world.on_change != NULL) {
        model_world.on_change(self->index, change);
    }
    uint64_t leaves_us = sim_now_us() + (self->disk == MODEL_DISK_ALWAYS ? self->fsync_us : 0);
    if (self->disk == MODEL_DISK_EVERYSEC) {
        sim_at((sim_now_us() / SECOND + 1) * SECOND, everysec, self, model_offset(self));
    }
    for (int i = 0; i < model_world.n; i++) {
        struct model_server *replica = &model_world.servers[i];
        if (replica->primary == self && replica->link_is_up) {
            ship(replica, model_offset(self), leaves_us);
        }
    }
}

/* ---- roles ---- */

bool model_shares_history(const struct model_server *self, const struct model_server *primary) {
    uint64_t offset = model_offset(self);
    bool is_same = strcmp(self->replid, primary->replid) == 0 && offset <= model_offset(primary);
    bool was_same = strcmp(self->replid, primary->replid2) == 0 && offset <= primary->replid2_offset;
    return (is_same || was_same) && offset >= primary->base_offset;
}

static void copy_whole(struct model_server *self, const struct model_server *primary) {
    sim_trace(self->name, "is copied anew from %s", primary->name);
    model_store_clear(&self->base);
    model_store_copy(&self->base, &primary->store);
    self->base_offset = model_offset(primary);
    self->n_log = 0;
    model_rebuild(self, self->base_offset);
}

static void on_linked(void *context, uint64_t link_number) {
    struct model_server *self = context;
    struct model_server *primary = self->primary;
    if (primary == NULL || self->link_number != link_number) {
        return;
    }
    uint64_t now_us = sim_now_us();
    bool waits = !self->is_alive || !primary->is_alive || primary->primary != NULL || now_us < self->link_cut_us ||
                 now_us < self->still_until_us || now_us < primary->still_until_us ||
                 now_us < primary->loading_until_us;
    if (waits) {
        sim_after(100 * MS, on_linked, self, link_number);
        return;
    }
    if (!model_shares_history(self, primary)) {
        copy_whole(self, primary);
    }
    memcpy(self->replid, primary->replid, sizeof self->replid);
    self->fsynced = model_offset(self);
    self->link_is_up = true;
    primary->acked[self->index] = 0;
    sim_trace(self->name, "follows %s from %llu", primary->name, (unsigned long long) model_offset(self));
    ship(self, model_offset(primary), now_us);
}

static void unblock_all(struct model_server *self);

void model_follow(struct model_server *self, struct model_server *primary) {
    sim_trace(self->name, "becomes a replica of %s", primary->name);
    if (self->primary == NULL) {
        unblock_all(self);
    }
    self->primary = primary;
    self->link_is_up = false;
    self->link_number++;
    sim_after(sim_between(1 * MS, COPY_US), on_linked, self, self->link_number);
}

void model_promote(struct model_server *self) {
    check(self->is_alive, "%s is dead", self->name);
    if (self->primary == NULL) {
        return;
    }
    self->primary = NULL;
    self->link_is_up = false;
    self->link_number++;
    self->n_reigns++;
    memset(self->acked, 0, sizeof self->acked);
    memcpy(self->replid2, self->replid, sizeof self->replid2);
    self->replid2_offset = model_offset(self);
    model_new_replid(self);
    sim_trace(self->name, "is promoted at %llu, replid %.6s", (unsigned long long) model_offset(self), self->replid);
}

/* ---- WAIT and min-replicas ---- */

unsigned model_good_replicas(const struct model_server *self) {
    unsigned n = 0;
    for (int i = 0; i < model_world.n; i++) {
        const struct model_server *replica = &model_world.servers[i];
        n += replica->primary == self && replica->link_is_up && replica->is_alive &&
             sim_now_us() >= replica->link_cut_us && sim_now_us() >= replica->still_until_us;
    }
    return n;
}

unsigned model_acked(const struct model_server *self, uint64_t offset) {
    unsigned n = 0;
    for (int i = 0; i < model_world.n; i++) {
        const struct model_server *replica = &model_world.servers[i];
        n += replica->primary == self && replica->link_is_up && self->acked[i] >= offset;
    }
    return n;
}

static void wake_waiting(struct model_server *self) {
    list_for_each_safe (link, &self->clients) {
        struct model_client *client = list_entry(link, struct model_client, link);
        unsigned n = model_acked(self, client->waits_for);
        if (client->waits && n >= client->wait_n) {
            client->waits = false;
            reply_integer(&client->out, n);
            model_receive(client, SPAN_EMPTY);
        }
    }
}

static void unblock_all(struct model_server *self) {
    list_for_each_safe (link, &self->clients) {
        struct model_client *client = list_entry(link, struct model_client, link);
        if (client->waits) {
            client->waits = false;
            reply_error(&client->out,
                        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)");
            model_receive(client, SPAN_EMPTY);
        }
    }
}
