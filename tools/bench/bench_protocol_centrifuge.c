/* Centrifuge's protocol in JSON: connect and all subscriptions in one message, publications a line each, its pings
 * answered. After a reconnect each channel goes on from its position, where the server gave one.
 *
 *   id   1 connect    2 … subscriptions_per_user + 1 subscribe    from PUBLISH_ID on publications, of the user's
 *        publishers in turn */
#include "tools/bench/bench_protocol.h"
#include "tools/bench/bench_websocket.h"

#include <stdio.h>
#include <stdlib.h>

enum { SUBSCRIBE_ID = 2, PUBLISH_ID = 100000 };

static void greet(struct bench_client *client, struct bench_connection *connection) {
    bench_websocket_greet(client, connection, span_of_text(bench_target_of(client, connection)->path), "");
}

static struct bench_position *position_of(struct bench_client *client, const struct bench_connection *connection,
                                          unsigned j) {
    return &client->positions[bench_connection_index(client, connection) * client->plan->subscriptions_per_user + j];
}

static void append_subscribe(struct bench_client *client, const struct bench_connection *connection, unsigned j,
                             struct buffer *out) {
    const struct bench_position *position = position_of(client, connection, j);
    buffer_append_format(out, "\n{\"id\":%u,\"subscribe\":{\"channel\":\"", SUBSCRIBE_ID + j);
    bench_append_channel(client, out, bench_channel_of(client->plan, connection->user, j));
    buffer_append_char(out, '"');
    if (position->epoch[0] != '\0') {
        buffer_append_format(out, ",\"recover\":true,\"epoch\":\"%s\",\"offset\":%llu", position->epoch,
                             (unsigned long long) position->offset);
    }
    buffer_append_text(out, "}}");
}

static void on_upgraded(struct bench_client *client, struct bench_connection *connection) {
    unsigned subscriptions = client->plan->channels == 0 ? 0 : client->plan->subscriptions_per_user;
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "{\"id\":1,\"connect\":{");
    size_t before = text.size;
    buffer_append_text(&text, "\"token\":\"");
    size_t token_at = text.size;
    bench_append_token(client, &text, connection->user);
    if (text.size > token_at) {
        buffer_append_char(&text, '"');
    } else {
        text.size = before;
    }
    buffer_append_text(&text, "}}");
    for (unsigned j = 0; j < subscriptions; j++) {
        append_subscribe(client, connection, j, &text);
    }
    connection->replies_left = 1 + subscriptions;
    bench_websocket_send_text(client, connection, buffer_span(&text));
    buffer_finish(&text);
}

/* The value behind "name": in the line; NULL: not there. */
static const uint8_t *behind(const uint8_t *at, const uint8_t *end, const char *name) {
    size_t length = strlen(name);
    const uint8_t *found = memmem(at, (size_t) (end - at), name, length);
    return found == NULL ? NULL : found + length;
}

static uint64_t read_number(const uint8_t *at, const uint8_t *end) {
    uint64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (uint64_t) (*at - '0');
    }
    return value;
}

/* All publications of a line; the offset behind each moves its channel's position. */
static void take_publications(struct bench_client *client, struct bench_connection *connection, const uint8_t *line,
                              const uint8_t *end) {
    struct bench_stamp stamp;
    for (const uint8_t *at = line; (at = bench_stamp_find(at, end, &stamp)) != NULL;) {
        if (!bench_client_delivery(client, connection, &stamp)) {
            continue;
        }
        unsigned j = bench_subscription_of(client, connection, stamp.publisher / client->plan->publishers);
        struct bench_position *position = position_of(client, connection, j);
        if (position->epoch[0] != '\0') {
            const uint8_t *offset = behind(at, end, "\"offset\":");
            position->offset = offset == NULL ? position->offset : read_number(offset, end);
        }
    }
}

static void take_position(struct bench_client *client, const struct bench_connection *connection, unsigned j,
                          const uint8_t *line, const uint8_t *end) {
    struct bench_position *position = position_of(client, connection, j);
    const uint8_t *epoch = behind(line, end, "\"epoch\":\"");
    const uint8_t *close = epoch == NULL ? NULL : memchr(epoch, '"', (size_t) (end - epoch));
    if (close == NULL || memmem(line, (size_t) (end - line), "\"recoverable\":true", 18) == NULL ||
        (size_t) (close - epoch) >= sizeof position->epoch) {
        return;
    }
    memcpy(position->epoch, epoch, (size_t) (close - epoch));
    position->epoch[close - epoch] = '\0';
    /* The reply's own offset stands outside of its publications, in front of them or behind: the highest of all is it.
     */
    position->offset = 0;
    for (const uint8_t *at = line; (at = behind(at, end, "\"offset\":")) != NULL;) {
        uint64_t offset = read_number(at, end);
        position->offset = offset > position->offset ? offset : position->offset;
    }
}

