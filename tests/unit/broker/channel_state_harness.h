/* The channel's state machine: events in, actions looked at. */
#ifndef CALLBOARD_TESTS_CHANNEL_STATE_HARNESS_H
#define CALLBOARD_TESTS_CHANNEL_STATE_HARNESS_H

#include "broker/channel_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct channel_state channel;
static struct channel_actions actions;

static inline struct position at(const char *epoch, uint64_t offset) {
    return (struct position){epoch_from(span_of_text(epoch)), offset};
}

static inline void step(struct channel_event event) {
    channel_state_step(&channel, &event, &actions);
}

static inline void publication(const char *epoch, uint64_t offset) {
    step((struct channel_event){
        .kind = CHANNEL_ON_PUBLICATION, .wanted = true, .position = at(epoch, offset), .keep_room = true});
}

static inline void subscribe(bool needs_load) {
    step((struct channel_event){.kind = CHANNEL_ON_SUBSCRIBE, .wanted = true, .needs_load = needs_load});
}

static inline void loaded(const char *epoch, uint64_t top, uint64_t first, uint64_t last) {
    step((struct channel_event){
        .kind = CHANNEL_ON_LOADED, .wanted = true, .position = at(epoch, top), .first = first, .last = last});
}

static inline void loaded_with_gap(const char *epoch, uint64_t top, uint64_t first, uint64_t last) {
    step((struct channel_event){.kind = CHANNEL_ON_LOADED,
                                .wanted = true,
                                .position = at(epoch, top),
                                .first = first,
                                .last = last,
                                .gap = true});
}

static inline void load_failed(bool wanted) {
    step((struct channel_event){.kind = CHANNEL_ON_LOAD_FAILED, .wanted = wanted});
}

static inline void doubt(void) {
    step((struct channel_event){.kind = CHANNEL_ON_DOUBT, .wanted = true});
}

static inline void reload(void) {
    step((struct channel_event){.kind = CHANNEL_ON_RELOAD, .wanted = true});
}

static inline void last_left(void) {
    step((struct channel_event){.kind = CHANNEL_ON_LAST_LEFT});
}

static inline void time_passed(bool wanted) {
    step((struct channel_event){.kind = CHANNEL_ON_TIME, .wanted = wanted});
}

/* expect(n, kinds…): exactly these actions, in this order. */
static inline void expect(unsigned n, ...) {
    va_list kinds;
    va_start(kinds, n);
    assert_int_equal(actions.n, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(actions.list[i].kind, va_arg(kinds, int));
    }
    va_end(kinds);
}

static inline void expect_run(unsigned i, uint64_t first, uint64_t last) {
    assert_int_equal(actions.list[i].first, first);
    assert_int_equal(actions.list[i].last, last);
}

static inline void expect_position(unsigned i, const char *epoch, uint64_t offset) {
    struct position expected = at(epoch, offset);
    assert_true(position_equal(&actions.list[i].position, &expected));
}

static inline void expect_state(enum channel_phase phase, const char *epoch, uint64_t offset) {
    struct position expected = at(epoch, offset);
    assert_string_equal(channel_phase_name(channel.phase), channel_phase_name(phase));
    assert_string_equal(channel.cursor.epoch.text, expected.epoch.text);
    assert_int_equal(channel.cursor.offset, offset);
}

static inline void be_absent(void) {
    channel = (struct channel_state){.phase = CHANNEL_ABSENT};
}

static inline void be_live(const char *epoch, uint64_t offset) {
    be_absent();
    subscribe(true);
    loaded(epoch, offset, 0, 0);
}

static inline void be_healing(const char *epoch, uint64_t offset) {
    be_live(epoch, offset);
    doubt();
}

static inline void be_idle(const char *epoch, uint64_t offset) {
    be_live(epoch, offset);
    last_left();
}

#endif
