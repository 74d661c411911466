/* The worked scenarios of the design of Redis's part, each by name, over the simulated world: what a failover, a cut, a
 * lost answer means for publishers and subscribers of fast and of safe channels. The checker watches all of them; what
 * is asserted here beside is the story. `scenarios [NAME [--trace]]`; with --patch as simulate. */
#include "tests/simulation/scenario_stage.h"
#include "tests/simulation/scenarios_presence.h"
#include "tests/simulation/scenarios_routing.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* ---- the scenarios ---- */

/* 1: what replicas never had, nobody was told; it is appended on the new primary, at the same offset. */
static void tail_lost_and_nobody_knew(void) {
    begin(WORLD_SAFE, 3, 2);
    int session = join(0, 0);
    publish_many(0, 9);
    expect(is_at(session, 9));
    struct position before = position_of(session);
    cut_replication();
    int lost = publish(0, -1);
    pass(400);
    expect(!world_is_done(lost));
    expect(is_at(session, 9));
    model_kill(server(0));
    fail_over(1);
    for (int i = 0; i < model_world.n; i++) {
        server(i)->link_cut_us = 0;
    }
    pass(1500);
    expect(is_ok(lost) && world_result(lost)->position.offset == 10);
    struct position after = position_of(session);
    expect(is_at(session, 10) && epoch_equal(&after.epoch, &before.epoch));
    end();
}

/* 2: on a fast channel it was told; the epoch changes, and everyone hears of it. */
static void tail_lost_and_told(void) {
    begin(WORLD_FAST, 2, 2);
    int session = join(0, 0);
    publish_many(0, 9);
    struct position before = position_of(session);
    cut_replication();
    int lost = publish(0, -1);
    pass(400);
    expect(is_ok(lost) && is_at(session, 10));
    model_kill(server(0));
    fail_over(1);
    pass(4000);
    struct position after = position_of(session);
    expect(checker_is_joined(session) && after.offset == 9 && !epoch_equal(&after.epoch, &before.epoch));
    int next = publish(0, -1);
    pass(300);
    expect(is_ok(next) && world_result(next)->position.offset == 10);
    end();
}

/* 3: confirmed is kept, also where its broker dies with the primary. */
static void idle_channel_whose_broker_dies_with_the_primary(void) {
    begin(WORLD_SAFE, 3, 2);
    int session = join(0, 0);
    publish_many(0, 9);
    world_leave(session);
    pass(1000);
    int last = publish(0, 0);
    pass(100);
    expect(is_ok(last));
    model_kill(server(0));
    broker_crash(0);
    fail_over(world_best_replica(0)->index);
    world_join(session, 1);
    pass(4000);
    expect(is_at(session, 10));
    end();
}

/* 4: a minority confirms nothing; what it appended was told to nobody. */
static void minority_that_confirms_nothing(void) {
    begin(WORLD_SAFE, 3, 2);
    int session = join(0, 0);
    publish_many(0, 9);
    model_promote(server(1));
    model_follow(server(2), server(1));
    checker_note_reign();
    sim_network_point(0, 1);
    while (sim_network_any(0, 0) != NULL) {
        sim_network_cut(sim_network_any(0, 0));
        pass(5);
    }
    pass(1000);
    int alone = publish(0, 1);
    int majority = publish(0, 0);
    pass(1500);
    expect(is_ok(majority) && world_result(majority)->position.offset == 10);
    expect(!is_ok(alone));
    world_fail_over(server(1), 0);
    model_follow(server(0), server(1));
    pass(3000);
    expect(is_at(session, world_result(majority)->position.offset) || is_at(session, 11));
    end();
}

/* 5: a batch that lay in the socket of a server demoted and promoted again meets another reign. Its broker has not
 * heard of what was lost meanwhile, and nobody opened anything: only the reign tells. */
static void demoted_and_promoted_again(void) {
    begin(WORLD_FAST, 2, 2);
    int session = join(0, 0);
    publish_many(0, 9);
    sim_network_path(0, 0)->up_closed_us = sim_now_us() + 900 * MS;
    sim_network_path(0, 0)->down_closed_us = sim_now_us() + 950 * MS;
    cut_replication();
    int by_b = publish(0, 1);
    pass(100);
    expect(is_ok(by_b));
    int late = publish(0, 0);
    pass(100);
    fail_over(1);
    server(0)->link_cut_us = server(1)->link_cut_us = 0;
    model_follow(server(0), server(1));
    pass(400);
    expect(model_offset(server(0)) == model_offset(server(1)));
    model_promote(server(0));
    checker_note_reign();
    model_follow(server(1), server(0));
    world_fail_over(server(0), 0);
    pass(3000);
    expect(world_is_done(late));
    expect(checker_is_joined(session));
    end();
}

