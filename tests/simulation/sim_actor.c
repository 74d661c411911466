/* base/actor.h on a simulated process: the inbox is a queue, its thread is the process's turn. actor_new takes the
 * process that sim_process_enter named. */
#include "base/actor.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/simulation/sim_process.h"

#include <stdio.h>

struct actor {
    struct actor_callbacks callbacks;
    void *context;
    struct actor_limits limits;
    char name[32];
    struct sim_process *process;
    struct actor_message *first;
    struct actor_message **last;
    size_t messages;
    size_t bytes;
    bool is_stopped;
};

actor_t *actor_new(const char *name, const struct actor_callbacks *callbacks, void *context,
                   const struct actor_limits *limits, char *ret_error, size_t error_size) {
    struct sim_process *process = sim_process_current();
    check(process != NULL && process->actor == NULL, "an actor needs a process of its own");
    actor_t *self = memory_alloc_zero(sizeof *self);
    self->callbacks = *callbacks;
    self->context = context;
    self->limits = limits == NULL ? ACTOR_LIMITS_DEFAULT : *limits;
    self->process = process;
    self->last = &self->first;
    snprintf(self->name, sizeof self->name, "%s", name);
    process->actor = self;
    if (callbacks->on_start != NULL && !callbacks->on_start(context, self, ret_error, error_size)) {
        process->actor = NULL;
        memory_free(self);
        return NULL;
    }
    return self;
}

static enum actor_post_result post(actor_t *self, struct actor_message **message_p, bool control) {
    struct actor_message *message = *message_p;
    if (self->is_stopped) {
        return ACTOR_STOPPED;
    }
    if (!control && (self->messages >= self->limits.inbox_messages || self->bytes >= self->limits.inbox_bytes)) {
        return ACTOR_FULL;
    }
    *message_p = NULL;
    message->control = control;
    message->next = NULL;
    *self->last = message;
    self->last = &message->next;
    self->messages++;
    self->bytes += message->bytes;
    sim_process_wake(self->process);
    return ACTOR_POSTED;
}

enum actor_post_result actor_post(actor_t *self, struct actor_message **message_p) {
    return post(self, message_p, false);
}

enum actor_post_result actor_post_control(actor_t *self, struct actor_message **message_p) {
    return post(self, message_p, true);
}

static struct actor_message *pop(actor_t *self) {
    struct actor_message *message = self->first;
    if (message != NULL) {
        self->first = message->next;
        self->last = self->first == NULL ? &self->first : self->last;
        self->messages--;
        self->bytes -= message->bytes;
    }
    return message;
}

void sim_actor_take_inbox(actor_t *self) {
    struct actor_message *message = NULL;
    while ((message = pop(self)) != NULL) {
        self->callbacks.on_message(self->context, message);
    }
}

void sim_actor_flush(actor_t *self) {
    if (self->callbacks.on_flush != NULL) {
        self->callbacks.on_flush(self->context);
    }
}

static void drop_inbox(actor_t *self) {
    struct actor_message *message = NULL;
    while ((message = pop(self)) != NULL) {
        self->callbacks.drop_message(self->context, message);
    }
}

void sim_actor_abandon(actor_t *self) {
    drop_inbox(self);
    self->is_stopped = true;
}

void actor_ask_to_stop(actor_t *self) {
    (void) self;
}

/* Called outside of any turn. */
void actor_stop(actor_t *self, uint32_t deadline_ms) {
    (void) deadline_ms;
    struct sim_process *process = self->process;
    if (process->actor == NULL) {
        return;
    }
    sim_process_enter(process);
    if (!self->is_stopped) {
        sim_actor_take_inbox(self);
        sim_actor_flush(self);
    }
    self->is_stopped = true;
    if (self->callbacks.on_stop != NULL) {
        self->callbacks.on_stop(self->context);
    }
    sim_process_enter(NULL);
    process->actor = NULL;
    sim_process_run_out(process);
}

void actor_destroy(actor_t **self_p, uint32_t deadline_ms) {
    actor_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    actor_stop(self, deadline_ms);
    *self_p = NULL;
    drop_inbox(self);
    memory_free(self);
}

uv_loop_t *actor_loop(actor_t *self) {
    return &self->process->loop;
}

bool actor_is_on_thread(const actor_t *self) {
    return sim_process_current() == self->process;
}

const char *actor_name(const actor_t *self) {
    return self->name;
}

uint64_t actor_stalled_ms(const actor_t *self) {
    (void) self;
    return 0;
}

size_t actor_inbox_messages(const actor_t *self) {
    return self->messages;
}

size_t actor_inbox_bytes(const actor_t *self) {
    return self->bytes;
}
