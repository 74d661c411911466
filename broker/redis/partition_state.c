/* See partition_state.h. The table at the end is the whole machine; each row's function is above it. */
#include "broker/redis/partition_state.h"

#include "base/check.h"

#include <string.h>

typedef unsigned (*step)(struct partition_state *self, const struct partition_input *input);

bool partition_gen_equal(const struct partition_gen *a, const struct partition_gen *b) {
    return memcmp(a->text, b->text, sizeof a->text) == 0;
}

static unsigned nothing(struct partition_state *self, const struct partition_input *input) {
    (void) self;
    (void) input;
    return 0;
}

/* ---- asking ---- */

static unsigned say_hello(struct partition_state *self) {
    if (self->asked) {
        return 0;
    }
    self->asked = true;
    self->asked_hearing = self->topic_on;
    return PARTITION_DO_HELLO;
}

static unsigned check_seq(struct partition_state *self) {
    if (self->checking) {
        return 0;
    }
    self->checking = true;
    self->asked_hearing = self->topic_on;
    return PARTITION_DO_CHECK;
}

/* ---- what links do ---- */

static void note_link(struct partition_state *self, enum partition_event event) {
    self->command_up = event == PARTITION_COMMAND_UP || (self->command_up && event != PARTITION_COMMAND_DOWN);
    self->pubsub_up = event == PARTITION_PUBSUB_UP || (self->pubsub_up && event != PARTITION_PUBSUB_DOWN);
    if (event == PARTITION_COMMAND_DOWN) {
        self->asked = false;
        self->checking = false;
    }
    if (event == PARTITION_PUBSUB_DOWN) {
        self->topic_on = false;
        self->missed = true;
    }
    if (event == PARTITION_TOPIC_CONFIRMED) {
        self->topic_on = true;
    }
}

static unsigned on_link(struct partition_state *self, const struct partition_input *input) {
    note_link(self, input->event);
    return 0;
}

static unsigned enter_suspect(struct partition_state *self) {
    self->phase = PARTITION_SUSPECT;
    self->introduced = false;
    return 0;
}

static unsigned on_command_cut(struct partition_state *self, const struct partition_input *input) {
    note_link(self, input->event);
    return enter_suspect(self);
}

static unsigned on_unfit(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    enter_suspect(self);
    return PARTITION_DO_DROP;
}

static unsigned open_pubsub_lost(struct partition_state *self, const struct partition_input *input) {
    note_link(self, input->event);
    self->phase = PARTITION_DEAF;
    return 0;
}

/* ---- leaving and coming ---- */

static unsigned closed_wanted(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    self->introduced = false;
    self->known = false; /* nothing was followed meanwhile: a gen of old says nothing */
    self->missed = false;
    self->phase = self->command_up ? PARTITION_JOINING : PARTITION_SUSPECT;
    return PARTITION_DO_SUBSCRIBE | (self->command_up ? say_hello(self) : 0);
}

static unsigned on_idle(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    self->phase = PARTITION_CLOSED;
    self->topic_on = false;
    self->asked_hearing = false; /* what is still out was sent in another life */
    self->introduced = false;
    return PARTITION_DO_UNSUBSCRIBE;
}

static unsigned suspect_command_up(struct partition_state *self, const struct partition_input *input) {
    note_link(self, input->event);
    return say_hello(self);
}

static unsigned reopen(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    self->phase = PARTITION_REOPENING;
    self->introduced = false;
    return say_hello(self);
}

/* ---- hello ---- */

/* The partition is introduced: what is missing until it is open? `hearing`: gen and seq were read after the topic was
 * confirmed. */
static unsigned go_on(struct partition_state *self, bool hearing) {
    self->introduced = true;
    if (self->topic_on && hearing) {
        self->phase = PARTITION_OPEN;
        self->missed = false;
        return 0;
    }
    self->phase = self->pubsub_up ? PARTITION_JOINING : PARTITION_DEAF;
    self->missed = self->missed || !self->pubsub_up;
    return self->topic_on ? check_seq(self) : 0;
}

/* The same gen: has anyone written what we did not see? */
static unsigned catch_up(const struct partition_state *self, const struct partition_input *input) {
    if (input->seq <= input->applied) {
        return 0;
    }
    return self->missed ? PARTITION_DO_ADOPT | PARTITION_DO_DOUBT : PARTITION_DO_EXPECT;
}

