/* See model_server.h: processes, clients, RESP in and out, death and return. Bytes that arrive while a process stands
 * still lie in its socket and are executed when it goes on. */
#include "tests/simulation/model_server.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/simulation/sim.h"
#include "tests/simulation/sim_process.h"

#include <stdio.h>
#include <stdlib.h>

struct model_world model_world;

void model_begin(int n_servers, int n_sentinels) {
    memset(&model_world, 0, sizeof model_world);
    model_admin_begin();
    model_world.n = n_servers;
    model_world.n_sentinels = n_sentinels;
    for (int i = 0; i < n_servers + n_sentinels; i++) {
        struct model_server *self = &model_world.servers[i];
        self->index = i;
        snprintf(self->name, sizeof self->name, "%s-%d", i < n_servers ? "redis" : "sentinel", i);
        self->is_alive = true;
        self->replica_delay_us = 2 * MS;
        self->fsync_us = 2 * MS;
        list_init(&self->clients);
        model_new_replid(self);
    }
}

static void drop_clients(struct model_server *self) {
    struct list_link *link = NULL;
    while ((link = list_pop_front(&self->clients)) != NULL) {
        struct model_client *client = list_entry(link, struct model_client, link);
        client->is_gone = true;
        if (client->connection != NULL) {
            client->connection->client = NULL;
        }
        buffer_finish(&client->in);
        buffer_finish(&client->out);
    }
}

uint64_t model_offset(const struct model_server *self) {
    return self->base_offset + self->n_log;
}

int64_t model_wall_ms(const struct model_server *self) {
    return 1700000000000 + (int64_t) (sim_now_us() / MS) + self->clock_ahead_ms;
}

/* ---- output ---- */

/* With appendfsync always nothing leaves before the disk has it. */
static uint64_t output_delay_us(struct model_server *self) {
    if (self->disk != MODEL_DISK_ALWAYS || self->fsynced == model_offset(self)) {
        return 0;
    }
    return sim_between(100, self->fsync_us);
}

struct held_output {
    struct list_link link;
    struct model_client *client;
    struct buffer bytes;
};

static struct list_link held_outputs = {&held_outputs, &held_outputs};

static void release_held(struct held_output *held) {
    list_remove(&held->link);
    buffer_finish(&held->bytes);
}

static void send_out(struct model_client *client, struct buffer *bytes) {
    if (!client->is_gone && client->connection != NULL) {
        sim_network_send_down(client->connection, bytes, client->is_pubsub);
    }
}

static void on_synced(void *context, uint64_t offset) {
    struct model_server *self = context;
    if (self->is_alive && offset <= model_offset(self) && offset > self->fsynced) {
        self->fsynced = offset;
    }
}

static void on_output_synced(void *context, uint64_t reign) {
    struct held_output *held = context;
    if (reign == held->client->server->n_reigns) {
        send_out(held->client, &held->bytes);
    }
    release_held(held);
}

static void flush_clients(struct model_server *self) {
    uint64_t delay_us = output_delay_us(self);
    uint64_t at_us = sim_now_us() + delay_us;
    at_us = at_us < self->flushed_us ? self->flushed_us : at_us;
    self->flushed_us = at_us;
    if (delay_us > 0) {
        sim_at(at_us, on_synced, self, model_offset(self));
    }
    list_for_each_safe (link, &self->clients) {
        struct model_client *client = list_entry(link, struct model_client, link);
        if (client->out.size == 0) {
            continue;
        }
        if (at_us == sim_now_us()) {
            send_out(client, &client->out);
            continue;
        }
        struct held_output *held = sim_alloc(sizeof *held);
        *held = (struct held_output){.client = client, .bytes = client->out};
        list_init(&held->link);
        list_push_back(&held_outputs, &held->link);
        client->out = BUFFER_EMPTY;
        sim_at(at_us, on_output_synced, held, self->n_reigns);
    }
}

/* ---- input ---- */