static void on_greeting_reply(struct bench_client *client, struct bench_connection *connection, uint64_t id,
                              const uint8_t *line, const uint8_t *end) {
    if (id >= SUBSCRIBE_ID) {
        take_position(client, connection, (unsigned) id - SUBSCRIBE_ID, line, end);
        take_publications(client, connection, line, end);
    }
    if (connection->phase == BENCH_GREETING && --connection->replies_left == 0) {
        bench_connection_ready(client, connection);
    }
}

static void on_publish_reply(struct bench_client *client, struct bench_connection *connection, uint64_t id,
                             bool is_error, const uint8_t *line, const uint8_t *end) {
    if (!is_error || connection->n_publishers == 0) {
        bench_count(&client->part->counts.acked, 1);
        return;
    }
    unsigned slot = (unsigned) ((id - PUBLISH_ID) % connection->n_publishers);
    bench_counter *sent = &client->board->sent[client->publishers[connection->first_publisher + slot].number];
    atomic_fetch_sub_explicit(sent, 1, memory_order_relaxed); /* nobody waits for it */
    bench_count(&client->part->counts.publish_errors, 1);
    bench_client_tell(client, "user %u: publish: %.*s", connection->user, (int) (end - line), (const char *) line);
}

/* {"id":N,"error":{… or {"id":N,"…":{… */
static void on_reply(struct bench_client *client, struct bench_connection *connection, const uint8_t *line,
                     const uint8_t *end) {
    const uint8_t *digits = behind(line, end, "\"id\":");
    uint64_t id = digits == NULL ? 0 : read_number(digits, end);
    const uint8_t *comma = digits == NULL ? NULL : memchr(digits, ',', (size_t) (end - digits));
    bool is_error = comma != NULL && end - comma > 8 && memcmp(comma, ",\"error\":", 9) == 0;
    if (id >= PUBLISH_ID) {
        on_publish_reply(client, connection, id, is_error, line, end);
    } else if (is_error && id != 0 && id - SUBSCRIBE_ID < client->plan->subscriptions_per_user) {
        position_of(client, connection, (unsigned) id - SUBSCRIBE_ID)->epoch[0] = '\0';
        bench_connection_fail(client, connection, "subscribe: %.*s", (int) (end - line), (const char *) line);
    } else if (is_error) {
        bench_connection_fail(client, connection, "connect: %.*s", (int) (end - line), (const char *) line);
    } else if (id != 0) {
        on_greeting_reply(client, connection, id, line, end);
    }
}

static void on_message(struct bench_client *client, struct bench_connection *connection, const uint8_t *text,
                       size_t size) {
    if (size == 2) { /* {}: a ping */
        bench_websocket_send_text(client, connection, SPAN_LITERAL("{}"));
        return;
    }
    const uint8_t *end = text + size;
    for (const uint8_t *line = text; line < end && connection->phase != BENCH_CLOSED;) {
        const uint8_t *next = memchr(line, '\n', (size_t) (end - line));
        next = next == NULL ? end : next;
        if (next - line > 2 && line[2] == 'p') { /* {"push": */
            take_publications(client, connection, line, next);
        } else if (next - line == 2) {
            bench_websocket_send_text(client, connection, SPAN_LITERAL("{}"));
        } else {
            on_reply(client, connection, line, next);
        }
        line = next + 1;
    }
}

static size_t read_input(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                         size_t size) {
    static const struct bench_websocket_handlers handlers = {on_upgraded, on_message};
    return bench_websocket_read(client, connection, &handlers, data, size);
}

static void append_publications(struct bench_client *client, struct bench_publisher *publisher, struct buffer *out,
                                struct bench_stamp stamp, unsigned count) {
    struct bench_connection *connection = publisher->connection;
    uint64_t slot = (uint64_t) (publisher - client->publishers) - connection->first_publisher;
    struct buffer *text = &client->scratch;
    buffer_clear(text);
    for (unsigned i = 0; i < count; i++, stamp.number++) {
        uint64_t id = PUBLISH_ID + connection->next_id++ * connection->n_publishers + slot;
        buffer_append_format(text, "%s{\"id\":%llu,\"publish\":{\"channel\":\"", i > 0 ? "\n" : "",
                             (unsigned long long) id);
        bench_append_channel(client, text, publisher->channel);
        buffer_append_text(text, "\",\"data\":");
        bench_stamp_append(text, &stamp, client->plan->size);
        buffer_append_text(text, "}}");
    }
    bench_websocket_append_head(out, text->size);
    buffer_append_span(out, buffer_span(text));
}

const struct bench_protocol bench_protocol_centrifuge = {
    .name = "centrifuge",
    .is_websocket = true,
    .many_channels = true,
    .can_resume = true,
    .greet = greet,
    .read = read_input,
    .append_publications = append_publications,
    .close = bench_websocket_close,
};
