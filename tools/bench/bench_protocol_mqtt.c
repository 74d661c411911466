/* MQTT 3.1.1 over TCP, QoS 0: what a topic's subscribers get at once, as a channel's do. Only to be put beside
 * Callboard.
 *
 *   packet: type and flags | remaining length, 7 bits a byte | body */
#include "tools/bench/bench_protocol.h"

enum {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH = 0x30,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    LENGTH_BYTES_MAX = 4,
    DISCONNECT = 0xe0
};

static void append_length(struct buffer *out, size_t length) {
    do {
        buffer_append_u8(out, (uint8_t) ((length & 0x7f) | (length > 0x7f ? 0x80 : 0)));
        length >>= 7;
    } while (length > 0);
}

static void append_text(struct buffer *out, struct span text) {
    buffer_append_u8(out, (uint8_t) (text.size >> 8));
    buffer_append_u8(out, (uint8_t) text.size);
    buffer_append_span(out, text);
}

static void append_packet(struct buffer *out, uint8_t type, struct span body) {
    buffer_append_u8(out, type);
    append_length(out, body.size);
    buffer_append_span(out, body);
}

static void greet(struct bench_client *client, struct bench_connection *connection) {
    const struct bench_plan *plan = client->plan;
    unsigned subscriptions = plan->channels == 0 ? 0 : plan->subscriptions_per_user;
    struct buffer body = BUFFER_EMPTY;
    struct buffer out = BUFFER_EMPTY;
    struct buffer topic = BUFFER_EMPTY;
    append_text(&body, SPAN_LITERAL("MQTT"));
    buffer_append(&body, "\x04\x02\x00\x00", 4); /* version 3.1.1, clean session, no keep-alive */
    buffer_append_format(&topic, "bench-%x-%u", plan->run, connection->user);
    append_text(&body, buffer_span(&topic));
    append_packet(&out, CONNECT, buffer_span(&body));
    for (unsigned j = 0; j < subscriptions; j++) {
        buffer_clear(&body);
        buffer_clear(&topic);
        bench_append_channel(client, &topic, bench_channel_of(plan, connection->user, j));
        buffer_append(&body, "\x00\x01", 2); /* the packet's id */
        append_text(&body, buffer_span(&topic));
        buffer_append_u8(&body, 0);
        append_packet(&out, SUBSCRIBE, buffer_span(&body));
    }
    connection->replies_left = 1 + subscriptions;
    bench_connection_send(client, connection, out.data, out.size);
    buffer_finish(&topic);
    buffer_finish(&body);
    buffer_finish(&out);
}

/* False: more must come. */
static bool read_length(const uint8_t *data, size_t size, size_t *ret_head, size_t *ret_length) {
    *ret_length = 0;
    for (size_t i = 0; i < LENGTH_BYTES_MAX && i + 1 < size; i++) {
        *ret_length |= (size_t) (data[i + 1] & 0x7f) << (7 * i);
        if (data[i + 1] < 0x80) {
            *ret_head = i + 2;
            return true;
        }
    }
    return false;
}

static void on_packet(struct bench_client *client, struct bench_connection *connection, uint8_t type,
                      const uint8_t *body, size_t size) {
    struct bench_stamp stamp;
    if ((type & 0xf0) == PUBLISH) {
        if (bench_stamp_find(body, body + size, &stamp) != NULL) {
            bench_client_delivery(client, connection, &stamp);
        }
    } else if ((type == CONNACK || type == SUBACK) && size > 0 && body[size - 1] >= (type == CONNACK ? 1 : 0x80)) {
        bench_connection_fail(client, connection, "refused with code %u", body[size - 1]);
    } else if ((type == CONNACK || type == SUBACK) && connection->phase == BENCH_GREETING &&
               --connection->replies_left == 0) {
        bench_connection_ready(client, connection);
    }
}

static size_t read_input(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                         size_t size) {
    size_t at = 0;
    size_t head;
    size_t length;
    while (connection->phase != BENCH_CLOSED && read_length(data + at, size - at, &head, &length) &&
           size - at - head >= length) {
        on_packet(client, connection, data[at], data + at + head, length);
        at += head + length;
    }
    return at;
}

static void append_publications(struct bench_client *client, struct bench_publisher *publisher, struct buffer *out,
                                struct bench_stamp stamp, unsigned count) {
    struct buffer *topic = &client->scratch;
    buffer_clear(topic);
    bench_append_channel(client, topic, publisher->channel);
    for (unsigned i = 0; i < count; i++, stamp.number++) {
        buffer_append_u8(out, PUBLISH);
        append_length(out, 2 + topic->size + client->plan->size);
        append_text(out, buffer_span(topic));
        bench_stamp_append(out, &stamp, client->plan->size);
    }
}

static void say_goodbye(struct bench_client *client, struct bench_connection *connection) {
    static const uint8_t packet[] = {DISCONNECT, 0};
    bench_connection_send(client, connection, packet, sizeof packet);
}

const struct bench_protocol bench_protocol_mqtt = {
    .name = "mqtt",
    .many_channels = true,
    .greet = greet,
    .read = read_input,
    .append_publications = append_publications,
    .close = say_goodbye,
};