/* 6: one server comes back from its disk: fast, a new epoch over the same history; written through, nothing changes. */
static void restart_from_the_disk(void) {
    begin(WORLD_FAST, 1, 1);
    int session = join(0, 0);
    publish_many(0, 9);
    pass(1100);
    struct position before = position_of(session);
    model_kill(server(0));
    checker_note_reign();
    pass(200);
    model_restart(server(0), MODEL_KEEPS_SYNCED, 0);
    pass(4000);
    struct position after = position_of(session);
    expect(checker_is_joined(session) && after.offset == 9 && !epoch_equal(&after.epoch, &before.epoch));
    end();
}

static void restart_of_a_server_that_writes_through(void) {
    const struct world_options options = {.servers = 1,
                                          .brokers = 2,
                                          .gateways = 2,
                                          .durability = WORLD_SAFE,
                                          .disk = MODEL_DISK_ALWAYS,
                                          .history_size = 100,
                                          .topic_idle_ms = 60000,
                                          .command_timeout_ms = 2000};
    begin_with(&options);
    int session = join(0, 0);
    publish_many(0, 9);
    struct position before = position_of(session);
    model_kill(server(0));
    checker_note_reign();
    pass(200);
    model_restart(server(0), MODEL_KEEPS_SYNCED, 0);
    pass(4000);
    struct position after = position_of(session);
    expect(is_at(session, 9) && epoch_equal(&after.epoch, &before.epoch));
    end();
}

/* 7: the batch happened, its answer was lost with the link: sent again it is answered, not appended. */
static void answer_lost(void) {
    begin(WORLD_FAST, 1, 1);
    int session = join(0, 0);
    publish_many(0, 9);
    sim_network_path(0, 0)->down_closed_us = sim_now_us() + 500 * MS;
    int publication = publish(0, 0);
    pass(100);
    for (int i = 0; i < 4 && sim_network_any(0, 0) != NULL; i++) {
        sim_network_cut(sim_network_any(0, 0));
    }
    pass(3000);
    expect(is_ok(publication) && world_result(publication)->position.offset == 10);
    expect(is_at(session, 10));
    int next = publish(0, 0);
    pass(300);
    expect(is_ok(next) && world_result(next)->position.offset == 11);
    end();
}

/* 8: two brokers append; a message between them is lost, and what is missing comes in order within two seconds. */
static void message_between_brokers_lost(void) {
    begin(WORLD_FAST, 1, 2);
    int a = join(0, 0);
    int b = join(0, 1);
    publish_many(0, 9);
    for (int i = 0; i < 6; i++) {
        model_lose_message(server(0));
    }
    publish(0, 1);
    pass(5);
    publish(0, 0);
    pass(2000);
    expect(is_at(a, 11) && is_at(b, 11));
    end();
}

/* 9: sessions come back from everywhere while publications flow. */
static void subscribe_during_flow(void) {
    begin(WORLD_SAFE, 3, 2);
    int stays = join(0, 0);
    int comes = join(0, 0);
    publish_many(0, 3);
    world_leave(comes);
    for (int i = 0; i < 60; i++) {
        publish(0, i % 3 == 0 ? 1 : 0);
        if (i % 9 == 4) {
            world_join(comes, i % 2);
        } else if (i % 9 == 8) {
            world_leave(comes);
        }
        pass(7);
    }
    world_join(comes, 1);
    pass(2000);
    expect(is_at(stays, 63) && is_at(comes, 63));
    end();
}

/* 10: a broker drains under load; sessions stay, nothing is missing or doubled. */
static void broker_drained_under_load(void) {
    begin(WORLD_FAST, 1, 2);
    int sessions[] = {join(0, 0), join(0, 1), join(2, 0)};
    for (int i = 0; i < 80; i++) {
        publish(i % 2 == 0 ? 0 : 2, -1);
        if (i == 30) {
            broker_drain(0);
        }
        if (i == 50) {
            broker_stop(0);
        }
        pass(11);
        for (int j = 0; j < 3; j++) {
            expect(checker_is_joined(sessions[j]));
        }
    }
    pass(2500);
    expect(position_of(sessions[0]).offset == position_of(sessions[1]).offset && position_of(sessions[0]).offset > 30);
    end();
}

