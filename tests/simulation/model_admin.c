/* What the simulated Redis tells about itself, WAIT, and its topics. */
#include "tests/simulation/model_server.h"

#include "tests/simulation/sim.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static bool is_word(struct span a, const char *word) {
    return a.size == strlen(word) && strncasecmp((const char *) a.data, word, a.size) == 0;
}

static void info(struct model_call *call) {
    const struct model_server *self = call->server;
    struct buffer text = BUFFER_EMPTY;
    unsigned n_replicas = 0;
    for (int i = 0; i < model_world.n; i++) {
        n_replicas += model_world.servers[i].primary == self && model_world.servers[i].link_is_up;
    }
    buffer_append_format(&text,
                         "# Replication\r\nrole:%s\r\nconnected_slaves:%u\r\nmin_slaves_good_slaves:%u\r\n"
                         "master_replid:%s\r\nmaster_replid2:%s\r\nmaster_repl_offset:%llu\r\n",
                         self->primary == NULL ? "master" : "slave", n_replicas, model_good_replicas(self),
                         self->replid,
                         self->replid2[0] == '\0' ? "0000000000000000000000000000000000000000" : self->replid2,
                         (unsigned long long) model_offset(self));
    if (call->n < 2 || !is_word(call->arguments[1], "replication")) {
        buffer_append_format(&text,
                             "# Server\r\nredis_version:7.0.15\r\nrun_id:%040d\r\n# Persistence\r\nloading:0\r\n"
                             "aof_enabled:%d\r\n# Memory\r\nused_memory:1000000\r\nmaxmemory:0\r\n"
                             "maxmemory_policy:noeviction\r\n# Cluster\r\ncluster_enabled:0\r\n",
                             self->index, self->disk != MODEL_DISK_NONE);
    }
    reply_bulk(call->reply, buffer_span(&text));
    buffer_finish(&text);
}

static void role(struct model_call *call) {
    const struct model_server *self = call->server;
    if (self->primary == NULL) {
        reply_array(call->reply, 3);
        reply_bulk(call->reply, SPAN_LITERAL("master"));
        reply_integer(call->reply, (int64_t) model_offset(self));
        reply_array(call->reply, 0);
        return;
    }
    reply_array(call->reply, 5);
    reply_bulk(call->reply, SPAN_LITERAL("slave"));
    reply_bulk(call->reply, span_of_text(self->primary->name));
    reply_integer(call->reply, 6379);
    reply_bulk(call->reply, self->link_is_up ? SPAN_LITERAL("connected") : SPAN_LITERAL("connect"));
    reply_integer(call->reply, (int64_t) model_offset(self));
}

static void config(struct model_call *call) {
    const struct model_server *self = call->server;
    char replicas[16];
    snprintf(replicas, sizeof replicas, "%u", self->min_replicas);
    const struct {
        const char *name;
        const char *value;
    } settings[] = {
        {"appendonly", self->disk == MODEL_DISK_NONE ? "no" : "yes"},
        {"appendfsync", self->disk == MODEL_DISK_ALWAYS ? "always" : "everysec"},
        {"min-replicas-to-write", replicas},
        {"min-replicas-max-lag", "10"},
        {"maxmemory", "0"},
        {"maxmemory-policy", "noeviction"},
        {"client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
    };
    struct buffer pairs = BUFFER_EMPTY;
    size_t n = 0;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        for (size_t j = 2; j < call->n; j++) {
            char pattern[64];
            snprintf(pattern, sizeof pattern, "%.*s", (int) call->arguments[j].size,
                     (const char *) call->arguments[j].data);
            if (fnmatch(pattern, settings[i].name, 0) == 0) {
                reply_bulk(&pairs, span_of_text(settings[i].name));
                reply_bulk(&pairs, span_of_text(settings[i].value));
                n += 2;
            }
        }
    }
    reply_array(call->reply, n);
    buffer_append_span(call->reply, buffer_span(&pairs));
    buffer_finish(&pairs);
}

static void command_info(struct model_call *call) {
    bool is_sharded = call->n == 3 && is_word(call->arguments[2], "SSUBSCRIBE");
    reply_array(call->reply, 1);
    if (is_sharded && !call->server->is_cluster_like) {
        buffer_append_text(call->reply, "*-1\r\n");
        return;
    }
    reply_array(call->reply, 1);
    reply_bulk(call->reply, call->n < 3 ? SPAN_EMPTY : call->arguments[2]);
}

/* ---- WAIT ---- */

static void on_wait_over(void *context, uint64_t number) {
    struct model_client *client = context;
    if (client->is_gone || !client->waits || client->wait_number != number) {
        return;
    }
    if (sim_now_us() < client->server->still_until_us) {
        sim_at(client->server->still_until_us, on_wait_over, context, number);
        return;
    }
    client->waits = false;
    reply_integer(&client->out, model_acked(client->server, client->waits_for));
    model_receive(client, SPAN_EMPTY);
}

