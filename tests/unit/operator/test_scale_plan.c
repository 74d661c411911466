/* The planner against a model of a cluster: from random states, with agents at work beside it and the work broken off
 * at any command, every slot has an owner all the time, and the goal is reached with each slot moved at most once. Then
 * what is refused. */
#include "base/memory.h"
#include "operator/redis/scale_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PODS_MAX = 24, TURNS_MAX = 600, RUNS = 40, NOBODY = -1 };

struct model_pod {
    int follows; /* NOBODY: a primary */
    bool knows_nobody;
    bool is_out_of_sync;
    uint64_t keys;
};

struct model {
    unsigned n;
    struct model_pod pods[PODS_MAX];
    int owner[CLUSTER_SLOTS];
    int importing[CLUSTER_SLOTS]; /* who has the mark, or NOBODY */
    int migrating[CLUSTER_SLOTS];
    int migrating_to[CLUSTER_SLOTS];
    unsigned moved[CLUSTER_SLOTS];
    uint64_t seed;
};

struct look {
    struct cluster_pod pods[PODS_MAX];
    struct cluster_view view;
    char names[PODS_MAX][16];
};

static unsigned below(struct model *model, unsigned n) {
    model->seed = model->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned) (model->seed >> 33) % n;
}

/* ---- what is seen ---- */

static void append_slots(const struct model *model, unsigned pod, struct buffer *out) {
    for (unsigned first = 0, last; first < CLUSTER_SLOTS; first = last + 1) {
        last = first;
        if (model->owner[first] != (int) pod) {
            continue;
        }
        while (last + 1 < CLUSTER_SLOTS && model->owner[last + 1] == (int) pod) {
            last++;
        }
        buffer_append_format(out, " %u-%u", first, last);
    }
}

static void append_open_slots(const struct model *model, unsigned pod, struct buffer *out) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (model->importing[slot] == (int) pod) {
            buffer_append_format(out, " [%u-<-%040x]", slot, (unsigned) model->owner[slot] + 1);
        }
        if (model->migrating[slot] == (int) pod) {
            buffer_append_format(out, " [%u->-%040x]", slot, (unsigned) model->migrating_to[slot] + 1);
        }
    }
}

static void append_line(const struct model *model, unsigned pod, bool is_own, struct buffer *out) {
    const struct model_pod *self = &model->pods[pod];
    buffer_append_format(out, "%040x 10.0.0.%u:6379@16379 %s%s ", pod + 1, pod, is_own ? "myself," : "",
                         self->follows < 0 ? "master" : "slave");
    if (self->follows < 0) {
        buffer_append_text(out, "-");
    } else {
        buffer_append_format(out, "%040x", (unsigned) self->follows + 1);
    }
    buffer_append_text(out, " 0 0 1 connected");
    append_slots(model, pod, out);
    if (is_own) {
        append_open_slots(model, pod, out);
    }
    buffer_append_char(out, '\n');
}

/* The first n pods, and nobody else. */
static void look_at(const struct model *model, unsigned n, unsigned shards, struct look *look) {
    memset(look, 0, sizeof *look);
    look->view = (struct cluster_view){.pods = look->pods, .n = n, .shards = shards};
    for (unsigned i = 0; i < n; i++) {
        struct cluster_pod *pod = &look->pods[i];
        struct buffer text = BUFFER_EMPTY;
        for (unsigned k = 0; k < n; k++) {
            if (k == i || !model->pods[i].knows_nobody) {
                append_line(model, k, k == i, &text);
            }
        }
        snprintf(look->names[i], sizeof look->names[i], "p%u", i);
        snprintf(pod->host, sizeof pod->host, "10.0.0.%u", i);
        pod->name = look->names[i];
        pod->port = 6379;
        pod->keys = model->pods[i].keys;
        pod->is_link_up = !model->pods[i].is_out_of_sync;
        pod->is_state_ok = true;
        pod->slots_ok = CLUSTER_SLOTS;
        pod->answers = cluster_table_parse(&pod->table, buffer_span(&text));
        assert_true(pod->answers);
        buffer_finish(&text);
    }
}

