/* Do a thing that only one of many may do, from C:
 *
 *     cc lease.c $(pkg-config --cflags --libs callboard-client libcjson) -o lease
 *     ./lease jobs:nightly [tcp://127.0.0.1:7710]
 *
 * Waits for the lease, says "holds TOKEN" while it has it, and waits again when it is lost. Whatever is changed under
 * it gets the token, and refuses one below the highest it has seen: only that keeps out a holder who stood still past
 * the end. Ctrl-C or SIGTERM: releases it and ends. */
#define _GNU_SOURCE
#include <callboard_client.h>
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { TTL_MS = 3000, WAIT_MS = 2000, ANSWER_MS = 2000, PIECE_MS = 100, PAUSE_MS = 100, PAUSE_MAX_MS = 5000 };
enum { LEASE_LOST = 123, LEASE_HELD = 125 };

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    (void) signal_number;
    stopped = 1;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int64_t ms) {
    struct timespec time = {.tv_sec = (time_t) (ms / 1000), .tv_nsec = (long) (ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Anything up to the longest pause of this try. */
static void pause_before_try(int attempt) {
    uint16_t chance = 0;
    int longest = attempt > 5 ? PAUSE_MAX_MS : PAUSE_MS << attempt;
    if (getrandom(&chance, sizeof chance, 0) == (ssize_t) sizeof chance) {
        pause_ms(chance % longest);
    }
}

static void new_key(char *ret_key) {
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t) sizeof random) {
        abort();
    }
    for (size_t i = 0; i < sizeof random; i++) {
        sprintf(ret_key + 2 * i, "%02x", random[i]);
    }
}

struct lease {
    callboard_client_t *client;
    const char *name;
    double token;
    int64_t end_ms; /* by our own clock, counted from before we asked */
};

static double number(const cJSON *body, const char *name) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(body, name));
}

/* Whole: cJSON may write a number of sixteen digits with an exponent. */
static void add_token(cJSON *params, double token) {
    char text[32];
    snprintf(text, sizeof text, "%.0f", token);
    cJSON_AddRawToObject(params, "token", text);
}

/* Asks, and takes `params`. *ret_body is to be deleted; it is NULL where there was no answer. */
static enum callboard_outcome ask(struct lease *self, const char *method, cJSON *params, int64_t wait_ms,
                                  cJSON **ret_body) {
    struct callboard_message reply;
    cJSON_AddStringToObject(params, "name", self->name);
    char *text = cJSON_PrintUnformatted(params);
    enum callboard_outcome outcome = callboard_request(self->client, method, text, NULL, (int) wait_ms, &reply);
    *ret_body = cJSON_ParseWithLength(reply.body.data, reply.body.size);
    if (outcome != CALLBOARD_OK && number(*ret_body, "code") != LEASE_HELD) {
        fprintf(stderr, "%s: %.*s\n", method, (int) reply.body.size, (const char *) reply.body.data);
    }
    if (outcome == CALLBOARD_ERROR && !callboard_is_temporary(&reply) && number(*ret_body, "code") != LEASE_HELD &&
        number(*ret_body, "code") != LEASE_LOST) {
        exit(1); /* that will not become better */
    }
    cJSON_free(text);
    cJSON_Delete(params);
    return outcome;
}

/* False: stopped. */
static bool acquire(struct lease *self) {
    char key[33];
    new_key(key);
    for (int attempt = 0; !stopped; attempt++) {
        cJSON *body;
        int64_t asked_ms = now_ms();
        cJSON *params = cJSON_CreateObject();
        cJSON_AddNumberToObject(params, "ttl", TTL_MS);
        cJSON_AddNumberToObject(params, "wait", WAIT_MS);
        cJSON_AddStringToObject(params, "idempotency_key", key);
        enum callboard_outcome outcome = ask(self, "lease.acquire", params, WAIT_MS + ANSWER_MS, &body);
        self->token = number(body, "token");
        self->end_ms = asked_ms + (int64_t) (outcome == CALLBOARD_OK ? number(body, "ttl") : 0);
        bool is_held = outcome == CALLBOARD_ERROR && number(body, "code") == LEASE_HELD;
        cJSON_Delete(body);
        if (outcome == CALLBOARD_OK) {
            return true;
        }
        if (is_held) { /* somebody has it: another asking */
            new_key(key);
            attempt = -1;
        } else {
            pause_before_try(attempt); /* unknown: under the same key we find the lease if we have it */
        }
    }
    return false;
}

/* A small piece of it, shorter than what is left of the lease; with the token for whoever takes the result. */
static void work(double token) {
    (void) token;
    pause_ms(PIECE_MS);
}

/* Renews at a third of the time, until it is lost (true) or we are stopped (false). */
static bool hold(struct lease *self) {
    int64_t renew_ms = now_ms() + TTL_MS / 3;
    while (!stopped) {
        cJSON *body;
        work(self->token);
        int64_t now = now_ms();
        if (now >= self->end_ms) {
            return true;
        }
        if (now < renew_ms) {
            continue;
        }
        cJSON *params = cJSON_CreateObject();
        add_token(params, self->token);
        cJSON_AddNumberToObject(params, "ttl", TTL_MS);
        int64_t left_ms = self->end_ms - now;
        enum callboard_outcome outcome = ask(self, "lease.renew", params, left_ms < 1000 ? left_ms : 1000, &body);
        bool is_lost = outcome == CALLBOARD_ERROR && number(body, "code") == LEASE_LOST;
        if (outcome == CALLBOARD_OK) { /* else unknown: again, as long as it is ours */
            self->end_ms = now + (int64_t) number(body, "ttl");
            renew_ms = now + TTL_MS / 3;
        }
        cJSON_Delete(body);
        if (is_lost) {
            return true;
        }
    }
    return false;
}

static void give_back(struct lease *self) {
    cJSON *body;
    cJSON *params = cJSON_CreateObject();
    add_token(params, self->token);
    ask(self, "lease.release", params, ANSWER_MS, &body); /* without an answer it ends by itself */
    cJSON_Delete(body);
}

int main(int argc, char **argv) {
    char error[256];
    struct callboard_client_options options = {.endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:7710"};
    struct lease lease = {.name = argc > 1 ? argv[1] : NULL};
    lease.client = argc > 1 ? callboard_client_new(&options, error, sizeof error) : NULL;
    if (lease.client == NULL) {
        fprintf(stderr, "%s\n", argc > 1 ? error : "usage: lease NAME [ENDPOINT]");
        return 2;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (acquire(&lease)) {
        printf("holds %.0f\n", lease.token);
        if (hold(&lease)) {
            printf("lost\n");
            continue;
        }
        give_back(&lease);
        printf("released\n");
    }
    callboard_client_destroy(&lease.client);
    return 0;
}
