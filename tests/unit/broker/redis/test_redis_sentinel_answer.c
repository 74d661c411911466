/* What Sentinels answer, and whose answer counts. */
#include "broker/redis/topology/redis_sentinel_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { TEXTS_MAX = 16 };

/* An array of strings. */
struct texts {
    struct redis_reply elements[TEXTS_MAX];
    struct redis_reply reply;
};

static const struct redis_reply *reply_of(struct texts *self, const char *const *texts) {
    size_t n = 0;
    for (; texts[n] != NULL; n++) {
        self->elements[n] = (struct redis_reply){.type = REDIS_STRING, .text = span_of_text(texts[n])};
    }
    self->reply = (struct redis_reply){.type = REDIS_ARRAY, .n = n, .elements = self->elements};
    return &self->reply;
}

static void the_answer_has_address_epoch_and_flags(void **state) {
    (void) state;
    struct texts texts;
    struct redis_sentinel_answer answer;
    const char *const up[] = {"name",  "m",      "ip",           "10.0.0.1", "port", "7000",
                              "flags", "master", "config-epoch", "17",       NULL};
    assert_true(redis_sentinel_answer_parse(reply_of(&texts, up), &answer));
    assert_true(answer.is_there);
    assert_string_equal(answer.address.host, "10.0.0.1");
    assert_int_equal(answer.address.port, 7000);
    assert_int_equal(answer.epoch, 17);
    assert_false(answer.is_down);
    const char *const down[] = {"ip", "h", "port", "1", "config-epoch", "0", "flags", "s_down,o_down,master", NULL};
    assert_true(redis_sentinel_answer_parse(reply_of(&texts, down), &answer));
    assert_true(answer.is_down);
    const char *const doubted[] = {"ip", "h", "port", "1", "config-epoch", "0", "flags", "s_down,master", NULL};
    assert_true(redis_sentinel_answer_parse(reply_of(&texts, doubted), &answer));
    assert_false(answer.is_down); /* one Sentinel alone says nothing */
}

/* One replica of SENTINEL SLAVES: its address, flags, and what its last INFO said its name was. */
static struct redis_reply replica_of(struct texts *texts, const char *ip, const char *flags, const char *run_id) {
    return *reply_of(texts, (const char *const[]){"ip", ip, "port", "1", "flags", flags, "runid", run_id, NULL});
}

/* Those that can be promoted now. */
static void replicas_count_while_they_are_held_for_up(void **state) {
    (void) state;
    static const char *const flags[] = {"slave", "s_down,slave", "slave,disconnected", "s_down,o_down,slave"};
    struct texts texts[4];
    struct redis_reply elements[4];
    for (size_t i = 0; i < 4; i++) {
        elements[i] = replica_of(&texts[i], "h", flags[i], "known");
    }
    const struct redis_reply reply = {.type = REDIS_ARRAY, .n = 4, .elements = elements};
    struct redis_sentinel_answer answer = {.is_there = true};
    redis_sentinel_answer_add_replicas(&answer, &reply);
    assert_int_equal(answer.replicas, 2);
    redis_sentinel_answer_add_replicas(&answer, &(struct redis_reply){.type = REDIS_NIL});
    assert_int_equal(answer.replicas, 0);
}

/* The primary that died stands among the replicas of the one promoted in its place, held for up. */
static void one_that_nothing_was_heard_of_counts_as_soon_as_it_is_reached(void **state) {
    (void) state;
    struct texts texts[2];
    struct redis_reply elements[2] = {replica_of(&texts[0], "a", "slave", "known"),
                                      replica_of(&texts[1], "b", "slave,disconnected", "")};
    const struct redis_reply reply = {.type = REDIS_ARRAY, .n = 2, .elements = elements};
    struct redis_sentinel_answer answer = {.is_there = true};
    redis_sentinel_answer_add_replicas(&answer, &reply);
    assert_int_equal(answer.replicas, 1);
    elements[1] = replica_of(&texts[1], "b", "slave", "");
    redis_sentinel_answer_add_replicas(&answer, &reply);
    assert_int_equal(answer.replicas, 2);
}