static unsigned hello_done(struct partition_state *self, const struct partition_input *input) {
    bool hearing = self->asked_hearing;
    self->asked = false;
    unsigned actions;
    if (self->known && partition_gen_equal(&self->gen, &input->gen)) {
        actions = catch_up(self, input);
    } else {
        actions = PARTITION_DO_ADOPT | (self->known ? PARTITION_DO_DOUBT : 0u);
        self->known = true;
        self->gen = input->gen;
    }
    return actions | go_on(self, hearing);
}

static unsigned hello_failed(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    self->asked = false;
    return 0;
}

static unsigned hello_again(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    return self->command_up ? say_hello(self) : 0;
}

/* ---- seq reads ---- */

static unsigned check_over(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    self->checking = false;
    return 0;
}

static bool is_ours(const struct partition_state *self, const struct partition_input *input) {
    return partition_gen_equal(&self->gen, &input->gen) && input->seq >= input->applied;
}

static unsigned open_seq_read(struct partition_state *self, const struct partition_input *input) {
    self->checking = false;
    return is_ours(self, input) ? catch_up(self, input) : reopen(self, input);
}

/* Gen and seq after the topic was confirmed: what was written before that, nobody has told us. */
static unsigned jump(const struct partition_state *self, const struct partition_input *input) {
    if (input->seq <= input->applied) {
        return 0;
    }
    return PARTITION_DO_ADOPT | (self->missed ? PARTITION_DO_DOUBT : 0u);
}

static unsigned joining_seq_read(struct partition_state *self, const struct partition_input *input) {
    bool hearing = self->asked_hearing;
    self->checking = false;
    if (!self->introduced) {
        return 0; /* a read of earlier; the hello that is out tells more */
    }
    if (!is_ours(self, input)) {
        return reopen(self, input);
    }
    unsigned actions = jump(self, input);
    return actions | go_on(self, hearing);
}

static unsigned deaf_seq_read(struct partition_state *self, const struct partition_input *input) {
    bool hearing = self->asked_hearing;
    self->checking = false;
    if (!is_ours(self, input)) {
        return reopen(self, input);
    }
    unsigned actions = jump(self, input);
    if (self->topic_on && hearing) {
        return actions | go_on(self, hearing);
    }
    return actions | (self->topic_on ? check_seq(self) : 0u);
}

static unsigned open_tick(struct partition_state *self, const struct partition_input *input) {
    (void) input;
    return check_seq(self);
}

static unsigned topic_then_check(struct partition_state *self, const struct partition_input *input) {
    note_link(self, input->event);
    return self->introduced ? check_seq(self) : 0;
}

/* ---- joining ---- */

static unsigned joining_pubsub_lost(struct partition_state *self, const struct partition_input *input) {
    note_link(self, input->event);
    if (self->introduced) {
        self->phase = PARTITION_DEAF;
    }
    return 0;
}

static unsigned joining_tick(struct partition_state *self, const struct partition_input *input) {
    if (!self->introduced) {
        return hello_again(self, input);
    }
    return self->topic_on ? check_seq(self) : 0;
}

static unsigned joining_other(struct partition_state *self, const struct partition_input *input) {
    return self->introduced ? reopen(self, input) : 0;
}

