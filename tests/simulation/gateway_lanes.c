/* See gateway_parts.h: a lane is the link of a gateway to a broker. A broker's end cuts it; what was on its way down
 * and had arrived by then is handled, the rest is lost. */
#include "tests/simulation/gateway_parts.h"

#include "base/check.h"
#include "base/random.h"

/* ---- lanes up ---- */

static void on_carried_up(void *context, uint64_t ignored) {
    (void) ignored;
    const struct carried *carried = context;
    struct lane *lane = carried->lane;
    if (lane->link_epoch == carried->link_epoch) {
        if (sim_now_us() < lane->closed_us || carried->order != lane->n_up_there) {
            uint64_t later_us = sim_now_us() + 50;
            sim_at(later_us < lane->closed_us ? lane->closed_us : later_us, on_carried_up, context, 0);
            return;
        }
        lane->n_up_there++;
    }
    broker_batch(carried->broker, carried->number, carried->bytes);
}

struct carried *lane_carry(struct lane *lane, struct span bytes, uint64_t order) {
    struct carried *carried = sim_alloc(sizeof *carried);
    *carried = (struct carried){
        lane->broker, lane->number, lane->link_epoch, lane, span_of(sim_copy(bytes.data, bytes.size), bytes.size),
        order};
    return carried;
}

static void send_sealed(struct lane *lane, struct buffer *batch) {
    uint64_t at_us = sim_now_us() + sim_between(20, 500);
    lane->up_last_us = at_us < lane->up_last_us ? lane->up_last_us : at_us;
    sim_at(lane->up_last_us, on_carried_up, lane_carry(lane, buffer_span(batch), lane->n_up++), 0);
    buffer_clear(batch);
}

static void on_flush(void *context, uint64_t ignored) {
    (void) ignored;
    struct lane *lane = context;
    lane->is_flush_planned = false;
    if (!lane->is_up) {
        return;
    }
    if (lane->n_frames > 0 && wire_lane_has_credit(lane->wire, lane->n_frames, lane->batch.size)) {
        wire_lane_seal(lane->wire, &lane->batch, lane->n_frames);
        send_sealed(lane, &lane->batch);
        lane->is_begun = false;
        lane->n_frames = 0;
    }
    if (wire_lane_ack_is_due(lane->wire)) {
        struct buffer ack = BUFFER_EMPTY;
        wire_batch_begin(&ack);
        wire_lane_seal_ack(lane->wire, &ack);
        send_sealed(lane, &ack);
        buffer_finish(&ack);
    }
}

void lane_plan_flush(struct lane *lane) {
    if (!lane->is_flush_planned) {
        lane->is_flush_planned = true;
        sim_after(0, on_flush, lane, 0);
    }
}

struct buffer *lane_batch(struct lane *lane) {
    if (!lane->is_begun) {
        wire_batch_begin(&lane->batch);
        lane->is_begun = true;
    }
    return &lane->batch;
}

void lane_frame_added(struct lane *lane, bool encoded) {
    check(encoded, "a frame was not encoded");
    lane->n_frames++;
    lane_plan_flush(lane);
}

/* ---- links ---- */

static void on_beat(void *context, uint64_t link_epoch) {
    struct lane *lane = context;
    if (!lane->is_up || lane->link_epoch != link_epoch) {
        return;
    }
    struct gateway *gateway = gateway_of(lane);
    bool renews = gateway_renews_everywhere || gateway_first_lane(gateway, gateway->rank) == lane;
    struct wire_beat beat = {.sent_us = sim_now_us(), .flags = (uint8_t) (renews ? WIRE_BEAT_RENEW_LEASE : 0)};
    lane_frame_added(lane, wire_encode_beat(lane_batch(lane), &beat));
    sim_after(BEAT_US, on_beat, lane, link_epoch);
}

/* A broker that ranks first is there again: half of the feeds move at once, the others stay until they must. */
static void use(struct lane *lane) {
    struct gateway *gateway = gateway_of(lane);
    for (int i = 0; i < checker_channels(); i++) {
        struct feed *feed = &gateway->feeds[i];
        if (feed->is_starved) {
            feed_ask(feed);
        } else if (feed->handle != 0 && feed->lane != lane && feed_first_lane(feed) == lane && sim_chance(50)) {
            feed_occur_plainly(feed, SUBSCRIPTION_MOVED);
        }
    }
}

