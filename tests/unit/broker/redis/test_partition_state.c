/* The partition's state machine: row by row of its table, by the worked scenarios of redis.md as far as they are a
 * partition's (2, 3, 5, 6, 7, 8 with durability fast), and by long random lives. */
#include "broker/redis/partition_state.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct partition_state partition;
static uint64_t applied;

enum {
    SUBSCRIBE = PARTITION_DO_SUBSCRIBE,
    UNSUBSCRIBE = PARTITION_DO_UNSUBSCRIBE,
    HELLO = PARTITION_DO_HELLO,
    CHECK = PARTITION_DO_CHECK,
    ADOPT = PARTITION_DO_ADOPT,
    EXPECT = PARTITION_DO_EXPECT,
    DOUBT = PARTITION_DO_DOUBT,
    DROP = PARTITION_DO_DROP,
};

static struct partition_gen gen_named(char name) {
    struct partition_gen gen = {{0}};
    memset(gen.text, name, PARTITION_GEN_LENGTH);
    return gen;
}

static unsigned answer(enum partition_event event, char gen, uint64_t seq) {
    struct partition_input input = {.event = event, .seq = seq, .applied = applied};
    if (gen != '\0') {
        input.gen = gen_named(gen);
    }
    unsigned actions = partition_state_step(&partition, &input);
    if ((actions & ADOPT) != 0) {
        applied = seq;
    }
    return actions;
}

static unsigned step(enum partition_event event) {
    return answer(event, '\0', 0);
}

#define assert_phase(expected)                                                                                         \
    assert_string_equal(partition_phase_text(partition.phase), partition_phase_text(expected))

static int fresh(void **state) {
    (void) state;
    partition = (struct partition_state){.phase = PARTITION_CLOSED};
    applied = 0;
    return 0;
}

static void links_up(void) {
    step(PARTITION_COMMAND_UP);
    step(PARTITION_PUBSUB_UP);
}

/* Open in gen a, with batches up to 40 applied. */
static void open_partition(void) {
    links_up();
    step(PARTITION_WANTED);
    answer(PARTITION_HELLO_DONE, 'a', 40);
    step(PARTITION_TOPIC_CONFIRMED);
    answer(PARTITION_SEQ_READ, 'a', 40);
    assert_phase(PARTITION_OPEN);
    assert_int_equal(applied, 40);
}

/* ---- closed ---- */

static void closed_and_wanted_subscribes_and_says_hello(void **state) {
    (void) state;
    links_up();
    assert_int_equal(step(PARTITION_WANTED), SUBSCRIBE | HELLO);
    assert_phase(PARTITION_JOINING);
}

static void closed_and_wanted_without_a_link_waits_as_suspect(void **state) {
    (void) state;
    assert_int_equal(step(PARTITION_WANTED), SUBSCRIBE);
    assert_phase(PARTITION_SUSPECT);
    assert_int_equal(step(PARTITION_COMMAND_UP), HELLO);
}

static void closed_takes_late_answers_without_a_word(void **state) {
    (void) state;
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 1), 0);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 1), 0);
    assert_int_equal(step(PARTITION_TOPIC_CONFIRMED), 0);
    assert_int_equal(step(PARTITION_TICK), 0);
    assert_phase(PARTITION_CLOSED);
}

/* ---- joining ---- */

static void joining_opens_after_hello_then_topic_then_a_read_of_seq(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 40), ADOPT);
    assert_phase(PARTITION_JOINING);
    assert_int_equal(step(PARTITION_TOPIC_CONFIRMED), CHECK);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 40), 0);
    assert_phase(PARTITION_OPEN);
}

static void joining_reads_seq_also_where_the_topic_was_confirmed_first(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    assert_int_equal(step(PARTITION_TOPIC_CONFIRMED), 0);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 40), ADOPT | CHECK); /* hello was sent before that */
    answer(PARTITION_SEQ_READ, 'a', 40);
    assert_phase(PARTITION_OPEN);
}

static void joining_jumps_over_batches_that_came_before_the_topic(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    answer(PARTITION_HELLO_DONE, 'a', 40);
    step(PARTITION_TOPIC_CONFIRMED);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 43), ADOPT); /* nobody has read anything yet: no doubt */
    assert_phase(PARTITION_OPEN);
    assert_int_equal(applied, 43);
}

