/* See worker_pool.h. Workers stand in a list in the order in which they were asked last, so the first with the fewest
 * open calls is the one whose turn it is; a call stands in the list of its worker, so losing one costs what it has. */
#include "broker/backend/worker_pool.h"

#include "base/check.h"
#include "base/memory.h"

struct name_list {
    struct span *names; /* into bytes */
    size_t n;
    uint8_t *bytes;
};

struct worker {
    struct list_link link;
    struct list_link calls;
    uint8_t *routing;
    size_t routing_size;
    uint8_t *key;
    size_t key_size;
    bool has_delimiter;
    struct name_list methods;
    struct name_list repeatable;
    uint32_t n_calls;
    uint32_t misses; /* pings since it was heard */
    uint64_t pinged_ms;
};

struct worker_pool {
    struct worker_pool_options options;
    struct list_link workers;
    uint32_t n_workers;
    uint32_t n_calls;
};

/* ---- names ---- */

bool worker_pattern_matches(struct span pattern, struct span method) {
    if (pattern.size > 0 && pattern.data[pattern.size - 1] == '*') {
        size_t size = pattern.size - 1;
        return method.size >= size && (size == 0 || memcmp(method.data, pattern.data, size) == 0);
    }
    return span_equal(pattern, method);
}

static bool list_has(const struct name_list *list, struct span method) {
    for (size_t i = 0; i < list->n; i++) {
        if (worker_pattern_matches(list->names[i], method)) {
            return true;
        }
    }
    return false;
}

static void free_names(struct name_list *list) {
    memory_free(list->names);
    memory_free(list->bytes);
    *list = (struct name_list){.n = 0};
}

static void copy_names(struct name_list *list, const struct span *names, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += names[i].size;
    }
    free_names(list);
    if (n == 0) {
        return;
    }
    list->names = memory_alloc_array(n, sizeof *list->names);
    list->bytes = memory_alloc(bytes + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(list->bytes + at, names[i].data, names[i].size);
        list->names[i] = span_of(list->bytes + at, names[i].size);
        at += names[i].size;
    }
    list->n = n;
}

/* ---- workers ---- */

static worker_t *find(const worker_pool_t *self, struct span routing) {
    list_for_each (link, &self->workers) {
        worker_t *worker = list_entry(link, worker_t, link);
        if (span_equal(worker_routing(worker), routing)) {
            return worker;
        }
    }
    return NULL;
}

static uint8_t *copy(struct span bytes) {
    uint8_t *copied = memory_alloc(bytes.size + 1);
    if (bytes.size > 0) {
        memcpy(copied, bytes.data, bytes.size);
    }
    return copied;
}

static worker_t *add(worker_pool_t *self, const struct worker_registration *registration, uint64_t now_ms) {
    worker_t *worker = memory_alloc_zero(sizeof *worker);
    worker->routing = copy(registration->routing);
    worker->routing_size = registration->routing.size;
    worker->key = copy(registration->key);
    worker->key_size = registration->key.size;
    worker->pinged_ms = now_ms;
    list_init(&worker->calls);
    list_init(&worker->link);
    list_push_back(&self->workers, &worker->link);
    self->n_workers++;
    return worker;
}

static void free_worker(worker_pool_t *self, worker_t *worker) {
    check(worker->n_calls == 0, "a worker with calls");
    list_remove(&worker->link);
    self->n_workers--;
    free_names(&worker->methods);
    free_names(&worker->repeatable);
    memory_free(worker->routing);
    memory_free(worker->key);
    memory_free(worker);
}

enum error_code worker_pool_register(worker_pool_t *self, const struct worker_registration *registration,
                                     uint64_t now_ms) {
    worker_t *worker = find(self, registration->routing);
    if (worker == NULL && registration->n_methods == 0) {
        return ERROR_NONE;
    }
    if (worker == NULL && self->n_workers >= self->options.workers_max) {
        return ERROR_LIMIT_EXCEEDED;
    }
    if (worker == NULL) {
        worker = add(self, registration, now_ms);
    }
    worker->has_delimiter = registration->has_delimiter;
    worker->misses = 0;
    copy_names(&worker->methods, registration->methods, registration->n_methods);
    copy_names(&worker->repeatable, registration->repeatable, registration->n_repeatable);
    if (registration->n_methods == 0 && worker->n_calls == 0) {
        free_worker(self, worker);
    }
    return ERROR_NONE;
}