static void look_away(struct look *look) {
    for (unsigned i = 0; i < look->view.n; i++) {
        cluster_table_finish(&look->pods[i].table);
    }
}

/* ---- what Redis does ---- */

static unsigned slots_of(const struct model *model, unsigned pod) {
    unsigned n = 0;
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        n += model->owner[slot] == (int) pod;
    }
    return n;
}

static void fail_over(struct model *model, unsigned heir) {
    int from = model->pods[heir].follows;
    if (from < 0 || model->pods[from].follows >= 0) {
        return;
    }
    for (unsigned i = 0; i < model->n; i++) {
        if (model->pods[i].follows == from) {
            model->pods[i].follows = (int) heir;
        }
    }
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) { /* marks are not replicated */
        model->importing[slot] = model->importing[slot] == from ? NOBODY : model->importing[slot];
        model->migrating[slot] = model->migrating[slot] == from ? NOBODY : model->migrating[slot];
        model->owner[slot] = model->owner[slot] == from ? (int) heir : model->owner[slot];
    }
    model->pods[heir].follows = NOBODY;
    model->pods[from].follows = (int) heir;
}

static void do_step(struct model *model, const struct cluster_step *step) {
    struct model_pod *pod = &model->pods[step->pod];
    switch (step->kind) {
    case CLUSTER_REPLICATE:
        assert_int_equal(slots_of(model, step->pod), 0); /* Redis refuses the rest */
        pod->follows = (int) strtoul(step->id + CLUSTER_ID_LENGTH - 8, NULL, 16) - 1;
        assert_int_not_equal(pod->follows, step->pod);
        break;
    case CLUSTER_FAILOVER:
        fail_over(model, step->pod);
        break;
    case CLUSTER_RESET:
        assert_true(pod->follows >= 0 && slots_of(model, step->pod) == 0);
        *pod = (struct model_pod){.follows = NOBODY, .knows_nobody = true};
        break;
    case CLUSTER_MEET:
        for (unsigned i = 0; i < model->n; i++) {
            model->pods[i].knows_nobody = false;
        }
        break;
    case CLUSTER_CLOSE:
        model->importing[step->number] =
            model->importing[step->number] == (int) step->pod ? NOBODY : model->importing[step->number];
        model->migrating[step->number] =
            model->migrating[step->number] == (int) step->pod ? NOBODY : model->migrating[step->number];
        break;
    case CLUSTER_SET_EPOCH:
    case CLUSTER_ADD_SLOTS:
    case CLUSTER_FORGET:
        fail_msg("no such step is planned of a formed cluster: %d", step->kind);
    }
}

/* The parts of a move, of which the first `parts` happen. */
static void move_slot(struct model *model, const struct scale_move *move, unsigned parts) {
    assert_int_equal(model->owner[move->slot], move->from);
    assert_true(model->pods[move->to].follows < 0);
    if (parts >= 1) {
        model->importing[move->slot] = move->to;
    }
    if (parts >= 2) {
        model->migrating[move->slot] = move->from;
        model->migrating_to[move->slot] = move->to;
    }
    if (parts >= 3) {
        model->owner[move->slot] = move->to;
        model->importing[move->slot] = NOBODY;
        model->moved[move->slot]++;
    }
    if (parts >= 4) {
        model->migrating[move->slot] = NOBODY;
    }
}

static void form(struct model *model, unsigned shards, unsigned replicas, unsigned pods) {
    model->n = pods;
    for (unsigned i = 0; i < pods; i++) {
        bool is_formed = i < shards * (1 + replicas);
        model->pods[i] = (struct model_pod){.follows = is_formed && i >= shards ? (int) (i % shards) : NOBODY};
    }
    for (unsigned shard = 0; shard < shards; shard++) {
        struct cluster_slots range = cluster_plan_slots(shard, shards);
        for (unsigned slot = range.first; slot <= range.last; slot++) {
            model->owner[slot] = (int) shard;
            model->importing[slot] = NOBODY;
            model->migrating[slot] = NOBODY;
            model->moved[slot] = 0;
        }
    }
}