static void joining_meets_another_gen_and_reopens(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    answer(PARTITION_HELLO_DONE, 'a', 40);
    step(PARTITION_TOPIC_CONFIRMED);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'b', 41), HELLO);
    assert_phase(PARTITION_REOPENING);
}

static void joining_without_a_pubsub_link_goes_on_deaf(void **state) {
    (void) state;
    step(PARTITION_COMMAND_UP);
    step(PARTITION_WANTED);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 40), ADOPT);
    assert_phase(PARTITION_DEAF);
}

static void joining_that_loses_the_pubsub_link_goes_on_deaf_once_introduced(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    step(PARTITION_PUBSUB_DOWN);
    assert_phase(PARTITION_JOINING);
    answer(PARTITION_HELLO_DONE, 'a', 40);
    assert_phase(PARTITION_DEAF);
}

static void joining_says_hello_again_at_the_next_tick(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    assert_int_equal(step(PARTITION_TICK), 0); /* one is out */
    step(PARTITION_HELLO_FAILED);
    assert_int_equal(step(PARTITION_TICK), HELLO);
}

static void joining_is_left_when_the_link_is_cut_or_the_server_unfit(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    assert_int_equal(step(PARTITION_UNFIT), DROP);
    assert_phase(PARTITION_SUSPECT);
    step(PARTITION_COMMAND_DOWN);
    assert_int_equal(step(PARTITION_COMMAND_UP), HELLO);
}

/* ---- open ---- */

static void open_checks_every_second_one_read_at_a_time(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_TICK), CHECK);
    assert_int_equal(step(PARTITION_TICK), 0);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 40), 0);
    assert_int_equal(step(PARTITION_TICK), CHECK);
}

static void open_expects_what_others_wrote(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_TICK);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 42), EXPECT);
    assert_phase(PARTITION_OPEN);
}

static void open_reopens_when_refused_or_another_gen_is_heard_or_read(void **state) {
    const enum partition_event events[] = {PARTITION_REFUSED, PARTITION_OTHER_GEN};
    for (size_t i = 0; i < 2; i++) {
        fresh(state);
        open_partition();
        assert_int_equal(step(events[i]), HELLO);
        assert_phase(PARTITION_REOPENING);
    }
    fresh(state);
    open_partition();
    step(PARTITION_TICK);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'b', 41), HELLO);
    assert_phase(PARTITION_REOPENING);
}

static void open_reopens_when_seq_went_back(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_TICK);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 39), HELLO);
    assert_phase(PARTITION_REOPENING);
}

static void open_reopens_when_the_hash_is_gone(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_TICK);
    assert_int_equal(answer(PARTITION_SEQ_READ, '\0', 0), HELLO);
}

static void open_turns_suspect_when_the_link_is_cut(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_COMMAND_DOWN), 0);
    assert_phase(PARTITION_SUSPECT);
}

static void open_drops_a_server_that_cannot_take_writes(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_UNFIT), DROP);
    assert_phase(PARTITION_SUSPECT);
}

static void open_closes_when_idle(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_IDLE), UNSUBSCRIBE);
    assert_phase(PARTITION_CLOSED);
}

static void open_turns_deaf_when_the_pubsub_link_is_lost(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_PUBSUB_DOWN), 0);
    assert_phase(PARTITION_DEAF);
    assert_true(partition_state_goes(&partition));
}

/* ---- reopening ---- */

static void reopening_adopts_the_new_gen_and_doubts_everything(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_REFUSED);
    assert_false(partition_state_goes(&partition));
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 41), ADOPT | DOUBT);
    assert_phase(PARTITION_OPEN);
    assert_int_equal(applied, 41);
}

static void reopening_without_the_topic_turns_deaf(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_REFUSED);
    step(PARTITION_PUBSUB_DOWN);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 41), ADOPT | DOUBT);
    assert_phase(PARTITION_DEAF);
}

static void reopening_hears_refusals_of_what_was_sent_before_without_a_word(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_REFUSED);
    assert_int_equal(step(PARTITION_REFUSED), 0);
    assert_int_equal(step(PARTITION_OTHER_GEN), 0);
    assert_phase(PARTITION_REOPENING);
}

static void reopening_is_left_when_the_link_is_cut(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_REFUSED);
    step(PARTITION_COMMAND_DOWN);
    assert_phase(PARTITION_SUSPECT);
}

/* ---- deaf ---- */

