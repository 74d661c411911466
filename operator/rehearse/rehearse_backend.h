/* What a rehearsal asks brokers: to publish, and what a channel's history holds. Over ZeroMQ, one request at a time;
 * the next address is taken when one does not answer. Thread: the owner's; each thread has its own. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_BACKEND_H
#define CALLBOARD_OPERATOR_REHEARSE_BACKEND_H

#include "base/json_scan.h"

typedef struct rehearse_backend rehearse_backend_t;

enum { REHEARSE_ERROR_SIZE = 384, REHEARSE_ADDRESSES_MAX = 16 };

struct rehearse_backend_options {
    const char *addresses;        /* tcp://host:port,… */
    const char *curve_key_file;   /* NULL: without CURVE */
    const char *curve_broker_key; /* Z85, or a file */
};

enum rehearse_answer {
    REHEARSE_ANSWER_DONE,
    REHEARSE_ANSWER_REFUSED, /* nothing was done; later it may be */
    REHEARSE_ANSWER_UNKNOWN, /* nobody answered, or nobody knows */
    REHEARSE_ANSWER_NEVER,   /* refused, and it will be again: rights, a channel of no namespace */
};

/* first: which address is asked first. NULL: ret_error says what is wrong with the options. */
rehearse_backend_t *rehearse_backend_new(const struct rehearse_backend_options *options, size_t first, char *ret_error,
                                         size_t error_size);
void rehearse_backend_destroy(rehearse_backend_t **self_p); /* accepts NULL */

enum rehearse_answer rehearse_backend_publish(rehearse_backend_t *self, const char *channel, struct span data,
                                              const char *key, int timeout_ms);
/* All that the channel's history holds, the oldest first. */
enum rehearse_answer rehearse_backend_history(rehearse_backend_t *self, const char *channel, int timeout_ms,
                                              void (*on_data)(void *context, struct json_value data), void *context);
const char *rehearse_backend_error(const rehearse_backend_t *self); /* what the last one that was not DONE said */

/* Cuts a list at its commas: the n-th of them, modulo their number. False: it is empty, too long, or has too many. */
bool rehearse_pick_address(const char *list, size_t n, char *ret_address, size_t size);

#endif
