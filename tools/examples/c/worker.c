/* Answer clients' calls, and decide what they may subscribe to, from C:
 *
 *     cc worker.c $(pkg-config --cflags --libs callboard-client libcjson) -o worker
 *     ./worker rpc:echo,subscribe [tcp://127.0.0.1:7710]
 *
 * The gateways need client.rpc: true for rpc, and the namespace subscribe_proxy_enabled: true for subscribe. An rpc is
 * answered with the data that it came with; a channel that ends with -USER is for that user alone. Ctrl-C or SIGTERM:
 * takes no more, answers what it has, ends. */
#include <callboard_client.h>
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MS = 5000, SILENCE_MS = 2000 };

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    (void) signal_number;
    stopped = 1;
}

/* Registers for methods with commas between, or for none: "take no more". Again and again, since a broker that was away
 * forgets it. */
static void work(callboard_client_t *client, const char *methods) {
    struct callboard_message reply;
    cJSON *params = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(params, "methods");
    for (const char *at = methods; *at != '\0';) {
        char name[128];
        size_t length = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int) length, at);
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
        at += length + (at[length] == ',');
    }
    char *text = cJSON_PrintUnformatted(params);
    if (callboard_request(client, "work", text, NULL, ANSWER_MS, &reply) != CALLBOARD_OK) {
        fprintf(stderr, "not registered: %.*s\n", (int) reply.body.size, (const char *) reply.body.data);
    }
    cJSON_Delete(params);
    cJSON_free(text);
}

static const char *text_of(const cJSON *body, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(body, name));
    return text == NULL ? "" : text;
}

/* Does the channel end with -USER? */
static bool is_owner(const char *channel, const char *user) {
    size_t length = strlen(channel);
    size_t tail = strlen(user);
    return tail > 0 && length > tail && channel[length - tail - 1] == '-' && strcmp(channel + length - tail, user) == 0;
}

static void answer(callboard_client_t *client, const struct callboard_message *call) {
    cJSON *body = cJSON_ParseWithLength(call->body.data, call->body.size);
    fprintf(stderr, "asked: %.*s\n", (int) call->body.size, (const char *) call->body.data);
    if (strcmp(text_of(body, "method"), "subscribe") != 0) {
        callboard_answer(client, call, "{\"result\":{}}", &call->payload);
    } else if (is_owner(text_of(body, "channel"), text_of(body, "user"))) {
        callboard_answer(client, call, "{\"result\":{\"info\":{\"owner\":true}}}", NULL);
    } else {
        callboard_answer(client, call, "{\"error\":{\"code\":403,\"message\":\"the channel is somebody else's\"}}",
                         NULL);
    }
    cJSON_Delete(body);
}

int main(int argc, char **argv) {
    char error[256];
    struct callboard_message call;
    struct callboard_client_options options = {.endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:7710"};
    callboard_client_t *client = argc > 1 ? callboard_client_new(&options, error, sizeof error) : NULL;
    if (client == NULL) {
        fprintf(stderr, "%s\n", argc > 1 ? error : "usage: worker METHOD[,METHOD] [ENDPOINT]");
        return 2;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    while (!stopped) {
        work(client, argv[1]);
        while (!stopped && callboard_receive(client, SILENCE_MS, &call) == CALLBOARD_REQUEST) {
            answer(client, &call);
        }
    }
    for (bool answered = true; answered;) { /* the broker's ok comes after all that was sent before has arrived */
        answered = false;
        work(client, "");
        while (callboard_receive(client, 0, &call) == CALLBOARD_REQUEST) {
            answer(client, &call);
            answered = true;
        }
    }
    callboard_client_destroy(&client);
    return 0;
}