/* *n or $n and the line's end; false: not all there. */
static bool read_number(struct cursor *cursor, char type, size_t *ret_number) {
    const uint8_t *end = cursor->left == 0 ? NULL : memchr(cursor->at, '\n', cursor->left);
    if (end == NULL) {
        return false;
    }
    check(*cursor->at == type, "a request begins with %c", *cursor->at);
    *ret_number = strtoul((const char *) cursor->at + 1, NULL, 10);
    cursor_bytes(cursor, (size_t) (end - cursor->at) + 1);
    return true;
}

static bool read_command(struct cursor *cursor, struct span *ret_arguments, size_t *ret_n) {
    if (!read_number(cursor, '*', ret_n)) {
        return false;
    }
    check(*ret_n > 0 && *ret_n <= MODEL_ARGUMENTS_MAX, "a command of %zu words", *ret_n);
    for (size_t i = 0; i < *ret_n; i++) {
        size_t size = 0;
        if (!read_number(cursor, '$', &size) || cursor->left < size + 2) {
            return false;
        }
        ret_arguments[i] = cursor_bytes(cursor, size);
        cursor_bytes(cursor, 2);
    }
    return true;
}

static void trace_call(const struct model_client *client, size_t n, const struct span *arguments, size_t before) {
    struct span reply = span_of(client->out.data + before, client->out.size - before);
    char text[160];
    size_t size = 0;
    for (size_t i = 0; i < n && size + 48 < sizeof text; i++) {
        for (size_t j = 0; j < arguments[i].size && j < 40; j++) {
            uint8_t byte = arguments[i].data[j];
            text[size++] = byte >= 0x20 && byte < 0x7f ? (char) byte : '.';
        }
        text[size++] = ' ';
    }
    char answer[48];
    size_t shown = reply.size < sizeof answer - 1 ? reply.size : sizeof answer - 1;
    for (size_t i = 0; i < shown; i++) {
        answer[i] = reply.data[i] >= 0x20 && reply.data[i] < 0x7f ? (char) reply.data[i] : '.';
    }
    sim_trace_line(client->server->name, "[%s] %.*s=> %.*s",
                   client->connection == NULL ? "-" : client->connection->process->name, (int) size, text, (int) shown,
                   answer);
}

static void run_client(struct model_client *client) {
    struct model_server *self = client->server;
    static struct span arguments[MODEL_ARGUMENTS_MAX];
    size_t taken = 0;
    while (!client->is_gone && !client->waits) {
        struct cursor cursor = cursor_of(span_of(client->in.data + taken, client->in.size - taken));
        size_t n = 0;
        if (!read_command(&cursor, arguments, &n)) {
            break;
        }
        taken = client->in.size - cursor.left;
        struct model_call call = {
            .server = self, .client = client, .n = n, .arguments = arguments, .reply = &client->out};
        size_t before = client->out.size;
        model_command(&call);
        if (sim_traces()) {
            trace_call(client, n, arguments, before);
        }
        if (model_world.on_command != NULL) {
            model_world.on_command(n, arguments, span_of(client->out.data + before, client->out.size - before));
        }
        struct model_change *change = model_take_change(self);
        if (change != NULL) {
            model_record(self, change);
            client->written = model_offset(self);
        }
    }
    if (!client->is_gone && taken > 0) {
        buffer_consume(&client->in, taken);
    }
}

static void go_on(void *context, uint64_t ignored) {
    (void) ignored;
    struct model_server *self = context;
    if (!self->is_alive || sim_now_us() < self->still_until_us) {
        return;
    }
    list_for_each_safe (link, &self->clients) {
        run_client(list_entry(link, struct model_client, link));
    }
    flush_clients(self);
}

void model_receive(struct model_client *client, struct span bytes) {
    struct model_server *self = client->server;
    if (client->is_gone) {
        return;
    }
    buffer_append_span(&client->in, bytes);
    if (self->is_alive && sim_now_us() >= self->still_until_us) {
        run_client(client);
        flush_clients(self);
    }
}

struct model_client *model_accept(int server, struct sim_connection *connection) {
    struct model_server *self = &model_world.servers[server];
    if (server < 0 || server >= model_world.n + model_world.n_sentinels || !self->is_alive) {
        return NULL;
    }
    struct model_client *client = sim_alloc(sizeof *client);
    client->server = self;
    client->connection = connection;
    list_init(&client->link);
    list_push_back(&self->clients, &client->link);
    return client;
}