static void check_slots(const struct model *model) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        assert_true(model->owner[slot] >= 0 && model->pods[model->owner[slot]].follows < 0);
    }
}

/* ---- turns ---- */

static void agents_act(struct model *model, unsigned shards) {
    struct look look;
    struct cluster_plan plan;
    look_at(model, model->n, shards, &look);
    cluster_plan_make(&plan, &look.view, CLUSTER_ACTOR_ALL);
    for (size_t i = 0; i < plan.n; i++) {
        do_step(model, &plan.steps[i]);
    }
    cluster_plan_finish(&plan);
    look_away(&look);
}

static void carry_out(struct model *model, const struct scale_plan *plan) {
    size_t steps = plan->n == 0 ? 0 : 1 + below(model, (unsigned) plan->n);
    for (size_t i = 0; i < steps; i++) {
        do_step(model, &plan->steps[i]);
    }
    size_t moves = plan->n_moves == 0 ? 0 : below(model, (unsigned) plan->n_moves + 1);
    for (size_t i = 0; i < moves; i++) {
        move_slot(model, &plan->moves[i], 4);
    }
    if (moves < plan->n_moves) {
        move_slot(model, &plan->moves[moves], below(model, 5));
    }
    check_slots(model);
}

static enum scale_verdict turn(struct model *model, const struct scale_goal *goal, bool fails_over) {
    struct look look;
    struct scale_plan plan;
    look_at(model, model->n, goal->shards, &look);
    scale_plan_make(&plan, &look.view, goal);
    if (plan.verdict == SCALE_REFUSED || (plan.n > 0) != (plan.verdict == SCALE_STEPS) ||
        (plan.n_moves > 0) != (plan.verdict == SCALE_MOVES)) {
        fail_msg("%s: verdict %d, %zu steps, %zu moves", plan.reason, plan.verdict, plan.n, plan.n_moves);
    }
    carry_out(model, &plan);
    if (fails_over && plan.verdict != SCALE_DONE && below(model, 4) == 0) {
        fail_over(model, below(model, model->n));
        check_slots(model);
    }
    enum scale_verdict verdict = plan.verdict;
    scale_plan_finish(&plan);
    look_away(&look);
    return verdict;
}

static void check_goal(const struct model *model, const struct scale_goal *goal) {
    unsigned staying = goal->shards * (1 + goal->replicas);
    unsigned owners = 0;
    for (unsigned i = 0; i < model->n; i++) {
        unsigned slots = slots_of(model, i);
        unsigned replicas = 0;
        for (unsigned k = 0; k < staying; k++) {
            replicas += model->pods[k].follows == (int) i;
        }
        owners += slots > 0;
        if (slots > 0) {
            assert_true(i < staying);
            assert_in_range(slots, CLUSTER_SLOTS / goal->shards, CLUSTER_SLOTS / goal->shards + 1);
            assert_int_equal(replicas, goal->replicas);
        }
    }
    assert_int_equal(owners, goal->shards);
}

/* What the agents of those that stay make of it, by the new configuration. */
static void check_agents_agree(const struct model *model, const struct scale_goal *goal) {
    struct look look;
    struct cluster_plan plan;
    look_at(model, goal->shards * (1 + goal->replicas), goal->shards, &look);
    cluster_plan_make(&plan, &look.view, CLUSTER_ACTOR_ALL);
    if (plan.verdict != CLUSTER_HEALTHY) {
        fail_msg("the agents: %s", plan.reason);
    }
    cluster_plan_finish(&plan);
    look_away(&look);
}