static void deaf_opens_after_the_topic_and_a_read_of_seq_behind_it(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_PUBSUB_DOWN);
    step(PARTITION_PUBSUB_UP);
    assert_int_equal(step(PARTITION_TOPIC_CONFIRMED), CHECK);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 40), 0); /* nobody wrote meanwhile */
    assert_phase(PARTITION_OPEN);
}

static void deaf_does_not_trust_a_read_that_was_sent_before_the_topic(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_PUBSUB_DOWN);
    assert_int_equal(step(PARTITION_TICK), CHECK);
    step(PARTITION_PUBSUB_UP);
    assert_int_equal(step(PARTITION_TOPIC_CONFIRMED), 0);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 40), CHECK);
    assert_phase(PARTITION_DEAF);
    answer(PARTITION_SEQ_READ, 'a', 40);
    assert_phase(PARTITION_OPEN);
}

static void deaf_doubts_everything_when_others_wrote(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_PUBSUB_DOWN);
    step(PARTITION_TICK);
    assert_int_equal(answer(PARTITION_SEQ_READ, 'a', 42), ADOPT | DOUBT);
    assert_phase(PARTITION_DEAF);
    assert_int_equal(applied, 42);
}

static void deaf_reopens_when_refused_and_turns_suspect_when_cut(void **state) {
    open_partition();
    step(PARTITION_PUBSUB_DOWN);
    assert_int_equal(step(PARTITION_REFUSED), HELLO);
    fresh(state);
    open_partition();
    step(PARTITION_PUBSUB_DOWN);
    step(PARTITION_COMMAND_DOWN);
    assert_phase(PARTITION_SUSPECT);
}

/* ---- suspect ---- */

static void suspect_with_the_same_gen_and_the_topic_on_is_open_after_hello(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    assert_int_equal(step(PARTITION_COMMAND_UP), HELLO);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 40), 0);
    assert_phase(PARTITION_OPEN);
}

static void suspect_expects_what_others_wrote_while_the_topic_was_on(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    step(PARTITION_COMMAND_UP);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 44), EXPECT);
    assert_phase(PARTITION_OPEN);
}

static void suspect_doubts_what_others_wrote_while_the_topic_was_off(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    step(PARTITION_PUBSUB_DOWN);
    step(PARTITION_COMMAND_UP);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 44), ADOPT | DOUBT);
    assert_phase(PARTITION_DEAF);
}

static void suspect_with_another_gen_doubts_everything(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    step(PARTITION_COMMAND_UP);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 1), ADOPT | DOUBT);
    assert_phase(PARTITION_OPEN);
    assert_int_equal(applied, 1);
}

static void suspect_hears_late_words_of_the_old_link_without_a_word(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    assert_int_equal(step(PARTITION_REFUSED), 0);
    assert_int_equal(step(PARTITION_OTHER_GEN), 0);
    assert_int_equal(step(PARTITION_SEQ_FAILED), 0);
    assert_phase(PARTITION_SUSPECT);
}

static void suspect_says_hello_again_when_it_failed(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    assert_int_equal(step(PARTITION_TICK), 0); /* no link */
    step(PARTITION_COMMAND_UP);
    step(PARTITION_HELLO_FAILED);
    assert_int_equal(step(PARTITION_TICK), HELLO);
}

static void suspect_closes_when_idle(void **state) {
    (void) state;
    step(PARTITION_WANTED);
    assert_int_equal(step(PARTITION_IDLE), UNSUBSCRIBE);
    assert_phase(PARTITION_CLOSED);
}

static void an_answer_of_another_life_does_not_open(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    step(PARTITION_TOPIC_CONFIRMED);
    answer(PARTITION_HELLO_DONE, 'a', 40); /* a read of seq is out, hearing the topic */
    step(PARTITION_IDLE);
    step(PARTITION_WANTED);
    answer(PARTITION_SEQ_READ, 'a', 40);
    assert_phase(PARTITION_JOINING);
}

/* ---- worked scenarios ---- */

static void scenarios_2_and_6_a_new_reign_is_met_by_the_cut_link(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    step(PARTITION_PUBSUB_DOWN);
    step(PARTITION_PUBSUB_UP);
    step(PARTITION_TOPIC_CONFIRMED);
    step(PARTITION_COMMAND_UP);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 41), ADOPT | DOUBT);
    assert_phase(PARTITION_OPEN);
}

static void scenario_3_the_first_broker_to_come_after_a_restart_opens_without_doubt(void **state) {
    (void) state;
    links_up();
    step(PARTITION_WANTED);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 41), ADOPT); /* it holds nothing that could be wrong */
}