bool worker_pool_serves(const worker_pool_t *self, struct span method) {
    list_for_each (link, &self->workers) {
        if (list_has(&list_entry(link, worker_t, link)->methods, method)) {
            return true;
        }
    }
    return false;
}

/* ---- calls ---- */

static void take_from_worker(worker_pool_t *self, struct worker_call *call) {
    list_remove(&call->link);
    call->worker->n_calls--;
    call->worker = NULL;
    self->n_calls--;
}

/* One that has drained is gone when its last call is. */
static void end_call(worker_pool_t *self, struct worker_call *call) {
    worker_t *worker = call->worker;
    take_from_worker(self, call);
    if (worker->n_calls == 0 && worker->methods.n == 0) {
        free_worker(self, worker);
    }
}

static bool takes(const worker_pool_t *self, const worker_t *worker, const struct worker_call *call) {
    return list_has(&worker->methods, call->method) &&
           (self->options.may == NULL || self->options.may(self->options.context, worker, call));
}

/* NULL: *ret_code says why. */
static worker_t *choose(const worker_pool_t *self, const struct worker_call *call, enum error_code *ret_code) {
    worker_t *best = NULL;
    *ret_code = ERROR_NOT_AVAILABLE;
    list_for_each (link, &self->workers) {
        worker_t *worker = list_entry(link, worker_t, link);
        if (!takes(self, worker, call)) {
            continue;
        }
        *ret_code = ERROR_TOO_MANY_REQUESTS;
        if (worker->n_calls < self->options.worker_calls_max && (best == NULL || worker->n_calls < best->n_calls)) {
            best = worker;
        }
    }
    return best;
}

static void lose(worker_pool_t *self, worker_t *worker);

/* Asks worker after worker until one can be reached. */
static enum error_code assign(worker_pool_t *self, struct worker_call *call) {
    for (;;) {
        enum error_code code;
        worker_t *worker = choose(self, call, &code);
        if (worker == NULL) {
            return code;
        }
        if (self->options.send(self->options.context, worker, call)) {
            call->worker = worker;
            list_push_back(&worker->calls, &call->link);
            worker->n_calls++;
            self->n_calls++;
            list_remove(&worker->link);
            list_push_back(&self->workers, &worker->link);
            return ERROR_NONE;
        }
        lose(self, worker);
    }
}

enum error_code worker_pool_call(worker_pool_t *self, struct worker_call *call) {
    list_init(&call->link);
    call->worker = NULL;
    call->was_repeated = false;
    if (!worker_pool_serves(self, call->method)) {
        return ERROR_NOT_AVAILABLE;
    }
    return self->n_calls >= self->options.calls_max ? ERROR_TOO_MANY_REQUESTS : assign(self, call);
}

/* What it had and may be repeated goes to another, once; the rest fails. */
static void lose(worker_pool_t *self, worker_t *worker) {
    struct list_link orphans;
    list_init(&orphans);
    self->options.on_lost(self->options.context, worker);
    list_for_each_safe (link, &worker->calls) {
        struct worker_call *call = list_entry(link, struct worker_call, link);
        call->may_be_repeated |= list_has(&worker->repeatable, call->method);
        take_from_worker(self, call);
        list_push_back(&orphans, &call->link);
    }
    free_worker(self, worker);
    list_for_each_safe (link, &orphans) {
        struct worker_call *call = list_entry(link, struct worker_call, link);
        bool may = call->may_be_repeated && !call->was_repeated;
        list_remove(&call->link);
        call->was_repeated = true;
        if (!may || assign(self, call) != ERROR_NONE) {
            self->options.on_failed(self->options.context, call, ERROR_WORKER_LOST);
        }
    }
}

bool worker_pool_done(worker_pool_t *self, struct span routing, struct worker_call *call) {
    if (call->worker == NULL || !span_equal(worker_routing(call->worker), routing)) {
        return false;
    }
    call->worker->misses = 0;
    end_call(self, call);
    return true;
}

