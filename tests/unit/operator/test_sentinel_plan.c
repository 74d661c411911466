#include "operator/redis/sentinel_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SENTINELS = 3, PODS = 3 };

static const struct redis_pod pods[PODS] = {{"redis-0.pods", 6379}, {"redis-1.pods", 6379}, {"redis-2.pods", 6379}};
static const char addresses[PODS][48] = {"10.0.0.1", "10.0.0.2", ""};

/* What three Sentinels say: a digit names a pod by name, a letter (a: pod 0) by address, x another host, - silence; `r`
 * behind it: it knows replicas; `e`: it saw a failover. */
static struct sentinel_opinion opinion_of(const char *text, const struct sentinel_set *set) {
    struct sentinel_view views[SENTINELS] = {{.answers = false}, {.answers = false}, {.answers = false}};
    int at = -1;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == 'r') {
            views[at].known_replicas = 2;
            continue;
        }
        if (*c == 'e') {
            views[at].config_epoch = 4;
            continue;
        }
        at++;
        views[at].answers = *c != '-';
        views[at].port = 6379;
        snprintf(views[at].host, sizeof views[at].host, "%.47s",
                 *c == 'x'   ? "10.9.9.9"
                 : *c >= 'a' ? addresses[*c - 'a']
                             : pods[*c >= '0' ? *c - '0' : 0].host);
    }
    return sentinel_opinion_of(views, SENTINELS, set);
}

struct start_case {
    const char *sentinels;
    size_t self;
    struct sentinel_start_facts facts;
    enum sentinel_start start;
    const char *primary; /* NULL: none */
};

#define DATA .has_data = true
#define LAST .is_last_asking = true

static const struct start_case start_cases[] = {
    /* a new set: the seed is named, nobody has data */
    {"000", 0, {.has_data = false}, SENTINEL_START_PRIMARY, NULL},
    {"000", 1, {.has_data = false}, SENTINEL_START_REPLICA, "redis-0.pods"},
    {"aaa", 0, {.has_data = false}, SENTINEL_START_PRIMARY, NULL}, /* by its address */
    {"0a-", 0, {.has_data = false}, SENTINEL_START_PRIMARY, NULL}, /* name and address are one vote */
    /* the seed's replacement does not start as primary while they know another one */
    {"1r1r1r", 0, {DATA}, SENTINEL_START_REPLICA, "redis-1.pods"},
    {"1r1r-", 0, {.has_data = false}, SENTINEL_START_REPLICA, "redis-1.pods"},
    /* no guess: two of three is a majority, one is not; silence counts against */
    {"0--", 0, {DATA}, SENTINEL_START_WAIT, NULL},
    {"---", 0, {DATA, LAST}, SENTINEL_START_WAIT, NULL},
    {"01-", 0, {DATA, LAST}, SENTINEL_START_WAIT, NULL},
    {"01x", 1, {DATA}, SENTINEL_START_WAIT, NULL},
    {"---", 1, {DATA}, SENTINEL_START_WAIT, NULL},
    {"---", 1, {DATA, LAST}, SENTINEL_START_REPLICA, "redis-0.pods"},
    {"1--", 1, {DATA, LAST}, SENTINEL_START_REPLICA, "redis-0.pods"}, /* one Sentinel's word is a guess too */
    /* named, but with an empty volume while others may have data */
    {"0r0r0", 0, {.has_data = false}, SENTINEL_START_FAILOVER, NULL},
    {"0e00", 0, {.has_data = false}, SENTINEL_START_FAILOVER, NULL},
    {"0r0r0", 0, {.accept_empty = true}, SENTINEL_START_PRIMARY, NULL},
    {"0r0r0", 0, {DATA}, SENTINEL_START_PRIMARY, NULL},
    /* a host that is none of the pods is followed as it is named */
    {"xxx", 0, {DATA}, SENTINEL_START_REPLICA, "10.9.9.9"},
};

static void starts_without_guessing(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof start_cases / sizeof start_cases[0]; i++) {
        const struct start_case *c = &start_cases[i];
        const struct sentinel_set set = {pods, addresses, PODS, c->self};
        struct sentinel_opinion opinion = opinion_of(c->sentinels, &set);
        struct redis_pod primary = {.port = 0};
        char reason[SENTINEL_REASON_MAX] = "";
        enum sentinel_start start = sentinel_start_as(&opinion, &set, &c->facts, &primary, reason);
        if (start != c->start || strcmp(primary.host, c->primary == NULL ? "" : c->primary) != 0 || reason[0] == '\0') {
            fail_msg("case %zu (%s, pod %zu): start %d of %s: %s", i, c->sentinels, c->self, start, primary.host,
                     reason);
        }
    }
}

struct mend_case {
    const char *sentinels;
    size_t self;
    enum sentinel_role own;
    const char *follows;
    enum sentinel_role named;
    uint64_t wrong_for_ms;
    enum sentinel_mend mend;
};

#define P SENTINEL_ROLE_PRIMARY
#define R SENTINEL_ROLE_REPLICA
#define U SENTINEL_ROLE_UNKNOWN

static const struct mend_case mend_cases[] = {
    {"000", 1, R, "redis-0.pods", P, 9000, SENTINEL_MEND_NOTHING},
    {"000", 1, R, "10.0.0.1", P, 9000, SENTINEL_MEND_NOTHING},     /* the same one by its address */
    {"000", 1, R, "redis-2.pods", P, 4999, SENTINEL_MEND_NOTHING}, /* a failover may be under way */
    {"000", 1, R, "redis-2.pods", P, 5000, SENTINEL_MEND_FOLLOW},
    {"000", 1, P, "", P, 9000, SENTINEL_MEND_FOLLOW},              /* two primaries: the one not named follows */
    {"000", 1, R, "redis-2.pods", U, 9000, SENTINEL_MEND_NOTHING}, /* the named one does not answer */
    {"000", 1, U, "", P, 9000, SENTINEL_MEND_NOTHING},
    {"000", 1, R, "redis-0.pods", R, 9000, SENTINEL_MEND_FAILOVER}, /* the named one is a replica: nobody is primary */
    {"000", 0, R, "redis-1.pods", R, 9000, SENTINEL_MEND_FAILOVER}, /* it is this pod itself */
    {"000", 0, R, "redis-1.pods", R, 100, SENTINEL_MEND_NOTHING},
    {"000", 0, P, "", P, 9000, SENTINEL_MEND_NOTHING},
    {"01-", 1, P, "", P, 9000, SENTINEL_MEND_NOTHING}, /* no majority: nothing is touched */
};

static void mends_what_stays_wrong(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof mend_cases / sizeof mend_cases[0]; i++) {
        const struct mend_case *c = &mend_cases[i];
        const struct sentinel_set set = {pods, addresses, PODS, c->self};
        struct sentinel_opinion opinion = opinion_of(c->sentinels, &set);
        struct sentinel_mend_facts facts = {
            .own = c->own, .named = c->named, .wrong_for_ms = c->wrong_for_ms, .down_after_ms = 5000};
        facts.own_primary.port = 6379;
        snprintf(facts.own_primary.host, sizeof facts.own_primary.host, "%s", c->follows);
        enum sentinel_mend mend = sentinel_mend(&opinion, &set, &facts);
        if (mend != c->mend) {
            fail_msg("case %zu: mend %d", i, mend);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_without_guessing),
        cmocka_unit_test(mends_what_stays_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
