/* See bench_storm.h. Who is not up when the others are cut is no part of the storm: it is missing in "connected". Who
 * is refused when it comes back tries again like everybody (bench_client), so a server that sheds is given the time it
 * asked for by its own slowness. */
#include "tools/bench/bench_storm.h"

enum { AT_ONCE = 32, TURN_NS = 10000000, BUSY_NS = 500000 };

static void reach(struct bench_client *client, int phase) {
    atomic_store_explicit(&client->part->reached, phase, memory_order_release);
}

/* What one user misses: all that is published in its channels. */
static unsigned missed_by_one(const struct bench_plan *plan) {
    return plan->missed * plan->publishers * plan->subscriptions_per_user;
}

static void cut(struct bench_client *client) {
    for (unsigned i = 0; i < client->n_users; i++) {
        struct bench_connection *connection = &client->connections[i];
        if (connection->phase == BENCH_READY && connection->n_publishers == 0) {
            bench_connection_park(client, connection);
            bench_count(&client->part->counts.cut, 1);
        } else if (connection->phase == BENCH_READY) {
            bench_count(&client->part->counts.staying_due, missed_by_one(client->plan));
        }
    }
}

/* As long as the kernel takes it; false: there is more. */
static bool publish_up_to(struct bench_client *client, uint64_t number) {
    bool all = true;
    for (unsigned i = 0; i < client->n_publishers; i++) {
        struct bench_publisher *publisher = &client->publishers[i];
        while (publisher->sent < number && publisher->connection->phase == BENCH_READY &&
               publisher->connection->out.size == 0) {
            uint64_t left = number - publisher->sent;
            bench_publisher_send(client, publisher, left < AT_ONCE ? (unsigned) left : AT_ONCE);
        }
        all = all && publisher->sent >= number;
    }
    return all;
}

static uint64_t come_back(struct bench_storm *self, struct bench_client *client) {
    const struct bench_plan *plan = client->plan;
    uint64_t start_ns = bench_read(&client->board->start_ns);
    unsigned at_a_time = plan->connecting / plan->processes;
    if (client->now_ns < start_ns) {
        return start_ns;
    }
    while (self->next_user < client->n_users && client->n_handshaking < (at_a_time == 0 ? 1 : at_a_time)) {
        struct bench_connection *connection = &client->connections[self->next_user++];
        if (connection->is_parked) {
            connection->is_parked = false;
            connection->has_moved = plan->has_storm_target;
            connection->missed_left = missed_by_one(plan);
            bench_connection_start(client, connection);
        }
    }
    return client->now_ns + TURN_NS;
}

uint64_t bench_storm_turn(struct bench_storm *self, struct bench_client *client, int phase) {
    bool begins = phase != self->phase;
    self->phase = phase;
    if (phase == BENCH_STORM_CUT && begins) {
        cut(client);
        reach(client, phase);
    }
    if (phase == BENCH_STORM_PRIME || phase == BENCH_STORM_MISS) {
        bool all = publish_up_to(client, phase == BENCH_STORM_PRIME ? 1 : 1 + client->plan->missed);
        if (all) {
            reach(client, phase);
        }
        return client->now_ns + (all ? TURN_NS : BUSY_NS);
    }
    return phase == BENCH_STORM_BACK ? come_back(self, client) : client->now_ns + TURN_NS;
}