/* 11: Redis away, and the namespace passes publications live: no position, and none in the history afterwards. */
static void redis_away_and_memory_on(void) {
    begin(WORLD_FAST, 1, 1);
    int session = join(3, 0);
    publish_many(3, 9);
    sim_network_path(0, 0)->up_closed_us = sim_now_us() + 4 * SECOND;
    int sent = publish(3, 0);
    pass(3500);
    expect(world_is_done(sent) && world_result(sent)->outcome == PUBLISH_UNKNOWN);
    int live = publish(3, 0);
    pass(200);
    expect(is_ok(live) && world_result(live)->is_not_durable);
    expect(is_at(session, 9));
    pass(4000);
    int next = publish(3, 0);
    pass(500);
    expect(is_ok(next) && !world_result(next)->is_not_durable);
    expect(position_of(session).offset == world_result(next)->position.offset);
    end();
}

/* 13: a roll-out from fast to safe: while the brokers disagree the epoch alternates, each time told. */
static void option_changed_half_rolled_out(void) {
    begin(WORLD_FAST, 3, 2);
    int a = join(4, 0);
    int b = join(4, 1);
    publish_many(4, 9);
    checker_note_loss(4); /* epochs may change for it now */
    struct broker_settings settings = world_settings();
    settings.is_safe = true;
    for (int broker = 1; broker >= 0; broker--) {
        for (int i = 0; i < 60; i++) {
            checker_note_loss(4);
        }
        broker_drain(broker);
        pass(300);
        broker_stop(broker);
        broker_set(broker, &settings);
        broker_start(broker);
        for (int i = 0; i < 10; i++) {
            publish(4, i % 2);
            pass(150);
        }
    }
    pass(4000);
    expect(checker_is_joined(a) && checker_is_joined(b));
    struct position at = position_of(a);
    struct position also = position_of(b);
    expect(position_equal(&at, &also));
    end();
}

/* A result that waits for the batch before it, when the primary dies: the next primary has neither, and must not make
 * it look confirmed. It is sent again, and acked at the place it has then. */
static void result_of_another_reign(int other, int own) {
    begin(WORLD_SAFE, 3, 2);
    int session = join(0, 0);
    publish(0, other);
    publish(0, own);
    pass(300);
    publish_many(0, 7);
    cut_replication();
    sim_network_path(own, 0)->down_extra_us[1] = 200 * MS;
    int first = publish(0, other);
    pass(4);
    int second = publish(0, own);
    pass(6);
    expect(!world_is_done(first) && !world_is_done(second));
    model_kill(server(0));
    fail_over(1);
    for (int i = 0; i < model_world.n; i++) {
        server(i)->link_cut_us = 0;
    }
    pass(3000);
    expect(is_ok(first) && is_ok(second) && is_at(session, 11));
    end();
}

static void result_of_another_reign_is_no_ack(void) {
    result_of_another_reign(0, 1);
}

static void result_of_another_reign_is_no_ack_either_way(void) {
    result_of_another_reign(1, 0);
}

/* A publication whose answer was lost is sent again on the next primary, which has never seen it; the one after that is
 * of the first one's line, and has it. It is not sent a third time: it stands there once, and its publisher is told
 * that nobody knows. */
static void batch_known_to_the_primary_after_the_next(void) {
    begin(WORLD_SAFE, 3, 1);
    int session = join(0, 0);
    publish_many(0, 9);
    server(1)->link_cut_us = sim_now_us() + 10 * SECOND;
    sim_network_path(0, 0)->down_closed_us = sim_now_us() + 50 * MS;
    int publication = publish(0, 0);
    pass(20);
    expect(!world_is_done(publication));
    expect(model_offset(server(2)) == model_offset(server(0)));
    sim_network_cut_server(0); /* the answer is lost */
    model_kill(server(0));
    model_promote(server(1));
    checker_note_reign();
    sim_network_point(0, 1);
    pass(300);
    expect(!world_is_done(publication));
    model_kill(server(1));
    model_promote(server(2));
    checker_note_reign();
    sim_network_point(0, 2);
    model_restart(server(0), MODEL_KEEPS_ALL, 0);
    model_follow(server(0), server(2));
    pass(3000);
    expect(world_is_done(publication) && world_result(publication)->outcome == PUBLISH_UNKNOWN);
    expect(is_at(session, 10));
    end();
}

