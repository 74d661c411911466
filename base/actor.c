/* The inbox is a stack that producers push onto with one compare-and-swap; the actor takes it whole and turns it round,
 * so messages of one producer stay in order. Only the push onto an empty stack wakes the loop: one wake-up a batch. The
 * loop is woken by an eventfd of ours: whoever wakes before uv_async_send has returned in the other thread spins until
 * it has, which on a full machine cost more than the messages.
 *
 *   post ──▶ head ◀── newest … oldest        on_wake: take all, reverse, handle one by one
 *
 * Stopping is the delicate part: nobody may write to a closed descriptor. Producers are counted while they are
 * inside actor_post; the actor first refuses new ones, waits for those inside, takes what they left, then closes.
 *
 *   RUNNING ──actor_stop──▶ asked ──on_wake──▶ inbox closed, last batch handled ──▶ on_stop ──▶ loop empty ──▶ ended
 *
 * Failures: the thread or the loop cannot be made, or on_start refuses → actor_new returns NULL with the reason.
 * An actor that does not end in time is stuck in a handler: abort with its name, a restart is better than a leak of a
 * thread that still owns sockets. */
#include "base/actor.h"

#include "base/check.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    /* The loop comes round at least this often, so that a sleeping actor can be told from a stuck one. */
    LIVENESS_INTERVAL_MS = 200,
    ERROR_SIZE = 256
};

struct actor {
    struct actor_callbacks callbacks;
    void *context;
    struct actor_limits limits;
    char name[32];

    /* Producers' side. */
    _Atomic(struct actor_message *) head;
    atomic_size_t inbox_messages;
    atomic_size_t inbox_bytes;
    atomic_uint posting; /* producers inside actor_post */
    atomic_bool closed;  /* posts are refused */
    atomic_bool stop_asked;
    atomic_uint_fast64_t last_turn_ms;

    /* The thread's side. */
    uv_loop_t loop;
    int wake_descriptor; /* eventfd */
    uv_poll_t wake;
    uv_prepare_t prepare;
    uv_timer_t liveness;
    uv_thread_t thread;     /* the owner's, to join */
    uv_thread_t own_thread; /* the same, written by the thread itself before anyone can ask */

    /* Start and end, seen by the owner. */
    uv_mutex_t mutex;
    uv_cond_t changed;
    bool start_done;
    bool start_ok;
    bool ended;
    bool joined;
    char error[ERROR_SIZE];
};

static uint64_t now_ms(void) {
    return uv_hrtime() / 1000000;
}

/* --- posting: any thread --- */

static bool charge(actor_t *self, const struct actor_message *message) {
    size_t messages = atomic_fetch_add_explicit(&self->inbox_messages, 1, memory_order_relaxed) + 1;
    size_t bytes = atomic_fetch_add_explicit(&self->inbox_bytes, message->bytes, memory_order_relaxed) + message->bytes;
    return message->control != 0 || (messages <= self->limits.inbox_messages && bytes <= self->limits.inbox_bytes);
}

static void release(actor_t *self, const struct actor_message *message) {
    atomic_fetch_sub_explicit(&self->inbox_messages, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&self->inbox_bytes, message->bytes, memory_order_relaxed);
}

static void wake(actor_t *self) {
    check(eventfd_write(self->wake_descriptor, 1) == 0, "waking actor %s: %s", self->name, strerror(errno));
}

static void push(actor_t *self, struct actor_message *message) {
    struct actor_message *newest = atomic_load_explicit(&self->head, memory_order_relaxed);
    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&self->head, &newest, message, memory_order_release,
                                                    memory_order_relaxed));
    if (newest == NULL) {
        wake(self);
    }
}

static enum actor_post_result post(actor_t *self, struct actor_message **message_p, bool control) {
    struct actor_message *message = *message_p;
    check(message->bytes >= sizeof(struct actor_message), "a message is charged with %zu bytes", message->bytes);
    message->control = control;
    enum actor_post_result result = ACTOR_POSTED;
    atomic_fetch_add(&self->posting, 1); /* sequentially consistent against close_inbox */
    if (atomic_load(&self->closed)) {
        result = ACTOR_STOPPED;
    } else if (!charge(self, message)) {
        release(self, message);
        result = ACTOR_FULL;
    } else {
        *message_p = NULL;
        push(self, message);
    }
    atomic_fetch_sub(&self->posting, 1);
    return result;
}

enum actor_post_result actor_post(actor_t *self, struct actor_message **message_p) {
    return post(self, message_p, false);
}

enum actor_post_result actor_post_control(actor_t *self, struct actor_message **message_p) {
    return post(self, message_p, true);
}