static void wait_for_replicas(struct model_call *call) {
    struct model_server *self = call->server;
    struct model_client *client = call->client;
    if (self->primary != NULL) {
        reply_error(call->reply, "ERR WAIT cannot be used with replica instances. Please also note that writes to "
                                 "replicas are just local and are not propagated.");
        return;
    }
    uint64_t wanted = strtoull((const char *) call->arguments[1].data, NULL, 10);
    uint64_t timeout_ms = strtoull((const char *) call->arguments[2].data, NULL, 10);
    unsigned n = model_acked(self, client->written);
    if (n >= wanted) {
        reply_integer(call->reply, n);
        return;
    }
    client->waits = true;
    client->waits_for = client->written;
    client->wait_n = wanted;
    client->wait_number++;
    if (timeout_ms > 0) {
        sim_after(timeout_ms * MS, on_wait_over, client, client->wait_number);
    }
}

/* ---- topics ---- */

static void confirm(struct model_call *call, const char *kind, struct span name) {
    reply_array(call->reply, 3);
    reply_bulk(call->reply, span_of_text(kind));
    reply_bulk(call->reply, name);
    reply_integer(call->reply, (int64_t) call->client->n_topics);
}

static size_t find_topic(const struct model_client *client, struct span name, bool is_sharded) {
    size_t i = 0;
    while (i < client->n_topics &&
           (client->topics[i].is_sharded != is_sharded || !span_equal(client->topics[i].name, name))) {
        i++;
    }
    return i;
}

static void subscribe(struct model_call *call, bool is_sharded) {
    struct model_client *client = call->client;
    client->is_pubsub = true;
    for (size_t i = 1; i < call->n; i++) {
        struct span name = call->arguments[i];
        if (find_topic(client, name, is_sharded) == client->n_topics && client->n_topics < MODEL_TOPICS_MAX) {
            client->topics[client->n_topics].name = span_of(sim_copy(name.data, name.size), name.size);
            client->topics[client->n_topics++].is_sharded = is_sharded;
        }
        confirm(call, is_sharded ? "ssubscribe" : "subscribe", name);
    }
}

static void unsubscribe(struct model_call *call, bool is_sharded) {
    struct model_client *client = call->client;
    for (size_t i = 1; i < call->n; i++) {
        size_t at = find_topic(client, call->arguments[i], is_sharded);
        if (at < client->n_topics) {
            client->topics[at] = client->topics[--client->n_topics];
        }
        confirm(call, is_sharded ? "sunsubscribe" : "unsubscribe", call->arguments[i]);
    }
}

static unsigned messages_to_lose[SIM_SERVERS];

void model_lose_message(struct model_server *self) {
    messages_to_lose[self->index]++;
}

static void on_flush_later(void *context, uint64_t ignored) {
    (void) ignored;
    struct model_client *client = context;
    model_receive(client, SPAN_EMPTY);
}

void model_publish(struct model_server *self, struct span topic, struct span message, bool is_sharded) {
    if (model_world.on_message != NULL && !self->is_replaying) {
        model_world.on_message(topic, message);
    }
    list_for_each (link, &self->clients) {
        struct model_client *client = list_entry(link, struct model_client, link);
        if (find_topic(client, topic, is_sharded) == client->n_topics) {
            continue;
        }
        if (messages_to_lose[self->index] > 0 && message.size > 1 && sim_chance(50)) {
            messages_to_lose[self->index]--;
            sim_trace(self->name, "a message of %.*s is lost", (int) topic.size, (const char *) topic.data);
            continue;
        }
        reply_array(&client->out, 3);
        reply_bulk(&client->out, is_sharded ? SPAN_LITERAL("smessage") : SPAN_LITERAL("message"));
        reply_bulk(&client->out, topic);
        reply_bulk(&client->out, message);
        if (self->primary != NULL) {
            sim_after(1, on_flush_later, client, 0); /* no command of a client is under way here */
        }
    }
}

void model_admin_begin(void) {
    memset(messages_to_lose, 0, sizeof messages_to_lose);
}

/* ---- all of them ---- */

void model_admin_command(struct model_call *call) {
    struct span name = call->arguments[0];
    if (is_word(name, "INFO")) {
        info(call);
    } else if (is_word(name, "ROLE")) {
        role(call);
    } else if (is_word(name, "PING")) {
        reply_status(call->reply, "PONG");
    } else if (is_word(name, "WAIT")) {
        wait_for_replicas(call);
    } else if (is_word(name, "COMMAND")) {
        command_info(call);
    } else if (is_word(name, "CONFIG")) {
        config(call);
    } else if (is_word(name, "SUBSCRIBE") || is_word(name, "SSUBSCRIBE")) {
        subscribe(call, is_word(name, "SSUBSCRIBE"));
    } else if (is_word(name, "UNSUBSCRIBE") || is_word(name, "SUNSUBSCRIBE")) {
        unsubscribe(call, is_word(name, "SUNSUBSCRIBE"));
    } else {
        reply_status(call->reply, "OK");
    }
}