/* Whom it promotes may hang by now, and be held for down. */
static void all_replicas_count_while_one_is_being_promoted(void **state) {
    (void) state;
    struct texts texts[3];
    struct redis_reply elements[2] = {replica_of(&texts[0], "b", "slave,s_down,promoted", "known"),
                                      replica_of(&texts[1], "c", "slave", "known")};
    const struct redis_reply reply = {.type = REDIS_ARRAY, .n = 2, .elements = elements};
    static const char *const flags[] = {"master", "master,failover_in_progress,force_failover"};
    for (unsigned fails_over = 0; fails_over < 2; fails_over++) {
        struct redis_sentinel_answer answer;
        assert_true(redis_sentinel_answer_parse(
            reply_of(&texts[2], (const char *const[]){"ip", "a", "port", "1", "config-epoch", "3", "flags",
                                                      flags[fails_over], NULL}),
            &answer));
        redis_sentinel_answer_add_replicas(&answer, &reply);
        assert_int_equal(answer.replicas, 1 + fails_over);
    }
}

/* Until its failover is over a promoted server stands among the replicas, and the master before it does not. */
static void a_promoted_server_is_no_replica_of_its_own(void **state) {
    (void) state;
    struct texts texts[3];
    struct redis_reply elements[2] = {replica_of(&texts[0], "b", "slave,promoted", "known"),
                                      replica_of(&texts[1], "c", "slave", "known")};
    const struct redis_reply reply = {.type = REDIS_ARRAY, .n = 2, .elements = elements};
    static const char *const flags[] = {"master,s_down,failover_in_progress",
                                        "master,failover_in_progress,force_failover"};
    for (unsigned former_is_up = 0; former_is_up < 2; former_is_up++) {
        struct redis_sentinel_answer answer;
        assert_true(redis_sentinel_answer_parse(
            reply_of(&texts[2], (const char *const[]){"ip", "a", "port", "1", "config-epoch", "3", "flags",
                                                      flags[former_is_up], NULL}),
            &answer));
        redis_sentinel_answer_add_address(&answer, reply_of(&texts[2], (const char *const[]){"b", "1", NULL}));
        redis_sentinel_answer_add_replicas(&answer, &reply);
        assert_int_equal(answer.replicas, 1 + former_is_up);
    }
}

/* One that a Sentinel of the same mind holds for up may be promoted. */
static void the_most_replicas_that_any_sentinel_counts_count(void **state) {
    (void) state;
    struct redis_sentinel_answer answers[3] = {{.is_there = true, .epoch = 2, .replicas = 1},
                                               {.is_there = true, .epoch = 2, .replicas = 2},
                                               {.is_there = true, .epoch = 1, .replicas = 5}};
    assert_true(redis_address_set(&answers[0].address, SPAN_LITERAL("a"), 1));
    assert_true(redis_address_set(&answers[1].address, SPAN_LITERAL("a"), 1));
    assert_true(redis_address_set(&answers[2].address, SPAN_LITERAL("old"), 1));
    const struct redis_sentinel_answer nothing = {.is_there = false};
    struct redis_sentinel_answer chosen;
    assert_int_equal(redis_sentinel_choose(answers, 3, &nothing, &chosen), REDIS_SENTINEL_CHOSEN);
    assert_int_equal(chosen.replicas, 2);
}

static void what_is_no_answer_is_refused(void **state) {
    (void) state;
    struct texts texts;
    struct redis_sentinel_answer answer;
    const char *const samples[][9] = {
        {NULL},
        {"ip", NULL},
        {"ip", "h", "port", "1", NULL},
        {"ip", "", "port", "1", "config-epoch", "1", NULL},
        {"ip", "h", "port", "0", "config-epoch", "1", NULL},
        {"ip", "h", "port", "65536", "config-epoch", "1", NULL},
        {"ip", "h", "port", "1", "config-epoch", "-1", NULL},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        assert_false(redis_sentinel_answer_parse(reply_of(&texts, samples[i]), &answer));
    }
    const struct redis_reply nil = {.type = REDIS_NIL};
    assert_false(redis_sentinel_answer_parse(&nil, &answer));
}

static void a_promoted_server_is_named_before_the_failover_is_over(void **state) {
    (void) state;
    struct texts texts;
    struct redis_sentinel_answer answer = {
        .is_there = true, .address = {.host = "a", .port = 1}, .epoch = 3, .is_down = true};
    redis_sentinel_answer_add_address(&answer, reply_of(&texts, (const char *const[]){"a", "1", NULL}));
    assert_true(answer.is_down);
    redis_sentinel_answer_add_address(&answer, reply_of(&texts, (const char *const[]){"b", "x", NULL}));
    assert_string_equal(answer.address.host, "a");
    redis_sentinel_answer_add_address(&answer, reply_of(&texts, (const char *const[]){"b", "2", NULL}));
    assert_string_equal(answer.address.host, "b");
    assert_int_equal(answer.epoch, 3);
    assert_false(answer.is_down);
}

