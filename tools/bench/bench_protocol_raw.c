/* The raw endpoint: /ws/{channel}, a text message is a publication. The same client drives other servers of that kind.
 * Such servers do not answer a publication, so only its delivery tells that it came. */
#include "tools/bench/bench_protocol.h"
#include "tools/bench/bench_websocket.h"

static void greet(struct bench_client *client, struct bench_connection *connection) {
    const struct bench_plan *plan = client->plan;
    struct buffer path = BUFFER_EMPTY;
    buffer_append_text(&path, plan->targets[connection->user % plan->n_targets].path);
    bench_append_channel(client, &path, bench_channel_of(plan, connection->user, 0));
    size_t before = path.size;
    buffer_append_text(&path, "?token=");
    bench_append_token(client, &path, connection->user);
    if (path.size == before + sizeof "?token=" - 1) {
        path.size = before;
    }
    bench_websocket_greet(client, connection, buffer_span(&path));
    buffer_finish(&path);
}

static void on_upgraded(struct bench_client *client, struct bench_connection *connection) {
    bench_connection_ready(client, connection);
}

static void on_message(struct bench_client *client, struct bench_connection *connection, const uint8_t *text,
                       size_t size) {
    struct bench_stamp stamp;
    if (bench_stamp_find(text, text + size, &stamp) != NULL) {
        bench_client_delivery(client, connection, &stamp);
    } else if (size > 9 && memcmp(text, "{\"error\":", 9) == 0) {
        bench_count(&client->part->counts.publish_errors, 1);
        bench_client_tell(client, "user %u: %.*s", connection->user, (int) size, (const char *) text);
    }
}

static size_t read_input(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                         size_t size) {
    static const struct bench_websocket_handlers handlers = {on_upgraded, on_message};
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
    .greet = greet,
    .read = read_input,
    .append_publications = append_publications,
    .close = bench_websocket_close,
};
