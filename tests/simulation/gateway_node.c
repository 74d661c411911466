/* See gateway_node.h and gateway_parts.h. */
#include "tests/simulation/gateway_parts.h"

#include "base/random.h"

#include <stdio.h>

struct gateway_world gateway_world;

void gateways_begin(int n) {
    memset(&gateway_world, 0, sizeof gateway_world);
    gateway_world.n = n;
    for (int i = 0; i < n; i++) {
        struct gateway *gateway = &gateway_world.gateways[i];
        snprintf(gateway->id, sizeof gateway->id, "gateway-%d", i);
        gateway->boot_nonce = random_u64();
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