/* NULL: not in the table, a bug. */
static const step table[PARTITION_PHASES][PARTITION_EVENTS] = {
    [PARTITION_CLOSED] =
        {
            [PARTITION_WANTED] = closed_wanted,
            [PARTITION_COMMAND_UP] = on_link,
            [PARTITION_COMMAND_DOWN] = on_link,
            [PARTITION_PUBSUB_UP] = on_link,
            [PARTITION_PUBSUB_DOWN] = on_link,
            [PARTITION_TOPIC_CONFIRMED] = nothing, /* crossed the unsubscribe */
            [PARTITION_HELLO_DONE] = hello_failed, /* crossed the closing, as the next two */
            [PARTITION_HELLO_FAILED] = hello_failed,
            [PARTITION_SEQ_READ] = check_over,
            [PARTITION_SEQ_FAILED] = check_over,
            [PARTITION_OTHER_GEN] = nothing,
            [PARTITION_REFUSED] = nothing,
            [PARTITION_UNFIT] = nothing,
            [PARTITION_TICK] = nothing,
        },
    [PARTITION_JOINING] =
        {
            [PARTITION_WANTED] = nothing,
            [PARTITION_IDLE] = on_idle,
            [PARTITION_COMMAND_DOWN] = on_command_cut,
            [PARTITION_PUBSUB_UP] = on_link,
            [PARTITION_PUBSUB_DOWN] = joining_pubsub_lost,
            [PARTITION_TOPIC_CONFIRMED] = topic_then_check,
            [PARTITION_HELLO_DONE] = hello_done,
            [PARTITION_HELLO_FAILED] = hello_failed,
            [PARTITION_SEQ_READ] = joining_seq_read,
            [PARTITION_SEQ_FAILED] = check_over,
            [PARTITION_REFUSED] = joining_other,
            [PARTITION_OTHER_GEN] = joining_other,
            [PARTITION_UNFIT] = on_unfit,
            [PARTITION_TICK] = joining_tick,
        },
    [PARTITION_OPEN] =
        {
            [PARTITION_WANTED] = nothing,
            [PARTITION_IDLE] = on_idle,
            [PARTITION_COMMAND_DOWN] = on_command_cut,
            [PARTITION_PUBSUB_DOWN] = open_pubsub_lost,
            [PARTITION_TOPIC_CONFIRMED] = on_link,
            [PARTITION_SEQ_READ] = open_seq_read,
            [PARTITION_SEQ_FAILED] = check_over,
            [PARTITION_REFUSED] = reopen,
            [PARTITION_OTHER_GEN] = reopen,
            [PARTITION_UNFIT] = on_unfit,
            [PARTITION_TICK] = open_tick,
        },
    [PARTITION_REOPENING] =
        {
            [PARTITION_WANTED] = nothing,
            [PARTITION_IDLE] = on_idle,
            [PARTITION_COMMAND_DOWN] = on_command_cut,
            [PARTITION_PUBSUB_UP] = on_link,
            [PARTITION_PUBSUB_DOWN] = on_link,
            [PARTITION_TOPIC_CONFIRMED] = on_link,
            [PARTITION_HELLO_DONE] = hello_done,
            [PARTITION_HELLO_FAILED] = hello_failed,
            [PARTITION_SEQ_READ] = check_over,
            [PARTITION_SEQ_FAILED] = check_over,
            [PARTITION_REFUSED] = nothing,
            [PARTITION_OTHER_GEN] = nothing,
            [PARTITION_UNFIT] = on_unfit,
            [PARTITION_TICK] = hello_again,
        },
    [PARTITION_DEAF] =
        {
            [PARTITION_WANTED] = nothing,
            [PARTITION_IDLE] = on_idle,
            [PARTITION_COMMAND_DOWN] = on_command_cut,
            [PARTITION_PUBSUB_UP] = on_link,
            [PARTITION_PUBSUB_DOWN] = on_link,
            [PARTITION_TOPIC_CONFIRMED] = topic_then_check,
            [PARTITION_SEQ_READ] = deaf_seq_read,
            [PARTITION_SEQ_FAILED] = check_over,
            [PARTITION_REFUSED] = reopen,
            [PARTITION_OTHER_GEN] = reopen,
            [PARTITION_UNFIT] = on_unfit,
            [PARTITION_TICK] = open_tick,
        },
    [PARTITION_SUSPECT] =
        {
            [PARTITION_WANTED] = nothing,
            [PARTITION_IDLE] = on_idle,
            [PARTITION_COMMAND_UP] = suspect_command_up,
            [PARTITION_COMMAND_DOWN] = on_link,
            [PARTITION_PUBSUB_UP] = on_link,
            [PARTITION_PUBSUB_DOWN] = on_link,
            [PARTITION_TOPIC_CONFIRMED] = on_link,
            [PARTITION_HELLO_DONE] = hello_done,
            [PARTITION_HELLO_FAILED] = hello_failed,
            [PARTITION_SEQ_READ] = check_over,
            [PARTITION_SEQ_FAILED] = check_over,
            [PARTITION_REFUSED] = nothing,
            [PARTITION_OTHER_GEN] = nothing,
            [PARTITION_UNFIT] = on_unfit,
            [PARTITION_TICK] = hello_again,
        },
};

unsigned partition_state_step(struct partition_state *self, const struct partition_input *input) {
    step row = table[self->phase][input->event];
    check(row != NULL, "%s does not know the event %s", partition_phase_text(self->phase),
          partition_event_text(input->event));
    return row(self, input);
}

const char *partition_phase_text(enum partition_phase phase) {
    static const char *const texts[] = {"closed", "joining", "open", "reopening", "deaf", "suspect"};
    return texts[phase];
}

const char *partition_event_text(enum partition_event event) {
    static const char *const texts[] = {
        "wanted",          "idle",       "command_up",   "command_down", "pubsub_up",  "pubsub_down",
        "topic_confirmed", "hello_done", "hello_failed", "seq_read",     "seq_failed", "refused",
        "other_gen",       "unfit",      "tick"};
    return texts[event];
}
