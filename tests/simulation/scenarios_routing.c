/* Scenarios of who serves what: brokers that hear of a promotion or of moved slots late, differently, or from one who
 * is wrong. Channels 0 and 1 lie in the first partition, 2 in the second; in a cluster of one server a group these are
 * redis-0 and redis-1. */
#include "tests/simulation/scenarios_routing.h"

#include "tests/simulation/scenario_stage.h"

enum { PARTITION_0 = 0, GROUP_1 = 1 };

/* A broker's way to some Sentinels is closed. */
static void hide_sentinels(int broker, int first, int n, uint64_t ms) {
    for (int i = 0; i < n; i++) {
        struct sim_path *path = sim_network_path(broker, model_world.n + first + i);
        path->up_closed_us = sim_now_us() + ms * MS;
        path->down_closed_us = path->up_closed_us;
    }
}

/* The old primary lives on, and broker B, which no Sentinel reaches, goes on writing there: nothing of that is told,
 * since no replica confirms it. */
void promotion_told_to_one_broker_first(void) {
    begin_routed(MODEL_SENTINELS, WORLD_SAFE, 3, 2);
    int session = join(0, 0);
    publish_many(0, 5);
    struct position before = position_of(session);
    expect(before.offset == 5);
    hide_sentinels(1, 0, 3, 3000);
    fail_over(1);
    pass(600);
    int by_b = publish(0, 1);
    int by_a = publish(0, 0);
    pass(1000);
    expect(is_ok(by_a) && world_result(by_a)->position.offset == 6);
    expect(!is_ok(by_b));
    model_follow(server(0), server(1)); /* as a Sentinel turns it over at last */
    pass(3000);
    struct position after = position_of(session);
    expect(epoch_equal(&after.epoch, &before.epoch) && after.offset >= 6);
    end();
}

/* Two of three Sentinels are out of a broker's sight, the third has heard of nothing: the broker stays where it is. */
void sentinel_of_yesterday(void) {
    begin_routed(MODEL_SENTINELS, WORLD_FAST, 2, 1);
    int session = join(0, 0);
    model_topology_freeze(model_world.n + 2, sim_now_us() + 60 * SECOND);
    fail_over(1);
    pass(1000);
    model_follow(server(0), server(1));
    int first = publish(0, -1);
    pass(500);
    expect(is_ok(first));
    hide_sentinels(0, 0, 2, 20000);
    for (int i = 0; i < 2; i++) {
        sim_network_cut_server(model_world.n + i);
    }
    pass(12000); /* the last answer counts until its link is found dead */
    int second = publish(0, -1);
    pass(500);
    expect(is_ok(second));
    expect(is_at(session, world_result(second)->position.offset));
    end();
}

/* Safe: positions go on, nobody is told anything. Fast: a new reign is met, and everyone is told. */
static void move_under_load(enum world_durability durability) {
    begin_routed(MODEL_CLUSTER, durability, 2, 2);
    int session = join(0, 0);
    publish_many(0, 9);
    struct position before = position_of(session);
    expect(before.offset == 9);
    checker_note_reign();
    expect(model_topology_move(PARTITION_0, 0));
    int keyed[20];
    for (int i = 0; i < 20; i++) {
        keyed[i] = world_publish(0, i % 2, -1, true, 5);
        pass(20);
    }
    pass(3000);
    expect(!model_topology_is_moving());
    for (int i = 0; i < 20; i++) {
        expect(is_ok(keyed[i]));
    }
    struct position after = position_of(session);
    expect(is_at(session, 29));
    expect(epoch_equal(&after.epoch, &before.epoch) == (durability == WORLD_SAFE));
    end();
}

void partition_moved_under_load(void) {
    move_under_load(WORLD_SAFE);
}

/* One node's word is old: a broker that believes it is sent on by MOVED, and comes to rest at the right one. */
void partition_moved_and_told_late(void) {
    begin_routed(MODEL_CLUSTER, WORLD_SAFE, 2, 2);
    int session = join(0, 0);
    publish_many(0, 5);
    checker_note_reign();
    for (int i = 0; i < model_world.n; i++) {
        model_topology_freeze(i, sim_now_us() + 4 * SECOND); /* but for those who do it */
    }
    expect(model_topology_move(PARTITION_0, 0));
    pass(2000);
    expect(!model_topology_is_moving());
    int by_a = publish(0, 0);
    int by_b = publish(0, 1);
    pass(500);
    expect(is_ok(by_a) && is_ok(by_b));
    expect(is_at(session, 7));
    end();
}

static void cut_links(int to) {
    for (int broker = 0; broker < brokers_count(); broker++) {
        while (sim_network_any(broker, to) != NULL && sim_failure() == NULL) {
            sim_network_cut(sim_network_any(broker, to));
            pass(1);
        }
    }
}

/* The node takes back a topic that stays its own (slots went and came), and the probe's, for which the link is made
 * anew: the topic is asked for on it. Without that the partition waits for its topic for ever, once its commands' link
 * was cut, too. */
void topic_taken_back_before_a_cut(void) {
    begin_routed(MODEL_CLUSTER, WORLD_FAST, 1, 2);
    int session = join(2, 0);
    publish_many(2, 3);
    expect(is_at(session, 3));
    for (unsigned i = 0; i < 10 && sim_failure() == NULL;
         i++) { /* at every part of the second in which brokers look at their topics */
        model_topology_take_topics_back(server(GROUP_1));
        pass(50);
        cut_links(GROUP_1);
        pass(5000);
        int publication = publish(2, -1);
        pass(600);
        expect(is_ok(publication));
        expect(is_at(session, 4 + i));
    }
    end();
}

/* A replica that was away is up again, as the Sentinels see it, while it is still being copied; they may promote it
 * then. What is published meanwhile waits for it, and is acked when it has everything: so its promotion takes nothing
 * back. */
void replica_that_comes_back_is_waited_for(void) {
    begin_routed(MODEL_SENTINELS, WORLD_SAFE, 3, 1);
    int session = join(0, 0);
    publish_many(0, 5);
    model_kill(server(2));
    pass(4000); /* the broker has heard that it is down */
    int away = world_publish(0, 0, -1, true, 1);
    pass(1000);
    expect(is_ok(away));
    model_restart(server(2), MODEL_KEEPS_ALL, 0);
    server(2)->link_cut_us = sim_now_us() + 6 * SECOND;
    pass(2000);
    int meanwhile = world_publish(0, 0, -1, true, 1);
    pass(1000);
    expect(!world_is_done(meanwhile));
    pass(2000);
    expect(world_result(meanwhile)->outcome == PUBLISH_UNKNOWN);
    pass(2000); /* it has been copied */
    world_publish_again(meanwhile);
    pass(500);
    expect(is_ok(meanwhile) && world_result(meanwhile)->position.offset == 7);
    struct position before = position_of(session);
    model_kill(server(0));
    fail_over(2);
    pass(3000);
    struct position after = position_of(session);
    expect(is_at(session, 7) && epoch_equal(&after.epoch, &before.epoch));
    end();
}
