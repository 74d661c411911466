/* Publish from C, once, however often that takes:  ./publish demo:hello '{"text":"hi"}' [tcp://127.0.0.1:7710]
 *
 *     cc publish.c $(pkg-config --cflags --libs callboard-client) -o publish */
#include <callboard_client.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 60000 };

int main(int argc, char **argv) {
    char error[256];
    struct callboard_message reply;
    if (argc < 3) {
        fprintf(stderr, "usage: %s CHANNEL JSON [ENDPOINT]\n", argv[0]);
        return 2;
    }
    struct callboard_client_options options = {.endpoint = argc > 3 ? argv[3] : "tcp://127.0.0.1:7710"};
    callboard_client_t *client = callboard_client_new(&options, error, sizeof error);
    if (client == NULL) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    struct callboard_bytes payload = {argv[2], strlen(argv[2])};
    enum callboard_outcome outcome = callboard_publish(client, argv[1], payload, PATIENCE_MS, &reply);
    if (outcome == CALLBOARD_TIMEOUT) {
        fprintf(stderr, "no answer for so long; it may have been published\n");
    } else {
        fprintf(outcome == CALLBOARD_OK ? stdout : stderr, "%.*s\n", (int) reply.body.size,
                (const char *) reply.body.data);
    }
    callboard_client_destroy(&client);
    return outcome == CALLBOARD_OK ? 0 : outcome == CALLBOARD_TIMEOUT ? 3 : 1;
}
