/* The loop of a worker process. Each turn: start what may be started, publish what is due, serve the sockets.
 *
 * With a rate, publication k of this worker is due at start + k × interval and goes to its publishers in turn, so that
 * many publishers are spread evenly; the workers are shifted against each other. Who falls behind catches up, and how
 * far he was behind is a figure. Without a rate each publisher keeps in_flight publications ahead of what the
 * subscribers of its channel got, all workers' together. */
#include "tools/bench/bench_worker.h"

#include "tools/bench/bench_protocol.h"
#include "tools/bench/bench_storm.h"

#include <sys/epoll.h>
#include <time.h>

enum { EVENTS = 256, AT_ONCE = 32, TURN_NS = 10000000, SWEEP_NS = 20000000, CATCH_UP = 256 };

struct bench_loop {
    struct bench_client client;
    unsigned next_user; /* whose first attempt comes next */
    uint64_t next_publication;
    uint64_t next_sweep_ns;
    struct bench_storm storm;
};

const struct bench_protocol *bench_protocol_of(enum bench_protocol_kind kind) {
    static const struct bench_protocol *const protocols[] = {[BENCH_CENTRIFUGE] = &bench_protocol_centrifuge,
                                                             [BENCH_RAW] = &bench_protocol_raw,
                                                             [BENCH_NCHAN] = &bench_protocol_nchan,
                                                             [BENCH_MQTT] = &bench_protocol_mqtt,
                                                             [BENCH_NATS] = &bench_protocol_nats};
    return protocols[kind];
}

static void start_users(struct bench_loop *self) {
    struct bench_client *client = &self->client;
    unsigned at_a_time = client->plan->connecting / client->plan->processes;
    at_a_time = at_a_time == 0 ? 1 : at_a_time;
    while (self->next_user < client->n_users && client->n_handshaking < at_a_time) {
        bench_connection_start(client, &client->connections[self->next_user++]);
    }
}

static void finish(struct bench_client *client) {
    atomic_store_explicit(&client->part->finished, true, memory_order_release);
}

/* All that was due before the end, however late; returns when the next one is. */
static uint64_t publish_at_rate(struct bench_loop *self, uint64_t start_ns, uint64_t end_ns) {
    struct bench_client *client = &self->client;
    double interval = 1e9 / (client->plan->rate * client->n_publishers);
    double shift = interval * client->worker / client->plan->processes;
    for (unsigned i = 0;; i++) {
        uint64_t due = start_ns + (uint64_t) (shift + interval * (double) self->next_publication);
        if (due >= end_ns) {
            finish(client);
            return client->now_ns + TURN_NS;
        }
        if (due > client->now_ns || i == CATCH_UP) {
            return due;
        }
        if (client->now_ns - due > bench_read(&client->part->counts.behind_ns)) {
            atomic_store_explicit(&client->part->counts.behind_ns, client->now_ns - due, memory_order_relaxed);
        }
        bench_publisher_send(client, &client->publishers[self->next_publication++ % client->n_publishers], 1);
    }
}

/* How many publications all subscribers of the channel have got, on average. */
static uint64_t arrived(const struct bench_client *client, unsigned channel) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < client->plan->processes; i++) {
        sum += bench_read(&client->board->came[(size_t) i * client->plan->channels + channel]);
    }
    return sum / bench_subscribers_of(client->plan, channel);
}

static uint64_t publish_in_flight(struct bench_loop *self) {
    struct bench_client *client = &self->client;
    const struct bench_plan *plan = client->plan;
    uint64_t next = client->now_ns + (plan->processes > 1 ? 500000 : TURN_NS);
    for (unsigned i = 0; i < client->n_publishers; i++) {
        struct bench_publisher *publisher = &client->publishers[i];
        uint64_t came = arrived(client, publisher->channel) / plan->publishers;
        uint64_t room = came + plan->in_flight > publisher->sent ? came + plan->in_flight - publisher->sent : 0;
        if (plan->pause_us > 0 && came >= publisher->sent && publisher->next_ns == 0) {
            publisher->next_ns = client->now_ns + plan->pause_us * 1000;
        }
        if (publisher->next_ns > client->now_ns) {
            next = publisher->next_ns < next ? publisher->next_ns : next;
            continue;
        }
        unsigned at_once = plan->in_flight < AT_ONCE ? plan->in_flight : AT_ONCE;
        for (; room >= at_once; room -= at_once) {
            bench_publisher_send(client, publisher, at_once);
            publisher->next_ns = 0;
        }
    }
    return next;
}

static uint64_t publish_due(struct bench_loop *self) {
    struct bench_client *client = &self->client;
    uint64_t start_ns = bench_read(&client->board->start_ns);
    uint64_t end_ns = bench_read(&client->board->end_ns);
    if (start_ns == 0 || client->now_ns < start_ns) {
        return start_ns == 0 ? client->now_ns + TURN_NS : start_ns;
    }
    if (client->n_publishers > 0 && client->plan->rate > 0) {
        return publish_at_rate(self, start_ns, end_ns);
    }
    if (client->n_publishers == 0 || client->now_ns >= end_ns) {
        finish(client);
        return client->now_ns + TURN_NS;
    }
    return publish_in_flight(self);
}

/* Who is up ends at once, and begins again. */
static void churn(struct bench_client *client, struct bench_connection *connection) {
    if (connection->phase == BENCH_READY && client->plan->churn == BENCH_CHURN_RESET) {
        bench_connection_cut(client, connection);
    } else if (connection->phase == BENCH_READY) {
        connection->phase = BENCH_CLOSING;
        client->protocol->close(client, connection);
    }
    if (connection->phase == BENCH_CLOSED && connection->again_ns != 0 && connection->again_ns <= client->now_ns) {
        connection->again_ns = 0;
        client->n_waiting--;
        bench_connection_start(client, connection);
    }
}

static void serve(struct bench_loop *self, uint64_t until_ns) {
    struct bench_client *client = &self->client;
    struct epoll_event events[EVENTS];
    uint64_t wait_ns = until_ns > client->now_ns ? until_ns - client->now_ns : 0;
    wait_ns = wait_ns > TURN_NS ? TURN_NS : wait_ns;
    struct timespec wait = {.tv_nsec = (long) wait_ns};
    int n = epoll_pwait2(client->epoll_fd, events, EVENTS, &wait, NULL);
    client->now_ns = bench_now_ns();
    for (int i = 0; i < n; i++) {
        struct bench_connection *connection = events[i].data.ptr;
        if (connection->phase != BENCH_CLOSED) {
            bench_connection_event(client, connection, events[i].events);
        }
        if (client->plan->churn != BENCH_NO_CHURN) {
            churn(client, connection);
        }
    }
    if (client->now_ns >= self->next_sweep_ns) {
        bench_client_sweep(client);
        self->next_sweep_ns = client->now_ns + SWEEP_NS;
    }
}

int bench_worker_run(const struct bench_plan *plan, struct bench_board *board, unsigned worker) {
    static struct bench_loop self;
    if (!bench_client_init(&self.client, plan, bench_protocol_of(plan->protocol), board, worker)) {
        return 1;
    }
    for (;;) {
        int phase = atomic_load_explicit(&board->phase, memory_order_acquire);
        if (phase == BENCH_END) {
            return 0;
        }
        self.client.now_ns = bench_now_ns();
        if (phase != BENCH_CONNECT || plan->churn == BENCH_NO_CHURN) {
            start_users(&self);
        }
        serve(&self, plan->missed > 0 ? bench_storm_turn(&self.storm, &self.client, phase) : publish_due(&self));
    }
}
