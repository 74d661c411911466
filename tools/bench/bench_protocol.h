/* How users speak to a server. Centrifuge (JSON) and raw are WebSockets; MQTT 3.1.1 and NATS are there to put Callboard
 * side by side with other servers on the same work. Thread: a worker process's only one. */
#ifndef CALLBOARD_TOOLS_BENCH_PROTOCOL_H
#define CALLBOARD_TOOLS_BENCH_PROTOCOL_H

#include "tools/bench/bench_client.h"

struct bench_protocol {
    const char *name;
    bool is_websocket;
    bool many_channels; /* a connection may subscribe to more than one */
    bool can_resume;    /* a user that comes back says where it was */
    /* TCP is up: says the first word, as far as it is the client's. */
    void (*greet)(struct bench_client *client, struct bench_connection *connection);
    /* What came, with what was left over before; returns how much was used. It may end the connection. */
    size_t (*read)(struct bench_client *client, struct bench_connection *connection, const uint8_t *data, size_t size);
    /* Appends `count` publications, the first one numbered `stamp->number`. */
    void (*append_publications)(struct bench_client *client, struct bench_publisher *publisher, struct buffer *out,
                                struct bench_stamp stamp, unsigned count);
    /* Asks the server to end the connection in its regular way. */
    void (*close)(struct bench_client *client, struct bench_connection *connection);
};

extern const struct bench_protocol bench_protocol_centrifuge;
extern const struct bench_protocol bench_protocol_raw;
extern const struct bench_protocol bench_protocol_nchan;
extern const struct bench_protocol bench_protocol_mqtt;
extern const struct bench_protocol bench_protocol_nats;
const struct bench_protocol *bench_protocol_of(enum bench_protocol_kind kind);

#endif
