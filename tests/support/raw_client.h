/* A blocking TCP client for tests of HTTP and WebSocket servers: sends exactly the bytes it is told, reads with a
 * deadline. Every failure fails the test. */
#ifndef CALLBOARD_TESTS_RAW_CLIENT_H
#define CALLBOARD_TESTS_RAW_CLIENT_H

#include "base/bytes.h"

#include <stdbool.h>

enum { RAW_CLIENT_DEADLINE_MS = 20000 };

struct raw_client {
    int descriptor;
    struct buffer input; /* what came and was not consumed */
    bool is_closed;      /* the server closed (or reset) */
};

void raw_client_connect(struct raw_client *self, int port);
void raw_client_close(struct raw_client *self);
void raw_client_send(struct raw_client *self, const void *bytes, size_t size);
void raw_client_send_text(struct raw_client *self, const char *text);
/* Reads until the server closed; true when it did so within the deadline. */
bool raw_client_read_all(struct raw_client *self);
/* Reads until `text` is in the input, or the server closed; false then. */
bool raw_client_read_until(struct raw_client *self, const char *text);
/* Reads until `size` bytes are in the input; false when the server closed before. */
bool raw_client_read_size(struct raw_client *self, size_t size);
/* The input starts with this. */
bool raw_client_starts_with(const struct raw_client *self, const char *text);
bool raw_client_contains(const struct raw_client *self, const char *text);
/* Nothing comes and the connection stays open for this long. */
bool raw_client_is_quiet(struct raw_client *self, int for_ms);

/* --- WebSocket, after the handshake --- */

/* GET with the usual headers plus `extra` ("Name: value\r\n…"); true when 101 came, the input is behind it then. */
bool raw_client_upgrade(struct raw_client *self, int port, const char *path, const char *extra);
/* A masked frame. */
void raw_client_send_frame(struct raw_client *self, unsigned opcode, bool final, struct span message);
/* Reads one frame; the payload is copied into `ret_payload` (NUL-terminated text of at most size - 1 bytes). Returns
 * the opcode, or -1 when the server closed. */
int raw_client_read_frame(struct raw_client *self, char *ret_payload, size_t size);
/* Reads frames until a close frame; returns its code (0: the server closed without one), its reason in `ret_reason`. */
unsigned raw_client_read_close(struct raw_client *self, char *ret_reason, size_t size);

#endif