static void scenario_5_demoted_and_promoted_again_is_met_by_a_refused_batch(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_REFUSED), HELLO); /* the connection is alive all the time */
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 41), ADOPT | DOUBT);
    assert_phase(PARTITION_OPEN);
}

static void scenario_7_a_lost_answer_is_found_by_hello_in_the_same_reign(void **state) {
    (void) state;
    open_partition();
    step(PARTITION_COMMAND_DOWN);
    step(PARTITION_COMMAND_UP);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'a', 41), EXPECT); /* own batch 41 happened; the topic tells it too */
    assert_phase(PARTITION_OPEN);
}

static void scenario_8_opened_by_another_broker_is_heard_on_the_topic(void **state) {
    (void) state;
    open_partition();
    assert_int_equal(step(PARTITION_OTHER_GEN), HELLO);
    assert_int_equal(answer(PARTITION_HELLO_DONE, 'b', 41), ADOPT | DOUBT);
    assert_phase(PARTITION_OPEN);
}

/* ---- random lives ---- */

/* Redis and the links, as simple as can be: what was asked on a link is answered in order, or lost with it. */
struct world {
    bool command_up;
    bool pubsub_up;
    bool subscribed;
    bool confirming;
    char asked[8]; /* 'h' hello, 'c' check */
    unsigned n_asked;
    char gen;
    uint64_t seq;
};

static void world_act(struct world *world, unsigned actions) {
    if ((actions & SUBSCRIBE) != 0) {
        world->subscribed = true;
        world->confirming = world->pubsub_up;
    }
    if ((actions & UNSUBSCRIBE) != 0) {
        world->subscribed = false;
        world->confirming = false;
    }
    if ((actions & (HELLO | CHECK)) != 0) {
        assert_true(world->command_up);
        assert_true(world->n_asked < sizeof world->asked);
        world->asked[world->n_asked++] = (actions & HELLO) != 0 ? 'h' : 'c';
    }
    if ((actions & DROP) != 0) {
        world->command_up = false;
        world->n_asked = 0;
        step(PARTITION_COMMAND_DOWN);
    }
}

static void world_answer(struct world *world) {
    char asked = world->asked[0];
    memmove(world->asked, world->asked + 1, --world->n_asked);
    bool fails = random_below(8) == 0;
    if (asked == 'h') {
        world_act(world, fails ? step(PARTITION_HELLO_FAILED) : answer(PARTITION_HELLO_DONE, world->gen, world->seq));
    } else {
        world_act(world, fails ? step(PARTITION_SEQ_FAILED) : answer(PARTITION_SEQ_READ, world->gen, world->seq));
    }
}

static void world_toggle_command(struct world *world) {
    world->command_up = !world->command_up;
    world->n_asked = 0;
    world_act(world, step(world->command_up ? PARTITION_COMMAND_UP : PARTITION_COMMAND_DOWN));
}

static void world_toggle_pubsub(struct world *world) {
    world->pubsub_up = !world->pubsub_up;
    world->confirming = world->pubsub_up && world->subscribed;
    world_act(world, step(world->pubsub_up ? PARTITION_PUBSUB_UP : PARTITION_PUBSUB_DOWN));
}

static void world_turn(struct world *world) {
    switch (random_below(12)) {
    case 0:
        world_toggle_command(world);
        break;
    case 1:
        world_toggle_pubsub(world);
        break;
    case 2:
        world->gen = world->gen == 'z' ? 'a' : (char) (world->gen + 1);
        world->seq = random_below(5);
        break;
    case 3:
        world->seq++;
        break;
    case 4:
        world_act(world, step(PARTITION_WANTED));
        break;
    case 5:
        if (partition.phase != PARTITION_CLOSED) {
            world_act(world, step(PARTITION_IDLE));
        }
        break;
    case 6:
        if (partition_state_goes(&partition)) {
            world_act(world, step(random_below(2) == 0 ? PARTITION_REFUSED : PARTITION_OTHER_GEN));
        }
        break;
    case 7:
        if (world->command_up && random_below(4) == 0) {
            world_act(world, step(PARTITION_UNFIT));
        }
        break;
    case 8:
        world_act(world, step(PARTITION_TICK));
        break;
    default:
        if (world->n_asked > 0) {
            world_answer(world);
        } else if (world->confirming) {
            world->confirming = false;
            world_act(world, step(PARTITION_TOPIC_CONFIRMED));
        }
    }
}