static void peers_have_an_address_and_an_id(void **state) {
    (void) state;
    struct texts texts;
    struct redis_sentinel_peer peer;
    static const char id[] = "0123456789012345678901234567890123456789";
    assert_true(redis_sentinel_peer_parse(
        reply_of(&texts, (const char *const[]){"ip", "h", "port", "5", "runid", id, NULL}), &peer));
    assert_string_equal(peer.id, id);
    assert_int_equal(peer.address.port, 5);
    assert_false(redis_sentinel_peer_parse(
        reply_of(&texts, (const char *const[]){"ip", "h", "port", "5", "runid", "", NULL}), &peer));
}

/* ---- whose answer counts ---- */

static struct redis_sentinel_answer says(const char *host, uint64_t epoch, bool is_down) {
    struct redis_sentinel_answer answer = {
        .is_there = true, .address = {.port = 1}, .epoch = epoch, .is_down = is_down};
    memcpy(answer.address.host, host, strlen(host));
    return answer;
}

static const struct redis_sentinel_answer silent = {.is_there = false};

static void assert_chosen(const struct redis_sentinel_answer *answers, size_t n,
                          const struct redis_sentinel_answer *known, const char *host) {
    struct redis_sentinel_answer answer;
    assert_int_equal(redis_sentinel_choose(answers, n, known, &answer), REDIS_SENTINEL_CHOSEN);
    assert_string_equal(answer.address.host, host);
}

static void assert_not_chosen(const struct redis_sentinel_answer *answers, size_t n,
                              const struct redis_sentinel_answer *known, enum redis_sentinel_choice choice) {
    struct redis_sentinel_answer answer;
    assert_int_equal(redis_sentinel_choose(answers, n, known, &answer), choice);
}

static void the_highest_epoch_counts(void **state) {
    (void) state;
    const struct redis_sentinel_answer answers[] = {says("old", 1, false), silent, says("new", 2, false),
                                                    says("old", 1, false)};
    assert_chosen(answers, 4, &silent, "new");
    assert_not_chosen(&silent, 1, &silent, REDIS_SENTINEL_NOBODY);
    assert_not_chosen(NULL, 0, &silent, REDIS_SENTINEL_NOBODY);
}

static void a_master_that_is_down_counts_only_where_nobody_followed_it(void **state) {
    (void) state;
    const struct redis_sentinel_answer followed[] = {says("old", 1, true), says("new", 2, false)};
    assert_chosen(followed, 2, &silent, "new");
    const struct redis_sentinel_answer down[] = {says("new", 2, true), says("old", 1, false)};
    assert_not_chosen(down, 2, &silent, REDIS_SENTINEL_DOWN);
    const struct redis_sentinel_answer seen_by_one[] = {says("new", 2, true), says("new", 2, false)};
    assert_chosen(seen_by_one, 2, &silent, "new");
}

static void old_news_need_a_majority_of_all(void **state) {
    (void) state;
    const struct redis_sentinel_answer known = says("new", 5, false);
    const struct redis_sentinel_answer one[] = {says("old", 4, false), silent, silent};
    assert_not_chosen(one, 3, &known, REDIS_SENTINEL_OLD);
    const struct redis_sentinel_answer two[] = {says("anew", 0, false), says("anew", 0, false), silent};
    assert_chosen(two, 3, &known, "anew");
    const struct redis_sentinel_answer divided[] = {says("a", 0, false), says("b", 0, false), says("a", 1, false)};
    assert_not_chosen(divided, 3, &known, REDIS_SENTINEL_OLD);
    const struct redis_sentinel_answer half[] = {says("a", 0, false), says("a", 0, false), silent, silent};
    assert_not_chosen(half, 4, &known, REDIS_SENTINEL_OLD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_has_address_epoch_and_flags),
        cmocka_unit_test(replicas_count_while_they_are_held_for_up),
        cmocka_unit_test(one_that_nothing_was_heard_of_counts_as_soon_as_it_is_reached),
        cmocka_unit_test(all_replicas_count_while_one_is_being_promoted),
        cmocka_unit_test(a_promoted_server_is_no_replica_of_its_own),
        cmocka_unit_test(the_most_replicas_that_any_sentinel_counts_count),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(a_promoted_server_is_named_before_the_failover_is_over),
        cmocka_unit_test(peers_have_an_address_and_an_id),
        cmocka_unit_test(the_highest_epoch_counts),
        cmocka_unit_test(a_master_that_is_down_counts_only_where_nobody_followed_it),
        cmocka_unit_test(old_news_need_a_majority_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