static void run(uint64_t seed) {
    static struct model model;
    model.seed = seed * 2654435761u + 1;
    unsigned shards = 3 + below(&model, 3);
    unsigned replicas = below(&model, 3);
    const struct scale_goal goal = {.shards = 3 + below(&model, 3), .replicas = below(&model, 3)};
    unsigned now = shards * (1 + replicas);
    unsigned then = goal.shards * (1 + goal.replicas);
    bool fails_over = below(&model, 2) == 0;
    bool has_agents = below(&model, 2) == 0;
    form(&model, shards, replicas, now > then ? now : then);
    for (unsigned i = below(&model, 6); i > 0; i--) {
        fail_over(&model, below(&model, model.n));
    }
    enum scale_verdict verdict = SCALE_WAIT;
    for (unsigned i = 0; verdict != SCALE_DONE; i++) {
        if (has_agents && below(&model, 2) == 0) {
            agents_act(&model, shards > goal.shards ? shards : goal.shards);
            check_slots(&model);
        }
        verdict = turn(&model, &goal, fails_over && i < 20);
        if (i == TURNS_MAX) {
            fail_msg("seed %u: %u shards of %u to %u of %u does not end", (unsigned) seed, shards, replicas + 1,
                     goal.shards, goal.replicas + 1);
        }
    }
    check_goal(&model, &goal);
    check_agents_agree(&model, &goal);
    for (unsigned slot = 0; !fails_over && slot < CLUSTER_SLOTS; slot++) {
        assert_true(model.moved[slot] <= 1);
    }
}

static void ends_in_the_goal_from_anywhere(void **state) {
    (void) state;
    for (unsigned i = 0; i < RUNS; i++) {
        run(i);
    }
}

/* ---- single answers ---- */

static struct model small;

static void expect(const struct look *look, const struct scale_goal *goal, enum scale_verdict verdict, const char *code,
                   const char *text) {
    struct scale_plan plan;
    scale_plan_make(&plan, &look->view, goal);
    bool has_code = code == NULL ? plan.code == NULL : plan.code != NULL && strcmp(plan.code, code) == 0;
    if (plan.verdict != verdict || !has_code || strstr(plan.reason, text) == NULL) {
        fail_msg("verdict %d, %s: %s", plan.verdict, plan.code == NULL ? "no code" : plan.code, plan.reason);
    }
    scale_plan_finish(&plan);
}

static void a_shard_more_takes_what_is_new_and_moves_nobody(void **state) {
    static const struct scale_goal goal = {.shards = 4, .replicas = 1};
    struct look look;
    struct scale_plan plan;
    (void) state;
    form(&small, 3, 1, 8);
    look_at(&small, 8, 4, &look);
    scale_plan_make(&plan, &look.view, &goal);
    assert_int_equal(plan.verdict, SCALE_STEPS);
    assert_int_equal(plan.n, 1); /* 7 follows 6 */
    assert_int_equal(plan.steps[0].pod, 7);
    do_step(&small, &plan.steps[0]);
    scale_plan_finish(&plan);
    look_away(&look);
    small.pods[7].is_out_of_sync = true;
    look_at(&small, 8, 4, &look);
    expect(&look, &goal, SCALE_WAIT, NULL, "replica p7 to be in sync");
    look_away(&look);
    small.pods[7].is_out_of_sync = false;
    look_at(&small, 8, 4, &look);
    scale_plan_make(&plan, &look.view, &goal);
    assert_int_equal(plan.verdict, SCALE_MOVES);
    assert_int_equal(plan.n_moves, 4096);
    for (size_t i = 0; i < plan.n_moves; i++) {
        assert_int_equal(plan.moves[i].to, 6);
    }
    scale_plan_finish(&plan);
    look_away(&look);
}