void worker_pool_cancel(worker_pool_t *self, struct worker_call *call) {
    end_call(self, call);
}

bool worker_pool_heard(worker_pool_t *self, struct span routing) {
    worker_t *worker = find(self, routing);
    if (worker != NULL) {
        worker->misses = 0;
    }
    return worker != NULL;
}

/* ---- time ---- */

/* False: it is lost. */
static bool ping(worker_pool_t *self, worker_t *worker, uint64_t now_ms) {
    if (now_ms - worker->pinged_ms < self->options.ping_ms) {
        return true;
    }
    if (worker->misses >= self->options.misses_max) {
        return false;
    }
    worker->pinged_ms = now_ms;
    worker->misses++;
    return self->options.ping(self->options.context, worker);
}

static void fail(worker_pool_t *self, struct worker_call *call, enum error_code code) {
    end_call(self, call);
    self->options.on_failed(self->options.context, call, code);
}

/* Ends with the worker where that was its last call and it drains. */
static void fail_overdue(worker_pool_t *self, worker_t *worker, uint64_t now_ms) {
    uint32_t n = worker->n_calls;
    for (struct list_link *link = worker->calls.next; n > 0; n--) {
        struct worker_call *call = list_entry(link, struct worker_call, link);
        link = link->next;
        if (call->deadline_ms <= now_ms) {
            fail(self, call, ERROR_OUTCOME_UNKNOWN);
        }
    }
}

void worker_pool_tick(worker_pool_t *self, uint64_t now_ms) {
    uint32_t n = self->n_workers;
    for (struct list_link *link = self->workers.next; n > 0 && link != &self->workers; n--) {
        worker_t *worker = list_entry(link, worker_t, link);
        link = link->next;
        fail_overdue(self, worker, now_ms);
    }
    for (;;) {
        worker_t *dead = NULL;
        list_for_each (link, &self->workers) {
            worker_t *worker = list_entry(link, worker_t, link);
            if (!ping(self, worker, now_ms)) {
                dead = worker;
                break;
            }
        }
        if (dead == NULL) {
            return;
        }
        lose(self, dead);
    }
}

void worker_pool_drop_unless(worker_pool_t *self, bool (*may)(void *context, struct span key), void *context) {
    for (;;) {
        worker_t *barred = NULL;
        list_for_each (link, &self->workers) {
            worker_t *worker = list_entry(link, worker_t, link);
            if (!may(context, worker_key(worker))) {
                barred = worker;
                break;
            }
        }
        if (barred == NULL) {
            return;
        }
        lose(self, barred);
    }
}

void worker_pool_fail_all(worker_pool_t *self, enum error_code code) {
    while (!list_is_empty(&self->workers)) {
        worker_t *worker = list_entry(self->workers.next, worker_t, link);
        free_names(&worker->methods);
        if (worker->n_calls == 0) {
            free_worker(self, worker);
            continue;
        }
        fail(self, list_entry(worker->calls.next, struct worker_call, link), code);
    }
}

/* ---- life ---- */

worker_pool_t *worker_pool_new(const struct worker_pool_options *options) {
    worker_pool_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    list_init(&self->workers);
    return self;
}

void worker_pool_destroy(worker_pool_t **self_p) {
    worker_pool_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    list_for_each_safe (link, &self->workers) {
        free_worker(self, list_entry(link, worker_t, link));
    }
    memory_free(self);
    *self_p = NULL;
}

uint32_t worker_pool_workers(const worker_pool_t *self) {
    return self->n_workers;
}

uint32_t worker_pool_calls(const worker_pool_t *self) {
    return self->n_calls;
}

struct span worker_routing(const worker_t *worker) {
    return span_of(worker->routing, worker->routing_size);
}

struct span worker_key(const worker_t *worker) {
    return span_of(worker->key, worker->key_size);
}

bool worker_has_delimiter(const worker_t *worker) {
    return worker->has_delimiter;
}

uint32_t worker_open_calls(const worker_t *worker) {
    return worker->n_calls;
}