/* A gateway that takes nothing is out of credit; what is published then is not pushed to it, LAGGING is told when it
 * takes again, and it asks from where it stands. Others notice nothing. Returns the slow one's session. */
static int let_a_gateway_lag(int64_t history_size) {
    const struct world_options options = {.servers = 1,
                                          .brokers = 1,
                                          .gateways = 2,
                                          .durability = WORLD_FAST,
                                          .disk = MODEL_DISK_EVERYSEC,
                                          .history_size = history_size,
                                          .topic_idle_ms = 60000,
                                          .command_timeout_ms = 2000};
    begin_with(&options);
    gateway_kill(0);
    gateway_set_credit(0, 264);
    gateway_start(0);
    pass(100);
    int slow = join(0, 0);
    int quick = join(0, 1);
    world_publish(0, 1, -1, false, 1);
    pass(300);
    expect(is_at(slow, 1) && is_at(quick, 1));
    gateway_slow(0, sim_now_us() + 2 * SECOND);
    for (int i = 0; i < 40; i++) {
        world_publish(0, 1, -1, false, 1);
        pass(10);
    }
    pass(100);
    expect(is_at(quick, 41) && is_at(slow, 1));
    expect(gateway_lagged(0) == 0);
    pass(2500);
    expect(gateway_lagged(0) > 0 && gateway_lagged(1) == 0);
    return slow;
}

static void slow_gateway_lags_and_heals(void) {
    int slow = let_a_gateway_lag(100);
    expect(is_at(slow, 41));
    end();
}

/* What it missed is trimmed away: its sessions are told, and go on from the new top. */
static void slow_gateway_lags_too_far(void) {
    int slow = let_a_gateway_lag(6);
    expect(is_at(slow, 41));
    end();
}

/* An own batch waits for its confirmation so long that its channel is held no more when another broker's message of it
 * comes. The message waits behind the batch all the same: else the channel, held again for a retry, begins with the
 * batch, and a subscriber is answered from there though more was acked. */
static void message_behind_an_own_batch_that_waits(void) {
    begin(WORLD_SAFE, 3, 2);
    int owner = gateway_first_broker(0, world_channel(0));
    publish_many(1, 3); /* the partition is open, the channel was never touched */
    cut_replication_for(6500);
    int first = world_publish(0, 0, owner, true, 1);
    pass(5500);
    expect(world_is_done(first) && world_result(first)->outcome == PUBLISH_UNKNOWN);
    int second = publish(0, 1 - owner);
    pass(500);
    world_publish_again(first);
    pass(700);
    expect(is_ok(first) && world_result(first)->position.offset == 1);
    expect(is_ok(second) && world_result(second)->position.offset == 2);
    int session = checker_add_session(0);
    world_join(session, 0);
    pass(50);
    expect(is_at(session, 2));
    end();
}

/* A channel's load waits in the gate when a batch is given up that has a publication of it: where the channel stands
 * was told to nobody yet, and it is compared all the same. */
static void batch_missed_while_a_load_waits(void) {
    begin(WORLD_SAFE, 2, 2);
    int owner = gateway_first_broker(0, world_channel(0));
    world_publish(1, 0, owner, false, 1); /* the partition is open here; the channel was never touched */
    for (int i = 0; i < 3; i++) {
        publish(0, 1 - owner);
    }
    pass(1200);
    sim_network_path(owner, 0)->down_extra_us[1] = 1500 * MS; /* longer than the partition's number goes unread */
    cut_replication_for(900);                                 /* its number is read meanwhile */
    int session = checker_add_session(0);
    world_join(session, 0);
    pass(20);
    publish(0, 1 - owner);
    pass(2000);
    sim_network_path(owner, 0)->down_extra_us[1] = 0;
    pass(2000);
    expect(is_at(session, 4));
    end();
}

