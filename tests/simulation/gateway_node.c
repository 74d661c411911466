/* See gateway_node.h and gateway_parts.h. */
#include "tests/simulation/gateway_parts.h"

#include "base/random.h"

#include <stdio.h>

struct gateway_world gateway_world;
bool gateway_renews_everywhere;

void gateways_begin(int n) {
    memset(&gateway_world, 0, sizeof gateway_world);
    gateway_world.n = n;
    for (int i = 0; i < n; i++) {
        struct gateway *gateway = &gateway_world.gateways[i];
        snprintf(gateway->id, sizeof gateway->id, "gateway-%d", i);
        gateway->boot_nonce = random_u64();
        gateway->rank = gateway->boot_nonce;
        gateway->credit_frames = WIRE_CREDIT_FRAMES;
        for (int j = 0; j < BROKERS_MAX; j++) {
            gateway->lanes[j] = (struct lane){.gateway = i, .broker = j};
        }
    }
    /* The rank is the channel's; now and then two gateways disagree. */
    for (int j = 0; j < CHANNELS_MAX; j++) {
        uint64_t rank = sim_random();
        for (int i = 0; i < n; i++) {
            gateway_world.gateways[i].feeds[j] =
                (struct feed){.gateway = i, .channel = j, .rank = sim_chance(20) ? sim_random() : rank};
        }
    }
}

/* Its sessions see their connection end, its publishers' answers are lost, its brokers see the links end. */
void gateway_kill(int number) {
    struct gateway *gateway = &gateway_world.gateways[number];
    sim_trace(gateway->id, "dies");
    gateway->is_dead = true;
    for (int i = 0; i < checker_channels(); i++) {
        struct feed *feed = &gateway->feeds[i];
        for (int j = 0; j < checker_sessions(); j++) {
            if (feed->members[j].is_here && !feed->members[j].waits) {
                checker_left(j);
            }
            feed->members[j] = (struct member){.shows = feed->members[j].shows};
        }
        feed->machine = (struct subscription){.state = SUBSCRIPTION_NONE};
        feed->handle = 0;
        feed->request = 0;
        feed->is_starved = false;
        feed->grace_is_set = false;
        feed->retry_number++;
    }
    lanes_end(gateway);
}

void gateway_start(int number) {
    struct gateway *gateway = &gateway_world.gateways[number];
    sim_trace(gateway->id, "starts");
    gateway->is_dead = false;
    gateway->boot_nonce = random_u64();
    lanes_begin(gateway);
}

void gateway_set_credit(int number, unsigned frames) {
    gateway_world.gateways[number].credit_frames = frames;
}

void gateway_slow(int number, uint64_t until_us) {
    struct gateway *gateway = &gateway_world.gateways[number];
    sim_trace(gateway->id, "takes nothing for %llu ms", (unsigned long long) ((until_us - sim_now_us()) / MS));
    for (int i = 0; i < BROKERS_MAX; i++) {
        gateway->lanes[i].slow_us = until_us;
    }
}

unsigned gateway_lagged(int number) {
    return gateway_world.gateways[number].n_lagged;
}

bool gateway_is_dead(int number) {
    return gateway_world.gateways[number].is_dead;
}

int gateway_lease_broker(int number) {
    struct gateway *gateway = &gateway_world.gateways[number];
    const struct lane *lane = gateway_first_lane(gateway, gateway->rank);
    return lane == NULL ? -1 : lane->broker;
}

void gateways_end(void) {
    for (int i = 0; i < gateway_world.n; i++) {
        for (int j = 0; j < BROKERS_MAX; j++) {
            wire_lane_destroy(&gateway_world.gateways[i].lanes[j].wire);
            buffer_finish(&gateway_world.gateways[i].lanes[j].batch);
        }
    }
}

int gateways_count(void) {
    return gateway_world.n;
}
