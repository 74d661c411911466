/* NATS's text protocol over TCP. Only to be put beside Callboard. A PING behind the subscriptions is answered when the
 * server has taken them.
 *
 *   INFO {…}   MSG subject sid size ⏎ payload ⏎   PING   PONG   -ERR 'what'   +OK */
#include "tools/bench/bench_protocol.h"

#include <stdio.h>

static void greet(struct bench_client *client, struct bench_connection *connection) {
    const struct bench_plan *plan = client->plan;
    unsigned subscriptions = plan->channels == 0 ? 0 : plan->subscriptions_per_user;
    struct buffer out = BUFFER_EMPTY;
    buffer_append_text(&out, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    for (unsigned j = 0; j < subscriptions; j++) {
        buffer_append_text(&out, "SUB ");
        bench_append_channel(client, &out, bench_channel_of(plan, connection->user, j));
        buffer_append_format(&out, " %u\r\n", j + 1);
    }
    buffer_append_text(&out, "PING\r\n");
    bench_connection_send(client, connection, out.data, out.size);
    buffer_finish(&out);
}

/* The last number of a MSG line. */
static size_t payload_size(const uint8_t *line, const uint8_t *end) {
    size_t value = 0;
    const uint8_t *digits = memrchr(line, ' ', (size_t) (end - line));
    for (const uint8_t *at = digits == NULL ? end : digits + 1; at < end; at++) {
        value = value * 10 + (size_t) (*at - '0');
    }
    return value;
}

static void on_line(struct bench_client *client, struct bench_connection *connection, const uint8_t *line,
                    const uint8_t *end) {
    if (*line == '-') {
        bench_connection_fail(client, connection, "%.*s", (int) (end - line), (const char *) line);
    } else if (end - line >= 4 && memcmp(line, "PING", 4) == 0) {
        bench_connection_send(client, connection, "PONG\r\n", 6);
    } else if (end - line >= 4 && memcmp(line, "PONG", 4) == 0 && connection->phase == BENCH_GREETING) {
        bench_connection_ready(client, connection);
    }
}

static size_t read_input(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                         size_t size) {
    size_t at = 0;
    while (connection->phase != BENCH_CLOSED && at < size) {
        const uint8_t *line = data + at;
        const uint8_t *end = memchr(line, '\n', size - at);
        if (end == NULL) {
            break;
        }
        const uint8_t *cut = end > line && end[-1] == '\r' ? end - 1 : end;
        size_t used = (size_t) (end + 1 - line);
        if (cut - line > 4 && memcmp(line, "MSG ", 4) == 0) {
            size_t payload = payload_size(line, cut);
            struct bench_stamp stamp;
            if (size - at - used < payload + 2) {
                break;
            }
            if (bench_stamp_find(end + 1, end + 1 + payload, &stamp) != NULL) {
                bench_client_delivery(client, connection, &stamp);
            }
            used += payload + 2;
        } else if (cut > line) {
            on_line(client, connection, line, cut);
        }
        at += used;
    }
    return at;
}

static void append_publications(struct bench_client *client, struct bench_publisher *publisher, struct buffer *out,
                                struct bench_stamp stamp, unsigned count) {
    for (unsigned i = 0; i < count; i++, stamp.number++) {
        buffer_append_text(out, "PUB ");
        bench_append_channel(client, out, publisher->channel);
        buffer_append_format(out, " %u\r\n", client->plan->size);
        bench_stamp_append(out, &stamp, client->plan->size);
        buffer_append_text(out, "\r\n");
    }
}

/* There is no word for it: the connection just ends. */
static void say_nothing(struct bench_client *client, struct bench_connection *connection) {
    bench_connection_cut(client, connection);
}

const struct bench_protocol bench_protocol_nats = {
    .name = "nats",
    .many_channels = true,
    .greet = greet,
    .read = read_input,
    .append_publications = append_publications,
    .close = say_nothing,
};