static void refuses_what_is_not_sound(void **state) {
    static const struct scale_goal four = {.shards = 4, .replicas = 1};
    static const struct scale_goal two = {.shards = 2, .replicas = 1};
    static const struct scale_goal three = {.shards = 3, .replicas = 1};
    static const struct scale_goal whatever = {.shards = 3, .replicas = 1, .accepts_degraded = true};
    struct look look;
    (void) state;
    form(&small, 3, 1, 6);
    look_at(&small, 6, 4, &look);
    expect(&look, &four, SCALE_REFUSED, NULL, "are 8 pods, and --peers has 6");
    expect(&look, &two, SCALE_REFUSED, SCALE_CODE_FEW, "nobody is elected");
    expect(&look, &three, SCALE_DONE, NULL, "3 shards with 1 replicas each");
    look.pods[5].is_link_up = false;
    expect(&look, &three, SCALE_WAIT, SCALE_CODE_DEGRADED, "p5 is not in sync");
    expect(&look, &whatever, SCALE_DONE, NULL, "");
    look.pods[5].answers = false;
    expect(&look, &three, SCALE_WAIT, SCALE_CODE_DEGRADED, "p5 does not answer");
    look.pods[5].answers = true;
    look.pods[2].answers = false;
    expect(&look, &whatever, SCALE_REFUSED, NULL, "name every pod");
    look_away(&look);
    small.migrating[5] = 0; /* to a node that nobody knows */
    small.migrating_to[5] = 20;
    look_at(&small, 6, 3, &look);
    expect(&look, &three, SCALE_REFUSED, NULL, "slot 5 is open at pod p0");
    look_away(&look);
    form(&small, 3, 1, 8);
    small.pods[6].keys = 7;
    small.pods[7].follows = 6;
    look_at(&small, 8, 4, &look);
    expect(&look, &four, SCALE_REFUSED, NULL, "p6 serves no slots but has 7 keys");
    look.pods[6].keys = 0;
    look.pods[1].libraries = 1;
    expect(&look, &four, SCALE_REFUSED, SCALE_CODE_FUNCTIONS, "libraries of functions");
    look_away(&look);
}

static void sees_others_at_work(void **state) {
    struct look before;
    struct look after;
    (void) state;
    form(&small, 3, 1, 6);
    look_at(&small, 6, 3, &before);
    look_at(&small, 6, 3, &after);
    assert_true(scale_plan_is_still(&before.view, &after.view));
    look_away(&after);
    small.owner[9] = 2;
    look_at(&small, 6, 3, &after);
    assert_false(scale_plan_is_still(&before.view, &after.view));
    look_away(&after);
    small.owner[9] = 0;
    small.importing[9] = 2;
    look_at(&small, 6, 3, &after);
    assert_false(scale_plan_is_still(&before.view, &after.view));
    look_away(&after);
    look_away(&before);
}

static void counts_what_would_come(void **state) {
    static const struct scale_goal goal = {.shards = 3, .replicas = 0};
    struct look look;
    struct scale_plan plan;
    char reason[CLUSTER_REASON_MAX] = "";
    (void) state;
    form(&small, 4, 0, 4);
    look_at(&small, 4, 3, &look);
    look.pods[3].keys = 4096;
    look.pods[3].dataset_bytes = 4096 * 300;
    scale_plan_make(&plan, &look.view, &goal);
    assert_int_equal(plan.n_moves, 4096);
    uint64_t *keys = memory_alloc_array(plan.n_moves, sizeof *keys);
    for (size_t i = 0; i < plan.n_moves; i++) {
        keys[i] = 1;
    }
    assert_true(scale_plan_fits(&plan, &look.view, keys, reason)); /* no maxmemory, no bound */
    for (unsigned i = 0; i < 3; i++) {
        look.pods[i].maxmemory = 1000000;
        look.pods[i].used_memory = 500000;
    }
    assert_true(scale_plan_fits(&plan, &look.view, keys, reason)); /* 409,800 each */
    look.pods[1].used_memory = 600000;
    assert_false(scale_plan_fits(&plan, &look.view, keys, reason));
    assert_non_null(strstr(reason, "p1 uses 600000 of 1000000"));
    memory_free(keys);
    scale_plan_finish(&plan);
    look_away(&look);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_in_the_goal_from_anywhere),
        cmocka_unit_test(a_shard_more_takes_what_is_new_and_moves_nobody),
        cmocka_unit_test(refuses_what_is_not_sound),
        cmocka_unit_test(sees_others_at_work),
        cmocka_unit_test(counts_what_would_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
