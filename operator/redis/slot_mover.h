/* Moves slots from one pod of a Redis Cluster to another, one at a time, while clients go on: no key is lost or seen
 * twice, and what is broken off anywhere is gone on with by moving the same slot again. Keeps a connection to each pod
 * it speaks to. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_SLOT_MOVER_H
#define CALLBOARD_OPERATOR_SLOT_MOVER_H

#include "operator/redis/redis_dialer.h"
#include "operator/redis/scale_plan.h"

typedef struct slot_mover slot_mover_t;

enum { SLOT_MOVER_ERROR_MAX = 512 };

enum slot_result {
    SLOT_MOVED,
    SLOT_NOT_YET, /* a connection was cut, a role has changed, the key is too large for the time: look, and move it
                     again */
    SLOT_TWICE,   /* one of its keys is there already, as something else: a person decides */
    SLOT_DENIED,  /* our user may not */
};

/* All are borrowed. */
slot_mover_t *slot_mover_new(redis_dialer_t *dialer, const struct redis_pods *pods,
                             const struct redis_options *options);
void slot_mover_destroy(slot_mover_t **self_p); /* accepts NULL */

/* Keys in the slots of the moves, as the owners count them. */
bool slot_mover_count(slot_mover_t *self, const struct scale_move *moves, size_t n, uint64_t *ret_keys,
                      char ret_error[SLOT_MOVER_ERROR_MAX]);

/* view: names, addresses and ids. replaces: a key that is on both sides is the one of the side that serves the slot. */
enum slot_result slot_mover_move(slot_mover_t *self, const struct cluster_view *view, const struct scale_move *move,
                                 bool replaces, char ret_error[SLOT_MOVER_ERROR_MAX]);
uint64_t slot_mover_keys(const slot_mover_t *self); /* moved so far */

/* What a move sends, as words for redis-cli, to whoever prints it: pod and words, NULL-terminated. The password is not
 * among them. */
void slot_mover_describe(const struct redis_options *options, const struct cluster_view *view,
                         const struct scale_move *move,
                         void (*print)(void *context, unsigned pod, const char *const *words), void *context);

#endif
