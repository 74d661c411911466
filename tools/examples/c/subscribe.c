/* Read a channel from C and miss nothing, whatever happens to the connection or the broker:
 *
 *     cc subscribe.c $(pkg-config --cflags --libs callboard-client libcjson) -o subscribe
 *     ./subscribe demo:hello [tcp://127.0.0.1:7710]
 *
 * Prints each publication after its offset, and "gap" where the history no longer held what comes next: there a service
 * reads its state anew. */
#include <callboard_client.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MS = 5000, SILENCE_MS = 2000 };

struct position {
    double offset;
    char epoch[64]; /* "": none yet */
};

static void take_position(const cJSON *body, struct position *position) {
    const char *epoch = cJSON_GetStringValue(cJSON_GetObjectItem(body, "epoch"));
    snprintf(position->epoch, sizeof position->epoch, "%s", epoch == NULL ? "" : epoch);
    position->offset = cJSON_GetNumberValue(cJSON_GetObjectItem(body, "offset"));
}

/* From the position on. Error 105: the broker has this subscription still, all is well. */
static void subscribe(callboard_client_t *client, const char *channel, struct position *position) {
    struct callboard_message reply;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "channel", channel);
    if (position->epoch[0] != '\0') {
        cJSON *since = cJSON_AddObjectToObject(params, "since");
        cJSON_AddStringToObject(since, "epoch", position->epoch);
        cJSON_AddNumberToObject(since, "offset", position->offset);
    }
    char *text = cJSON_PrintUnformatted(params);
    enum callboard_outcome outcome = callboard_request(client, "subscribe", text, NULL, ANSWER_MS, &reply);
    cJSON *body = cJSON_ParseWithLength(reply.body.data, reply.body.size);
    if (outcome == CALLBOARD_OK) {
        fprintf(stderr, "subscribed\n");
        take_position(body, position);
    } else if (cJSON_GetNumberValue(cJSON_GetObjectItem(body, "code")) != 105) {
        fprintf(stderr, "not subscribed, trying on: %.*s\n", (int) reply.body.size, (const char *) reply.body.data);
    }
    cJSON_Delete(body);
    cJSON_Delete(params);
    cJSON_free(text);
}

static void take_event(const struct callboard_message *event, struct position *position) {
    cJSON *body = cJSON_ParseWithLength(event->body.data, event->body.size);
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItem(body, "type"));
    if (type != NULL && (strcmp(type, "publication") == 0 || strcmp(type, "gap") == 0)) {
        take_position(body, position);
    }
    if (type != NULL && strcmp(type, "publication") == 0) {
        printf("%.0f %.*s\n", position->offset, (int) event->payload.size, (const char *) event->payload.data);
    } else if (type != NULL && strcmp(type, "gap") == 0) {
        printf("gap\n");
    }
    fflush(stdout);
    cJSON_Delete(body);
}

int main(int argc, char **argv) {
    char error[256];
    struct callboard_message event;
    struct position position = {.epoch = ""};
    struct callboard_client_options options = {.endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:7710"};
    callboard_client_t *client = argc > 1 ? callboard_client_new(&options, error, sizeof error) : NULL;
    if (client == NULL) {
        fprintf(stderr, "%s\n", argc > 1 ? error : "usage: subscribe CHANNEL [ENDPOINT]");
        return 2;
    }
    for (;;) {
        subscribe(client, argv[1], &position);
        while (callboard_receive(client, SILENCE_MS, &event) == CALLBOARD_EVENT) {
            take_event(&event, &position);
        }
    }
}