static void heal(struct world *world) {
    if (!world->command_up) {
        world_toggle_command(world);
    }
    if (!world->pubsub_up) {
        world_toggle_pubsub(world);
    }
    world_act(world, step(PARTITION_WANTED));
    for (unsigned i = 0; i < 1000 && partition.phase != PARTITION_OPEN; i++) {
        if (world->confirming) {
            world->confirming = false;
            world_act(world, step(PARTITION_TOPIC_CONFIRMED));
        } else if (world->n_asked > 0) {
            world_answer(world);
        } else {
            world_act(world, step(PARTITION_TICK));
        }
    }
}

static void any_life_obeys_the_table_and_opens_when_the_links_are_well(void **state) {
    for (unsigned life = 0; life < 20000; life++) {
        fresh(state);
        struct world world = {.gen = 'a'};
        unsigned n = random_below(200);
        for (unsigned i = 0; i < n; i++) {
            world_turn(&world);
        }
        heal(&world);
        assert_phase(PARTITION_OPEN);
        struct partition_gen gen = gen_named(world.gen);
        step(PARTITION_TICK); /* what changed behind its back, the next check finds */
        if (!partition_gen_equal(&partition.gen, &gen)) {
            world.n_asked = world.n_asked == 0 ? 1 : world.n_asked;
            world.asked[0] = 'c';
            while (world.n_asked > 0) {
                world_answer(&world);
            }
            heal(&world);
        }
    }
}

int main(void) {
#define row(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        row(closed_and_wanted_subscribes_and_says_hello),
        row(closed_and_wanted_without_a_link_waits_as_suspect),
        row(closed_takes_late_answers_without_a_word),
        row(joining_opens_after_hello_then_topic_then_a_read_of_seq),
        row(joining_reads_seq_also_where_the_topic_was_confirmed_first),
        row(joining_jumps_over_batches_that_came_before_the_topic),
        row(joining_meets_another_gen_and_reopens),
        row(joining_without_a_pubsub_link_goes_on_deaf),
        row(joining_that_loses_the_pubsub_link_goes_on_deaf_once_introduced),
        row(joining_says_hello_again_at_the_next_tick),
        row(joining_is_left_when_the_link_is_cut_or_the_server_unfit),
        row(open_checks_every_second_one_read_at_a_time),
        row(open_expects_what_others_wrote),
        row(open_reopens_when_refused_or_another_gen_is_heard_or_read),
        row(open_reopens_when_seq_went_back),
        row(open_reopens_when_the_hash_is_gone),
        row(open_turns_suspect_when_the_link_is_cut),
        row(open_drops_a_server_that_cannot_take_writes),
        row(open_closes_when_idle),
        row(open_turns_deaf_when_the_pubsub_link_is_lost),
        row(reopening_adopts_the_new_gen_and_doubts_everything),
        row(reopening_without_the_topic_turns_deaf),
        row(reopening_hears_refusals_of_what_was_sent_before_without_a_word),
        row(reopening_is_left_when_the_link_is_cut),
        row(deaf_opens_after_the_topic_and_a_read_of_seq_behind_it),
        row(deaf_does_not_trust_a_read_that_was_sent_before_the_topic),
        row(deaf_doubts_everything_when_others_wrote),
        row(deaf_reopens_when_refused_and_turns_suspect_when_cut),
        row(suspect_with_the_same_gen_and_the_topic_on_is_open_after_hello),
        row(suspect_expects_what_others_wrote_while_the_topic_was_on),
        row(suspect_doubts_what_others_wrote_while_the_topic_was_off),
        row(suspect_with_another_gen_doubts_everything),
        row(suspect_hears_late_words_of_the_old_link_without_a_word),
        row(suspect_says_hello_again_when_it_failed),
        row(suspect_closes_when_idle),
        row(an_answer_of_another_life_does_not_open),
        row(scenarios_2_and_6_a_new_reign_is_met_by_the_cut_link),
        row(scenario_3_the_first_broker_to_come_after_a_restart_opens_without_doubt),
        row(scenario_5_demoted_and_promoted_again_is_met_by_a_refused_batch),
        row(scenario_7_a_lost_answer_is_found_by_hello_in_the_same_reign),
        row(scenario_8_opened_by_another_broker_is_heard_on_the_topic),
        row(any_life_obeys_the_table_and_opens_when_the_links_are_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