/* --- the turn: the actor's thread --- */

static struct actor_message *take_all(actor_t *self) {
    struct actor_message *newest = atomic_exchange_explicit(&self->head, NULL, memory_order_acquire);
    struct actor_message *oldest = NULL;
    while (newest != NULL) {
        struct actor_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void handle_all(actor_t *self) {
    struct actor_message *message = take_all(self);
    while (message != NULL) {
        struct actor_message *next = message->next;
        release(self, message);
        self->callbacks.on_message(self->context, message);
        message = next;
    }
}

static void close_inbox(actor_t *self) {
    atomic_store(&self->closed, true);
    while (atomic_load(&self->posting) != 0) {
        sched_yield();
    }
}

static void close_own_handles(actor_t *self) {
    uv_close((uv_handle_t *) &self->wake, NULL);
    close(self->wake_descriptor); /* out of the loop's epoll set already, and no producer is inside */
    uv_close((uv_handle_t *) &self->prepare, NULL);
    uv_close((uv_handle_t *) &self->liveness, NULL);
}

static void flush(actor_t *self) {
    if (self->callbacks.on_flush != NULL) {
        self->callbacks.on_flush(self->context);
    }
}

static void on_wake(uv_poll_t *poll, int status, int events) {
    (void) status;
    (void) events;
    actor_t *self = poll->data;
    eventfd_t ignored;
    eventfd_read(self->wake_descriptor, &ignored); /* before the inbox is taken: what comes later wakes again */
    handle_all(self);
    if (!atomic_load(&self->stop_asked)) {
        return;
    }
    close_inbox(self);
    handle_all(self);
    flush(self);
    if (self->callbacks.on_stop != NULL) {
        self->callbacks.on_stop(self->context);
    }
    close_own_handles(self);
}

static void note_turn(actor_t *self) {
    atomic_store_explicit(&self->last_turn_ms, now_ms(), memory_order_relaxed);
}

static void on_prepare(uv_prepare_t *prepare) {
    actor_t *self = prepare->data;
    note_turn(self);
    flush(self);
}

/* Nothing to do: waking the loop is all, on_prepare follows. */
static void on_liveness(uv_timer_t *timer) {
    (void) timer;
}

static void tell_owner_started(actor_t *self, bool ok) {
    uv_mutex_lock(&self->mutex);
    self->start_done = true;
    self->start_ok = ok;
    uv_cond_signal(&self->changed);
    uv_mutex_unlock(&self->mutex);
}

static void run_thread(void *argument) {
    actor_t *self = argument;
    self->own_thread = uv_thread_self();
    char short_name[16];
    snprintf(short_name, sizeof(short_name), "%.15s", self->name);
    pthread_setname_np(pthread_self(), short_name);
    note_turn(self);
    char error[ERROR_SIZE] = "";
    bool ok = self->callbacks.on_start == NULL || self->callbacks.on_start(self->context, self, error, sizeof(error));
    if (!ok) {
        close_inbox(self);
        close_own_handles(self);
    }
    memcpy(self->error, error, sizeof(error));
    tell_owner_started(self, ok);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    uv_mutex_lock(&self->mutex);
    self->ended = true;
    uv_cond_signal(&self->changed);
    uv_mutex_unlock(&self->mutex);
}

/* --- the owner: life cycle --- */

static bool open_loop(actor_t *self, char *ret_error, size_t error_size) {
    int status = uv_loop_init(&self->loop);
    if (status != 0) {
        snprintf(ret_error, error_size, "actor %s: no event loop: %s", self->name, uv_strerror(status));
        return false;
    }
    self->wake_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->wake_descriptor < 0) {
        snprintf(ret_error, error_size, "actor %s: no wake-up descriptor: %s", self->name, strerror(errno));
        check(uv_loop_close(&self->loop) == 0, "an empty loop closes");
        return false;
    }
    status = uv_poll_init(&self->loop, &self->wake, self->wake_descriptor);
    check(status == 0, "polling an eventfd: %s", uv_strerror(status));
    uv_prepare_init(&self->loop, &self->prepare);
    uv_timer_init(&self->loop, &self->liveness);
    self->wake.data = self;
    self->prepare.data = self;
    uv_poll_start(&self->wake, UV_READABLE, on_wake);
    uv_prepare_start(&self->prepare, on_prepare);
    uv_timer_start(&self->liveness, on_liveness, LIVENESS_INTERVAL_MS, LIVENESS_INTERVAL_MS);
    return true;
}

/* Signals are for the main thread: an actor blocks all of them. */
static int create_thread(actor_t *self) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = uv_thread_create(&self->thread, run_thread, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static void close_loop(actor_t *self) {
    int status = uv_loop_close(&self->loop);
    check(status == 0, "actor %s left handles in its loop: %s", self->name, uv_strerror(status));
}

static void free_actor(actor_t *self) {
    struct actor_message *message = take_all(self);
    while (message != NULL) {
        struct actor_message *next = message->next;
        self->callbacks.drop_message(self->context, message);
        message = next;
    }
    uv_cond_destroy(&self->changed);
    uv_mutex_destroy(&self->mutex);
    memory_free(self);
}

static void join(actor_t *self) {
    uv_thread_join(&self->thread);
    self->joined = true;
    close_loop(self);
}

static bool wait_for_start(actor_t *self) {
    uv_mutex_lock(&self->mutex);
    while (!self->start_done) {
        uv_cond_wait(&self->changed, &self->mutex);
    }
    bool ok = self->start_ok;
    uv_mutex_unlock(&self->mutex);
    return ok;
}

actor_t *actor_new(const char *name, const struct actor_callbacks *callbacks, void *context,
                   const struct actor_limits *limits, char *ret_error, size_t error_size) {
    check(callbacks->on_message != NULL && callbacks->drop_message != NULL, "actor %s has no handlers", name);
    actor_t *self = memory_alloc_zero(sizeof(*self));
    self->callbacks = *callbacks;
    self->context = context;
    self->limits = limits == NULL ? ACTOR_LIMITS_DEFAULT : *limits;
    snprintf(self->name, sizeof(self->name), "%s", name);
    check(uv_mutex_init(&self->mutex) == 0 && uv_cond_init(&self->changed) == 0, "mutex and condition");
    if (!open_loop(self, ret_error, error_size)) {
        free_actor(self);
        return NULL;
    }
    int status = create_thread(self);
    if (status != 0) {
        snprintf(ret_error, error_size, "actor %s: no thread: %s", self->name, uv_strerror(status));
        close_own_handles(self);
        uv_run(&self->loop, UV_RUN_DEFAULT);
        close_loop(self);
        free_actor(self);
        return NULL;
    }
    if (!wait_for_start(self)) {
        snprintf(ret_error, error_size, "%s", self->error[0] == '\0' ? "the actor refused to start" : self->error);
        join(self);
        free_actor(self);
        return NULL;
    }
    return self;
}

static bool wait_for_end(actor_t *self, uint32_t deadline_ms) {
    uint64_t deadline = uv_hrtime() + (uint64_t) deadline_ms * 1000000;
    uv_mutex_lock(&self->mutex);
    uint64_t now = uv_hrtime();
    while (!self->ended && now < deadline) {
        uv_cond_timedwait(&self->changed, &self->mutex, deadline - now);
        now = uv_hrtime();
    }
    bool ended = self->ended;
    uv_mutex_unlock(&self->mutex);
    return ended;
}

void actor_ask_to_stop(actor_t *self) {
    /* The actor may close `wake` as soon as it sees the flag: hold it off as a producer does. */
    atomic_fetch_add(&self->posting, 1);
    if (!atomic_load(&self->closed)) {
        atomic_store(&self->stop_asked, true);
        wake(self);
    }
    atomic_fetch_sub(&self->posting, 1);
}

void actor_stop(actor_t *self, uint32_t deadline_ms) {
    if (self->joined) {
        return;
    }
    actor_ask_to_stop(self);
    check(wait_for_end(self, deadline_ms), "actor %s did not stop within %u ms", self->name, deadline_ms);
    join(self);
}

void actor_destroy(actor_t **self_p, uint32_t deadline_ms) {
    actor_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    actor_stop(self, deadline_ms);
    *self_p = NULL; /* only now: on_stop may have read the owner's pointer */
    free_actor(self);
}

uv_loop_t *actor_loop(actor_t *self) {
    return &self->loop;
}

bool actor_is_on_thread(const actor_t *self) {
    uv_thread_t current = uv_thread_self();
    return uv_thread_equal(&self->own_thread, &current) != 0;
}

const char *actor_name(const actor_t *self) {
    return self->name;
}

uint64_t actor_stalled_ms(const actor_t *self) {
    uint64_t last = atomic_load_explicit(&self->last_turn_ms, memory_order_relaxed);
    uint64_t now = now_ms();
    return now > last ? now - last : 0;
}

size_t actor_inbox_messages(const actor_t *self) {
    return atomic_load_explicit(&self->inbox_messages, memory_order_relaxed);
}

size_t actor_inbox_bytes(const actor_t *self) {
    return atomic_load_explicit(&self->inbox_bytes, memory_order_relaxed);
}
