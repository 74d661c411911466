/* The CURVE pairs of brokers and gateways become others without an outage, in the same three steps as passwords. NAME
 * is broker.key and gateway.key; NAME.pub is what the other side takes, a line for each key that counts:
 *
 *     NAME: old   NAME.pub: old         ──add──▶  NAME: old   NAME.pub: old, new   NAME.next: new
 *     NAME: new   NAME.pub: new, old    ◀──use──
 *     NAME: new   NAME.pub: new         ◀──drop── that
 *
 * Brokers let in every key of gateway.key.pub, read again each second; gateways dial a broker with one key of
 * broker.key.pub and then with the other. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CLI_CURVE_ROTATION_H
#define CALLBOARD_OPERATOR_CLI_CURVE_ROTATION_H

#include "operator/cli/secret_rotation.h"

/* The Secret `spec.broker.curve_secret` after this step, found in `current` and added to `out` with all its keys. NULL:
 * done, or (*ret_is_there false) it is not in `current`; else why not, in the arena of `out`. */
const char *curve_rotation_apply(const struct spec *spec, enum rotation_step step, struct span current,
                                 manifests_t *out, bool *ret_is_there);
/* What is to be done with it then, for a person. */
const char *curve_rotation_advice(arena_t *arena, const struct spec *spec, enum rotation_step step);

#endif
