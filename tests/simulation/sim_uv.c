/* libuv as far as a shard and its engine use it, over virtual time and the simulated network. What is not here does not
 * link: a new call has to be modelled first. A handle's own fields hold its state, as in libuv. */
#include "base/check.h"
#include "base/memory.h"
#include "tests/simulation/sim_network.h"
#include "tests/simulation/sim_process.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { ACTIVE = 1, CLOSING = 2, HANDLES_MAX = 256 };

static struct list_link *link_of(uv_handle_t *handle) {
    return (struct list_link *) (void *) &handle->handle_queue;
}

static uv_handle_t *handle_of(struct list_link *link) {
    return (uv_handle_t *) (void *) ((char *) link - offsetof(uv_handle_t, handle_queue));
}

static struct sim_process *process_of(const uv_loop_t *loop) {
    return loop->data;
}

static void init(uv_loop_t *loop, uv_handle_t *handle, uv_handle_type type) {
    handle->loop = loop;
    handle->type = type;
    handle->flags = 0;
    handle->close_cb = NULL;
    list_init(link_of(handle));
    list_push_back(&process_of(loop)->handles, link_of(handle));
}

/* ---- handles ---- */

int uv_is_active(const uv_handle_t *handle) {
    return (handle->flags & ACTIVE) != 0;
}

int uv_is_closing(const uv_handle_t *handle) {
    return (handle->flags & CLOSING) != 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb close_cb) {
    check((handle->flags & CLOSING) == 0, "a handle is closed twice");
    handle->flags = CLOSING;
    handle->close_cb = close_cb;
    list_remove(link_of(handle));
    list_push_back(&process_of(handle->loop)->closing, link_of(handle));
}

void sim_uv_close_handles(struct sim_process *self) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &self->closing);
    struct list_link *link = NULL;
    while ((link = list_pop_front(&now)) != NULL) {
        uv_handle_t *handle = handle_of(link);
        if (handle->close_cb != NULL) {
            handle->close_cb(handle);
        }
    }
}

bool sim_uv_is_empty(const struct sim_process *self) {
    return list_is_empty(&self->handles) && list_is_empty(&self->closing) && list_is_empty(&self->requests);
}

/* ---- time ---- */

static uint64_t now_ms(void) {
    return sim_now_us() / MS;
}

uint64_t uv_now(const uv_loop_t *loop) {
    (void) loop;
    return now_ms();
}

void uv_update_time(uv_loop_t *loop) {
    (void) loop;
}

uint64_t uv_hrtime(void) {
    return sim_now_us() * 1000;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer) {
    init(loop, (uv_handle_t *) timer, UV_TIMER);
    timer->timer_cb = NULL;
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat) {
    if ((timer->flags & CLOSING) != 0) {
        return UV_EINVAL;
    }
    timer->timer_cb = cb;
    timer->timeout = now_ms() + timeout;
    timer->repeat = repeat;
    timer->flags |= ACTIVE;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer) {
    timer->flags &= ~(unsigned) ACTIVE;
    return 0;
}

int uv_timer_again(uv_timer_t *timer) {
    return timer->repeat == 0 ? 0 : uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat);
}

int uv_idle_init(uv_loop_t *loop, uv_idle_t *idle) {
    init(loop, (uv_handle_t *) idle, UV_IDLE);
    return 0;
}

int uv_idle_start(uv_idle_t *idle, uv_idle_cb cb) {
    idle->idle_cb = cb;
    idle->flags |= ACTIVE;
    return 0;
}

int uv_idle_stop(uv_idle_t *idle) {
    idle->flags &= ~(unsigned) ACTIVE;
    return 0;
}

static size_t active_handles(struct sim_process *self, uv_handle_type type, uv_handle_t **ret_handles) {
    size_t n = 0;
    list_for_each (link, &self->handles) {
        uv_handle_t *handle = handle_of(link);
        if (handle->type == type && (handle->flags & ACTIVE) != 0 && n < HANDLES_MAX) {
            ret_handles[n++] = handle;
        }
    }
    return n;
}

/* The earliest first, as libuv's heap gives them. */
static uv_timer_t *due_timer(struct sim_process *self, uint64_t until_ms) {
    uv_timer_t *first = NULL;
    list_for_each (link, &self->handles) {
        uv_timer_t *timer = (uv_timer_t *) handle_of(link);
        if (timer->type == UV_TIMER && (timer->flags & ACTIVE) != 0 && timer->timeout <= until_ms &&
            (first == NULL || timer->timeout < first->timeout)) {
            first = timer;
        }
    }
    return first;
}

void sim_uv_timers(struct sim_process *self) {
    uv_timer_t *timer = NULL;
    for (int i = 0; i < 1000 && (timer = due_timer(self, now_ms())) != NULL; i++) {
        uv_timer_stop(timer);
        if (timer->repeat > 0) {
            uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat);
        }
        timer->timer_cb(timer);
    }
    uv_handle_t *idles[HANDLES_MAX];
    size_t n = active_handles(self, UV_IDLE, idles);
    for (size_t i = 0; i < n; i++) {
        uv_idle_t *idle = (uv_idle_t *) idles[i];
        if ((idle->flags & ACTIVE) != 0) {
            idle->idle_cb(idle);
        }
    }
}

