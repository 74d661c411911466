/* How many connections each user may have at all gateways together (client.connections_per_user): the broker that the
 * user's hash leads to counts them, and this is a worker's side of it.
 *
 *   a client connects ──ask──▶ USER_TAKE ──▶ it may, or 3504
 *   a connection ends ──tell─▶ USER_COUNTS (its user has so many now)
 *   a broker comes, goes, drains; a reload switches it on ──▶ USER_COUNTS of everybody, anew
 *
 * Off (0) nothing is asked and nothing told. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_USER_PLACES_H
#define CALLBOARD_GATEWAY_USER_PLACES_H

#include "base/user_count.h"
#include "gateway/broker_requests.h"

typedef struct user_places user_places_t;

struct user_places_options {
    broker_requests_t *brokers;
    const user_count_t *users; /* this worker's connections, those that ask for their place too */
    metrics_t *metrics;
};

/* It is off until user_places_configure. */
user_places_t *user_places_new(const struct user_places_options *options);
/* Before its brokers. Accepts NULL. */
void user_places_destroy(user_places_t **self_p);
/* 0: no bound. Those who are there stay, whatever it was before. NULL is accepted. */
void user_places_configure(user_places_t *self, int64_t most);

/* One that asks. */
struct user_place {
    void (*on_judged)(struct user_place *place, bool may);
    /* its own */
    struct broker_request request;
    user_places_t *places;
    uint64_t user;
    uint32_t asked; /* how many the worker would have */
};
/* Its connection stands among the worker's users already. True: on_judged follows, never inside the call. False: there
 * is no bound, or no broker to ask, and it may. */
bool user_places_ask(user_places_t *self, struct user_place *place, struct span user);
void user_place_cancel(struct user_place *place); /* no on_judged any more; harmless when it came */
/* A connection of his has ended. */
void user_places_tell(user_places_t *self, struct span user);

#endif
