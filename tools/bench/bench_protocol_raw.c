/* The raw endpoint: /ws/{channel}, a text message is a publication. The same client drives other servers of that kind.
 * Such servers do not answer a publication, so only its delivery tells that it came.
 *
 * In a storm users say where they were: Callboard tells positions in an envelope (envelope=1, then since and epoch),
 * nchan gives each message an id in front of it (subprotocol ws+meta.nchan, then last_event_id). An nchan id is kept in
 * the place of the epoch. */
#include "tools/bench/bench_protocol.h"
#include "tools/bench/bench_websocket.h"

#include <stdlib.h>

static struct bench_position *position_of(struct bench_client *client, const struct bench_connection *connection) {
    return &client->positions[bench_connection_index(client, connection)];
}

static void append_path(struct bench_client *client, const struct bench_connection *connection, struct buffer *path) {
    const struct bench_plan *plan = client->plan;
    buffer_append_text(path, bench_target_of(client, connection)->path);
    bench_append_channel(client, path, bench_channel_of(plan, connection->user, 0));
    size_t before = path->size;
    buffer_append_text(path, "?token=");
    bench_append_token(client, path, connection->user);
    if (path->size == before + sizeof "?token=" - 1) {
        path->size = before + 1;
    }
}

static void greet(struct bench_client *client, struct bench_connection *connection) {
    const struct bench_position *position = position_of(client, connection);
    struct buffer path = BUFFER_EMPTY;
    append_path(client, connection, &path);
    if (client->plan->missed > 0) {
        buffer_append_text(&path, "&envelope=1");
    }
    if (position->epoch[0] != '\0') {
        buffer_append_format(&path, "&since=%llu&epoch=%s", (unsigned long long) position->offset, position->epoch);
    }
    bench_websocket_greet(client, connection, buffer_span(&path), "");
    buffer_finish(&path);
}

static void greet_nchan(struct bench_client *client, struct bench_connection *connection) {
    const struct bench_position *position = position_of(client, connection);
    struct buffer path = BUFFER_EMPTY;
    append_path(client, connection, &path);
    if (position->epoch[0] != '\0') {
        buffer_append_format(&path, "&last_event_id=%s", position->epoch);
    }
    bench_websocket_greet(client, connection, buffer_span(&path),
                          client->plan->missed > 0 ? "Sec-WebSocket-Protocol: ws+meta.nchan\r\n" : "");
    buffer_finish(&path);
}

static void on_upgraded(struct bench_client *client, struct bench_connection *connection) {
    bench_connection_ready(client, connection);
}

/* The value behind "name":, from its first character on; NULL: not there. */
static const uint8_t *behind(const uint8_t *text, const uint8_t *end, const char *name) {
    const uint8_t *found = memmem(text, (size_t) (end - text), name, strlen(name));
    return found == NULL ? NULL : found + strlen(name);
}

/* Up to the delimiter; nothing where it is not there or has no room. */
static void copy_until(const uint8_t *at, const uint8_t *end, char delimiter, char ret[32]) {
    const uint8_t *close = at == NULL ? NULL : memchr(at, delimiter, (size_t) (end - at));
    if (close != NULL && close - at < 32) {
        memcpy(ret, at, (size_t) (close - at));
        ret[close - at] = '\0';
    }
}

static void take_position(struct bench_position *position, const uint8_t *text, const uint8_t *end) {
    const uint8_t *offset = behind(text, end, "\"offset\":");
    copy_until(behind(text, end, "\"epoch\":\""), end, '"', position->epoch);
    if (offset != NULL) {
        position->offset = 0;
        for (; offset < end && *offset >= '0' && *offset <= '9'; offset++) {
            position->offset = position->offset * 10 + (uint64_t) (*offset - '0');
        }
    }
}

static void on_message(struct bench_client *client, struct bench_connection *connection, const uint8_t *text,
                       size_t size) {
    static const char error[] = "{\"type\":\"error\"";
    struct bench_stamp stamp;
    const uint8_t *end = text + size;
    const uint8_t *behind_stamp = bench_stamp_find(text, end, &stamp);
    if (behind_stamp != NULL) {
        bench_client_delivery(client, connection, &stamp);
        if (client->plan->missed > 0) {
            take_position(position_of(client, connection), behind_stamp, end);
        }
    } else if (size >= sizeof error - 1 && memcmp(text, error, sizeof error - 1) == 0) {
        bench_count(&client->part->counts.publish_errors, 1);
        bench_client_tell(client, "user %u: %.*s", connection->user, (int) size, (const char *) text);
    } else if (client->plan->missed > 0) {
        take_position(position_of(client, connection), text, end);
    }
}

/* id: 1461261601:0, a line feed, maybe more headers, an empty line, the message. */
static void on_nchan_message(struct bench_client *client, struct bench_connection *connection, const uint8_t *text,
                             size_t size) {
    struct bench_stamp stamp;
    if (bench_stamp_find(text, text + size, &stamp) != NULL) {
        bench_client_delivery(client, connection, &stamp);
    }
    if (client->plan->missed > 0 && size > 4 && memcmp(text, "id: ", 4) == 0) {
        copy_until(text + 4, text + size, '\n', position_of(client, connection)->epoch);
    }
}

static size_t read_input(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                         size_t size) {
    static const struct bench_websocket_handlers handlers = {on_upgraded, on_message};
    return bench_websocket_read(client, connection, &handlers, data, size);
}

static size_t read_nchan(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                         size_t size) {
    static const struct bench_websocket_handlers handlers = {on_upgraded, on_nchan_message};
    return bench_websocket_read(client, connection, &handlers, data, size);
}

static void append_publications(struct bench_client *client, struct bench_publisher *publisher, struct buffer *out,
                                struct bench_stamp stamp, unsigned count) {
    (void) publisher;
    for (unsigned i = 0; i < count; i++, stamp.number++) {
        bench_websocket_append_head(out, client->plan->size);
        bench_stamp_append(out, &stamp, client->plan->size);
    }
}

const struct bench_protocol bench_protocol_raw = {
    .name = "raw",
    .is_websocket = true,
    .can_resume = true,
    .greet = greet,
    .read = read_input,
    .append_publications = append_publications,
    .close = bench_websocket_close,
};

const struct bench_protocol bench_protocol_nchan = {
    .name = "nchan",
    .is_websocket = true,
    .can_resume = true,
    .greet = greet_nchan,
    .read = read_nchan,
    .append_publications = append_publications,
    .close = bench_websocket_close,
};