static void forget(struct model_client *client) {
    client->is_gone = true;
    list_remove(&client->link);
    buffer_finish(&client->in);
    buffer_finish(&client->out);
    if (client->connection != NULL && client->connection->client == client) {
        sim_network_end(client->connection);
    }
}

static void on_late_hang_up(void *context, uint64_t ignored) {
    (void) ignored;
    model_hang_up(context);
}

/* What came before the end is executed first, also by a process that stands still now. */
void model_hang_up(struct model_client *client) {
    struct model_server *self = client->server;
    if (client->is_gone) {
        return;
    }
    if (sim_now_us() < self->still_until_us) {
        sim_at(self->still_until_us + 1, on_late_hang_up, client, 0);
        return;
    }
    forget(client);
}

/* ---- the end ---- */

void model_end(void) {
    while (!list_is_empty(&held_outputs)) {
        release_held(list_entry(held_outputs.next, struct held_output, link));
    }
    for (int i = 0; i < model_world.n + model_world.n_sentinels; i++) {
        struct model_server *self = &model_world.servers[i];
        drop_clients(self);
        model_store_clear(&self->store);
        model_store_clear(&self->base);
        memory_free(self->log);
        self->log = NULL;
    }
}

/* ---- faults ---- */

void model_stand_still(struct model_server *self, uint64_t until_us) {
    if (until_us > self->still_until_us) {
        self->still_until_us = until_us;
        sim_at(until_us, go_on, self, 0);
    }
}

void model_kill(struct model_server *self) {
    sim_trace(self->name, "dies");
    self->is_alive = false;
    self->n_reigns++;
    self->still_until_us = 0;
    drop_clients(self);
    sim_network_cut_server(self->index);
    self->link_is_up = false;
    self->link_number++;
}

void model_restart(struct model_server *self, enum model_survival survival, uint64_t loading_us) {
    uint64_t offset = survival == MODEL_KEEPS_ALL      ? model_offset(self)
                      : survival == MODEL_KEEPS_SYNCED ? self->fsynced
                                                       : self->base_offset;
    if (survival == MODEL_KEEPS_NOTHING || self->disk == MODEL_DISK_NONE) {
        model_store_clear(&self->base);
        offset = self->base_offset;
    }
    sim_trace(self->name, "comes back with %llu of %llu changes", (unsigned long long) (offset - self->base_offset),
              (unsigned long long) self->n_log);
    self->is_alive = true;
    self->n_reigns++;
    self->busy_until_us = 0;
    self->loading_until_us = sim_now_us() + loading_us;
    memset(self->knows_script, 0, sizeof self->knows_script);
    memset(self->acked, 0, sizeof self->acked);
    model_rebuild(self, offset);
    self->fsynced = offset;
    model_new_replid(self);
    for (int i = 0; i < model_world.n; i++) {
        struct model_server *other = &model_world.servers[i];
        if (other->primary == self) {
            model_follow(other, self);
        }
    }
    if (self->primary != NULL) {
        model_follow(self, self->primary);
    }
}

void model_overflow(struct model_server *self) {
    list_for_each_safe (link, &self->clients) {
        struct model_client *client = list_entry(link, struct model_client, link);
        if (client->is_pubsub && sim_chance(60)) {
            sim_trace(self->name, "closes a subscriber's connection");
            forget(client);
        }
    }
}

void model_run(struct model_server *self, size_t n, const char *const *arguments, struct buffer *ret_reply) {
    struct span words[16];
    for (size_t i = 0; i < n; i++) {
        words[i] = span_of_text(arguments[i]);
    }
    struct buffer scratch = BUFFER_EMPTY;
    struct model_call call = {
        .server = self, .n = n, .arguments = words, .reply = ret_reply == NULL ? &scratch : ret_reply};
    model_command(&call);
    struct model_change *change = model_take_change(self);
    if (change != NULL) {
        model_record(self, change);
    }
    buffer_finish(&scratch);
    flush_clients(self);
}
