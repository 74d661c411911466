/* Scenarios of presence: who keeps the lease of a gateway, who is there while it lives, and when a ghost goes. In each
 * a session of gateway 0 is present in channel 0, and one of gateway 1 watches. */
#include "tests/simulation/scenarios_presence.h"

#include "tests/simulation/scenario_stage.h"

enum { HOME = 0, ELSEWHERE = 1, BROKERS = 2 };

struct stage {
    int member;
    int watcher;
};

static uint64_t only(int session) {
    return (uint64_t) 1 << session;
}

/* Every broker says so, asked over the watcher's gateway. */
static bool members_are(uint64_t sessions) {
    for (int broker = 0; broker < BROKERS; broker++) {
        uint64_t found = 0;
        if (!gateway_ask_members(ELSEWHERE, broker, world_channel(0))) {
            return false;
        }
        pass(50);
        if (!gateway_members(ELSEWHERE, &found) || found != sessions) {
            return false;
        }
    }
    return true;
}

static bool has_news(const struct stage *stage, unsigned joins, unsigned leaves) {
    struct member_news news = gateway_news(ELSEWHERE, stage->member);
    return news.joins == joins && news.leaves == leaves;
}

static struct stage begin_with_member(enum world_durability durability, int servers) {
    begin(durability, servers, BROKERS);
    struct stage stage = {.watcher = join(0, ELSEWHERE)};
    stage.member = join(0, HOME);
    gateway_show(HOME, stage.member, world_channel(0));
    pass(1500);
    expect(has_news(&stage, 1, 0));
    expect(members_are(only(stage.member)));
    return stage;
}

/* 12, first half: the broker that kept the gateway's lease does not hear it any more, the other one does and goes on
 * with the lease. Nobody hears of anything. */
void gateway_cut_from_one_broker(void) {
    struct stage stage = begin_with_member(WORLD_FAST, 1);
    gateway_partition(HOME, gateway_lease_broker(HOME), sim_now_us() + 8 * SECOND);
    for (int i = 0; i < 16; i++) {
        pass(500);
        expect(has_news(&stage, 1, 0));
        expect(members_are(only(stage.member)));
    }
    pass(3000);
    expect(has_news(&stage, 1, 0));
    expect(checker_is_joined(stage.member));
    end();
}

/* 12, second half: no broker hears it for longer than a lease lives. It is swept and everyone is told; when it is heard
 * again it has a new lease, is asked for its members, and everyone is told of those. */
void gateway_cut_from_all_brokers(void) {
    struct stage stage = begin_with_member(WORLD_FAST, 1);
    for (int broker = 0; broker < BROKERS; broker++) {
        gateway_partition(HOME, broker, sim_now_us() + 6 * SECOND);
    }
    pass(3000);
    expect(has_news(&stage, 1, 0));
    pass(2900);
    expect(has_news(&stage, 1, 1));
    pass(3000);
    expect(has_news(&stage, 2, 1));
    expect(members_are(only(stage.member)));
    expect(checker_is_joined(stage.member)); /* it waited behind its gateway's grace */
    pass(7000);
    expect(has_news(&stage, 2, 1)); /* nor is it swept under the lease before, and asked for again */
    end();
}

/* Nobody keeps the lease any more: the ghosts go with it, within 5 s. */
void ghosts_of_a_gateway_that_died(void) {
    struct stage stage = begin_with_member(WORLD_FAST, 1);
    gateway_kill(HOME);
    pass(5000);
    expect(has_news(&stage, 1, 1));
    expect(members_are(0));
    end();
}

/* Started again at once under its id the gateway keeps a lease, but another one: its members of before go all the
 * same, and those that it has now stay. */
void ghosts_of_a_gateway_that_came_back(void) {
    struct stage stage = begin_with_member(WORLD_FAST, 1);
    int other = join(0, HOME);
    gateway_kill(HOME);
    gateway_start(HOME);
    pass(100);
    world_join(other, HOME);
    gateway_show(HOME, other, world_channel(0));
    pass(4900);
    expect(has_news(&stage, 1, 1));
    expect(members_are(only(other)));
    end();
}

/* A partition lost its members, the leases are not gone: those who are there stay in the brokers' memory, are in Redis
 * again, and nobody hears that they left. */
void members_after_redis_forgot_them(void) {
    struct stage stage = begin_with_member(WORLD_SAFE, 3);
    world_delete_members(0);
    for (int i = 0; i < 12; i++) {
        pass(1000);
        expect(has_news(&stage, 1, 0));
        expect(members_are(only(stage.member)));
    }
    world_leave(stage.member);
    pass(500);
    expect(has_news(&stage, 1, 1));
    expect(members_are(0));
    end();
}

/* Redis takes no writes for a while, though its leases live on: who comes and who leaves meanwhile is told to it as
 * soon as it takes them, in that order. Nobody else would tell it again. */
void members_while_redis_refuses(void) {
    struct stage stage = begin_with_member(WORLD_FAST, 1);
    int comes = checker_add_session(0);
    int passes = checker_add_session(0);
    gateway_show(HOME, comes, world_channel(0));
    gateway_show(HOME, passes, world_channel(0));
    server(0)->disk_failed = true;
    world_leave(stage.member);
    world_join(comes, HOME);
    world_join(passes, HOME);
    pass(1200);
    world_leave(passes);
    pass(800);
    expect(has_news(&stage, 1, 0));
    server(0)->disk_failed = false;
    pass(1500);
    expect(has_news(&stage, 1, 1));
    expect(members_are(only(comes)));
    end();
}