static void on_link(void *context, uint64_t ignored) {
    (void) ignored;
    struct lane *lane = context;
    if (lane->is_up || gateway_of(lane)->is_dead) {
        return;
    }
    if (!broker_is_up(lane->broker) || sim_now_us() < lane->closed_us) {
        sim_after(sim_between(50 * MS, 300 * MS), on_link, lane, 0);
        return;
    }
    const struct gateway *gateway = gateway_of(lane);
    lane->is_up = true;
    lane->slow_us = 0;
    lane->is_draining = false;
    lane->link_epoch = random_u64();
    lane->number = ++gateway_world.last_number;
    lane->n_up = lane->n_up_there = 0;
    lane->n_down = lane->n_down_there = 0;
    lane->wire = wire_lane_new(lane->link_epoch, 0, gateway->credit_frames, WIRE_CREDIT_BYTES, WIRE_CREDIT_FRAMES,
                               WIRE_CREDIT_BYTES);
    wire_lane_speak(lane->wire, WIRE_VERSION);
    broker_peer_joined(lane->broker, lane->number, lane->link_epoch, span_of_text(gateway->id), gateway->boot_nonce);
    sim_after(sim_between(0, BEAT_US), on_beat, lane, lane->link_epoch);
    use(lane);
}

void lane_cut(struct lane *lane) {
    if (!lane->is_up) {
        return;
    }
    struct gateway *gateway = gateway_of(lane);
    sim_trace(gateway->id, "has lost broker-%c", 'a' + lane->broker);
    lane->is_up = false;
    wire_lane_destroy(&lane->wire);
    buffer_finish(&lane->batch);
    lane->is_begun = false;
    lane->n_frames = 0;
    for (int i = 0; i < PENDING_MAX; i++) {
        if (gateway->pending[i].request != 0 && gateway->pending[i].lane == lane) {
            pending_finish(&gateway->pending[i], &(struct publish_result){.outcome = PUBLISH_UNKNOWN});
        }
    }
    members_on_cut(lane);
    for (int i = 0; i < checker_channels(); i++) {
        struct feed *feed = &gateway->feeds[i];
        if (feed->handle != 0 && feed->lane == lane) {
            feed_occur_plainly(feed, SUBSCRIPTION_CUT);
        }
    }
    sim_after(sim_between(10 * MS, 200 * MS), on_link, lane, 0);
}

static void on_cut(void *context, uint64_t link_epoch) {
    struct lane *lane = context;
    if (lane->is_up && lane->link_epoch == link_epoch) {
        broker_peer_left(lane->broker, lane->number);
        lane_cut(lane);
    }
}

/* By the connection's end at once, or by the beats that stay away. */
void gateways_broker_ended(int broker) {
    for (int i = 0; i < gateway_world.n; i++) {
        struct lane *lane = &gateway_world.gateways[i].lanes[broker];
        uint64_t delay_us = sim_chance(50) ? sim_between(1 * MS, 5 * MS) : sim_between(800 * MS, 1500 * MS);
        sim_after(delay_us, on_cut, lane, lane->link_epoch);
    }
}

void gateways_broker_started(int broker) {
    for (int i = 0; i < gateway_world.n; i++) {
        struct lane *lane = &gateway_world.gateways[i].lanes[broker];
        if (lane->is_up) {
            lane_cut(lane); /* another process answers there */
        } else {
            sim_after(sim_between(1 * MS, 20 * MS), on_link, lane, 0);
        }
    }
}

void gateways_broker_drains(int broker) {
    for (int i = 0; i < gateway_world.n; i++) {
        struct lane *lane = &gateway_world.gateways[i].lanes[broker];
        lane->is_draining = true;
        for (int j = 0; j < checker_channels(); j++) {
            struct feed *feed = &gateway_world.gateways[i].feeds[j];
            if (lane->is_up && feed->handle != 0 && feed->lane == lane) {
                feed_occur_plainly(feed, SUBSCRIPTION_MOVED);
            }
        }
    }
}

void gateways_reset(int broker, uint32_t peer) {
    for (int i = 0; i < gateway_world.n; i++) {
        struct lane *lane = &gateway_world.gateways[i].lanes[broker];
        if (lane->is_up && lane->number == peer) {
            sim_after(sim_between(20, 500), on_cut, lane, lane->link_epoch);
        }
    }
}

void lanes_end(struct gateway *gateway) {
    for (int i = 0; i < brokers_count(); i++) {
        struct lane *lane = &gateway->lanes[i];
        if (lane->is_up) {
            broker_peer_left(lane->broker, lane->number);
            lane_cut(lane);
        }
    }
}

void lanes_begin(struct gateway *gateway) {
    for (int i = 0; i < brokers_count(); i++) {
        sim_after(sim_between(1 * MS, 20 * MS), on_link, &gateway->lanes[i], 0);
    }
}

void gateway_partition(int gateway, int broker, uint64_t until_us) {
    struct lane *lane = &gateway_world.gateways[gateway].lanes[broker];
    sim_trace(gateway_world.gateways[gateway].id, "cannot reach broker-%c for %llu ms", 'a' + broker,
              (unsigned long long) ((until_us - sim_now_us()) / MS));
    lane->closed_us = until_us > lane->closed_us ? until_us : lane->closed_us;
    if (lane->is_up && until_us > sim_now_us() + 1500 * MS) {
        sim_after(1500 * MS, on_cut, lane, lane->link_epoch);
    }
}
