/* Answer clients' calls from C:  ./worker rpc:echo [tcp://127.0.0.1:7710]   (the gateways need client.rpc: true)
 *
 *     cc worker.c $(pkg-config --cflags --libs callboard-client libcjson) -o worker
 *
 * Each call is answered with the data that it came with. Ctrl-C or SIGTERM: takes no more, answers what it has, ends.
 */
#include <callboard_client.h>
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>

enum { ANSWER_MS = 5000, SILENCE_MS = 2000 };

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    (void) signal_number;
    stopped = 1;
}

/* Registers for one method, or for none: "take no more". Again and again, since a broker that was away forgets it. */
static void work(callboard_client_t *client, const char *method) {
    struct callboard_message reply;
    cJSON *params = cJSON_CreateObject();
    cJSON *methods = cJSON_AddArrayToObject(params, "methods");
    if (method != NULL) {
        cJSON_AddItemToArray(methods, cJSON_CreateString(method));
    }
    char *text = cJSON_PrintUnformatted(params);
    if (callboard_request(client, "work", text, NULL, ANSWER_MS, &reply) != CALLBOARD_OK) {
        fprintf(stderr, "not registered: %.*s\n", (int) reply.body.size, (const char *) reply.body.data);
    }
    cJSON_Delete(params);
    cJSON_free(text);
}

static void answer(callboard_client_t *client, const struct callboard_message *call) {
    fprintf(stderr, "asked: %.*s\n", (int) call->body.size, (const char *) call->body.data);
    callboard_answer(client, call, "{\"result\":{}}", &call->payload);
}

int main(int argc, char **argv) {
    char error[256];
    struct callboard_message call;
    struct callboard_client_options options = {.endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:7710"};
    callboard_client_t *client = argc > 1 ? callboard_client_new(&options, error, sizeof error) : NULL;
    if (client == NULL) {
        fprintf(stderr, "%s\n", argc > 1 ? error : "usage: worker METHOD [ENDPOINT]");
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
        work(client, NULL);
        while (callboard_receive(client, 0, &call) == CALLBOARD_REQUEST) {
            answer(client, &call);
            answered = true;
        }
    }
    callboard_client_destroy(&client);
    return 0;
}