/* ---- sockets ---- */

int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd) {
    init(loop, (uv_handle_t *) poll, UV_POLL);
    poll->io_watcher.fd = fd;
    return 0;
}

int uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb cb) {
    poll->io_watcher.pevents = (unsigned) events;
    poll->poll_cb = cb;
    poll->flags |= ACTIVE;
    return 0;
}

int uv_poll_stop(uv_poll_t *poll) {
    poll->flags &= ~(unsigned) ACTIVE;
    return 0;
}

static unsigned ready_events(const uv_poll_t *poll) {
    return poll->io_watcher.pevents & sim_socket_events(poll->io_watcher.fd);
}

static void answer_requests(struct sim_process *self);

void sim_uv_poll(struct sim_process *self) {
    answer_requests(self);
    uv_handle_t *polls[HANDLES_MAX];
    size_t n = active_handles(self, UV_POLL, polls);
    for (size_t i = 0; i < n; i++) {
        uv_poll_t *poll = (uv_poll_t *) polls[i];
        unsigned events = (poll->flags & ACTIVE) == 0 ? 0 : ready_events(poll);
        if (events != 0) {
            poll->poll_cb(poll, 0, (int) events);
        }
    }
}

/* ---- address look-ups ---- */

struct look_up {
    struct list_link link;
    uv_getaddrinfo_t *request;
    uint64_t done_us;
    int status;
    struct addrinfo *addresses;
};

static struct addrinfo *address_new(int host, int port) {
    struct addrinfo *info = memory_alloc_zero(sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *address = (struct sockaddr_in *) (void *) (info + 1);
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t) port);
    address->sin_addr.s_addr = htonl(0x0a000000U + (uint32_t) host);
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addr = (struct sockaddr *) address;
    info->ai_addrlen = sizeof *address;
    return info;
}

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *node,
                   const char *service, const struct addrinfo *hints) {
    (void) hints;
    struct sim_process *process = process_of(loop);
    struct look_up *look_up = memory_alloc_zero(sizeof *look_up);
    list_init(&look_up->link);
    request->loop = loop;
    request->cb = cb;
    look_up->request = request;
    int host = sim_network_resolve(process->index, node);
    look_up->status = host < 0 ? UV_EAI_NONAME : 0;
    look_up->addresses = host < 0 ? NULL : address_new(host, atoi(service));
    look_up->done_us = sim_now_us() + sim_between(100, 2 * MS);
    list_push_back(&process->requests, &look_up->link);
    return 0;
}

void uv_freeaddrinfo(struct addrinfo *info) {
    memory_free(info);
}

int uv_cancel(uv_req_t *request) {
    struct sim_process *process = process_of(((uv_getaddrinfo_t *) request)->loop);
    list_for_each (link, &process->requests) {
        struct look_up *look_up = list_entry(link, struct look_up, link);
        if ((uv_req_t *) look_up->request == request) {
            uv_freeaddrinfo(look_up->addresses);
            look_up->addresses = NULL;
            look_up->status = UV_ECANCELED;
            look_up->done_us = 0;
        }
    }
    return 0;
}

static void answer_requests(struct sim_process *self) {
    list_for_each_safe (link, &self->requests) {
        struct look_up *look_up = list_entry(link, struct look_up, link);
        if (look_up->done_us > sim_now_us()) {
            continue;
        }
        list_remove(link);
        uv_getaddrinfo_t *request = look_up->request;
        int status = look_up->status;
        struct addrinfo *addresses = look_up->addresses;
        memory_free(look_up);
        request->cb(request, status, addresses);
    }
}

/* ---- when next ---- */

uint64_t sim_uv_next_us(const struct sim_process *self) {
    uint64_t next_us = UINT64_MAX;
    if (!list_is_empty(&self->closing)) {
        return sim_now_us();
    }
    list_for_each (link, &self->requests) {
        uint64_t done_us = list_entry(link, struct look_up, link)->done_us;
        next_us = done_us < next_us ? done_us : next_us;
    }
    list_for_each (link, &self->handles) {
        const uv_handle_t *handle = handle_of(link);
        if ((handle->flags & ACTIVE) == 0) {
            continue;
        }
        if (handle->type == UV_IDLE || (handle->type == UV_POLL && ready_events((const uv_poll_t *) handle) != 0)) {
            return sim_now_us() + 5;
        }
        if (handle->type == UV_TIMER && ((const uv_timer_t *) handle)->timeout * MS < next_us) {
            next_us = ((const uv_timer_t *) handle)->timeout * MS;
        }
    }
    return next_us < sim_now_us() ? sim_now_us() : next_us;
}