/* Nobody publishes, and the partition's numbers show nothing: its subscribers hear of it all the same, within 2 s. */
static void one_key_deleted(enum world_durability durability, int servers) {
    begin(durability, servers, 2);
    int session = join(0, 0);
    int other = join(1, 1);
    publish_many(0, 5);
    publish_many(1, 5);
    pass(500);
    struct position before = position_of(session);
    struct position of_other = position_of(other);
    expect(before.offset == 5 && of_other.offset == 5);
    world_delete_meta(0);
    pass(2000);
    struct position after = position_of(session);
    struct position also = position_of(other);
    expect(!epoch_equal(&after.epoch, &before.epoch));
    expect(position_equal(&also, &of_other));
    end();
}

static void one_key_deleted_of_a_fast_channel(void) {
    one_key_deleted(WORLD_FAST, 1);
}

static void one_key_deleted_of_a_safe_channel(void) {
    one_key_deleted(WORLD_SAFE, 3);
}

/* ---- all of them ---- */

static const struct scenario scenarios[] = {
    {"tail_lost_and_nobody_knew", tail_lost_and_nobody_knew},
    {"tail_lost_and_told", tail_lost_and_told},
    {"idle_channel_whose_broker_dies_with_the_primary", idle_channel_whose_broker_dies_with_the_primary},
    {"minority_that_confirms_nothing", minority_that_confirms_nothing},
    {"demoted_and_promoted_again", demoted_and_promoted_again},
    {"restart_from_the_disk", restart_from_the_disk},
    {"restart_of_a_server_that_writes_through", restart_of_a_server_that_writes_through},
    {"answer_lost", answer_lost},
    {"message_between_brokers_lost", message_between_brokers_lost},
    {"subscribe_during_flow", subscribe_during_flow},
    {"broker_drained_under_load", broker_drained_under_load},
    {"redis_away_and_memory_on", redis_away_and_memory_on},
    {"result_of_another_reign_is_no_ack", result_of_another_reign_is_no_ack},
    {"batch_known_to_the_primary_after_the_next", batch_known_to_the_primary_after_the_next},
    {"result_of_another_reign_is_no_ack_either_way", result_of_another_reign_is_no_ack_either_way},
    {"batch_missed_while_a_load_waits", batch_missed_while_a_load_waits},
    {"slow_gateway_lags_and_heals", slow_gateway_lags_and_heals},
    {"slow_gateway_lags_too_far", slow_gateway_lags_too_far},
    {"message_behind_an_own_batch_that_waits", message_behind_an_own_batch_that_waits},
    {"one_key_deleted_of_a_fast_channel", one_key_deleted_of_a_fast_channel},
    {"one_key_deleted_of_a_safe_channel", one_key_deleted_of_a_safe_channel},
    {"gateway_cut_from_one_broker", gateway_cut_from_one_broker},
    {"gateway_cut_from_all_brokers", gateway_cut_from_all_brokers},
    {"ghosts_of_a_gateway_that_died", ghosts_of_a_gateway_that_died},
    {"ghosts_of_a_gateway_that_came_back", ghosts_of_a_gateway_that_came_back},
    {"members_after_redis_forgot_them", members_after_redis_forgot_them},
    {"members_while_redis_refuses", members_while_redis_refuses},
    {"option_changed_half_rolled_out", option_changed_half_rolled_out},
    {"promotion_told_to_one_broker_first", promotion_told_to_one_broker_first},
    {"sentinel_of_yesterday", sentinel_of_yesterday},
    {"partition_moved_under_load", partition_moved_under_load},
    {"partition_moved_and_told_late", partition_moved_and_told_late},
    {"topic_taken_back_before_a_cut", topic_taken_back_before_a_cut},
    {"replica_that_comes_back_is_waited_for", replica_that_comes_back_is_waited_for},
};

int main(int argc, char **argv) {
    struct model_patch patch;
    if (argc == 5 && strcmp(argv[1], "--patch") == 0) {
        patch = (struct model_patch){argv[2], argv[3], argv[4]};
        model_script_patch(&patch, 1);
        argc = 1;
    }
    scenario_trace(argc > 2);
    unsigned n_failed = 0;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (argc > 1 && strcmp(argv[1], scenarios[i].name) != 0) {
            continue;
        }
        scenarios[i].run();
        const char *failure = sim_failure();
        printf("%s %s%s%s\n", failure == NULL ? "ok    " : "FAILED", scenarios[i].name, failure == NULL ? "" : ": ",
               failure == NULL ? "" : failure);
        n_failed += failure != NULL;
        world_end();
    }
    model_script_end();
    return n_failed == 0 ? 0 : 1;
}
