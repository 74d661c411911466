/* What the threads of a workload share, and nobody else includes: each part is written by one thread, and what others
 * look at is atomic. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_WORKLOAD_PARTS_H
#define CALLBOARD_OPERATOR_REHEARSE_WORKLOAD_PARTS_H

#include "operator/rehearse/rehearse_workload.h"

#include <pthread.h>
#include <stdatomic.h>

enum { REHEARSE_CHANNEL_NAME_SIZE = 300, REHEARSE_RUN_SIZE = 13 };

struct rehearse_publisher {
    struct rehearse_workload *workload;
    uint8_t channel;
    pthread_t thread;
    rehearse_backend_t *backend;
    struct rehearse_log log;
    atomic_uint sent;  /* the number of the last one */
    atomic_uint acked; /* the same */
};

struct rehearse_subscriber {
    struct rehearse_workload *workload;
    uint8_t number;
    pthread_t thread;
    struct rehearse_log log;
    atomic_bool is_ready;                         /* it has had all channels */
    atomic_uint delivered[REHEARSE_CHANNELS_MAX]; /* the highest number */
};

struct rehearse_workload {
    struct rehearse_workload_options options;
    struct rehearse_tokens tokens;
    char run[REHEARSE_RUN_SIZE]; /* what others publish there is none of ours */
    char names[REHEARSE_CHANNELS_MAX][REHEARSE_CHANNEL_NAME_SIZE];
    struct rehearse_publisher publishers[REHEARSE_CHANNELS_MAX];
    struct rehearse_subscriber subscribers[REHEARSE_SUBSCRIBERS_MAX];
    size_t n_publishers;  /* that run */
    size_t n_subscribers; /* the same */
    struct rehearse_log log;
    unsigned mark[REHEARSE_CHANNELS_MAX];
    atomic_bool is_publishing; /* false: each publisher ends after its present publication */
    atomic_bool is_over;       /* everybody ends at once */
    atomic_ullong failed_tries;
    atomic_ullong acked;
    atomic_bool is_forbidden;
    pthread_mutex_t error_lock; /* of the text, which is written when something goes wrong */
    char error[REHEARSE_ERROR_SIZE];
    char told_error[REHEARSE_ERROR_SIZE];
};

void *rehearse_publisher_run(void *publisher);
void *rehearse_subscriber_run(void *subscriber);

void rehearse_workload_set_error(struct rehearse_workload *self, bool is_for_good, const char *error);
/* False: it is over. */
bool rehearse_workload_pause(const struct rehearse_workload *self, uint64_t ms);
/* The number that a payload of this run has; 0: it is another one's. */
uint32_t rehearse_workload_number_of(const struct rehearse_workload *self, struct json_value data);

#endif
