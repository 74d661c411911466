/* A password of Redis becomes another one without an outage, in three steps. What is accepted and what is used stand in
 * the Secret itself, line by line, so nothing else is kept, and each step may be repeated:
 *
 *     OLD ──add──▶ OLD, NEW ──use──▶ NEW, OLD ──drop──▶ NEW
 *
 * users.acl accepts every line (${acl:…}); who logs in takes the first one. After each step Redis and Sentinel are
 * rolled, after `use` the brokers, too. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CLI_SECRET_ROTATION_H
#define CALLBOARD_OPERATOR_CLI_SECRET_ROTATION_H

#include "operator/manifest/manifest.h"
#include "operator/spec/spec.h"

enum rotation_step { ROTATION_ADD, ROTATION_USE, ROTATION_DROP, ROTATION_STEPS };

/* False: no such step. */
bool rotation_step_parse(const char *text, enum rotation_step *ret_step);

/* The Secret `spec.auth.existing_secret` after this step: found in `current`, what `kubectl get secret -o yaml` or
 * `-o json` printed (one Secret, or a List). Added to `out`, with all its keys. NULL: done; else why not, in the arena
 * of `out`. The spec runs its own Redis. */
const char *rotation_apply(const struct spec *spec, enum rotation_step step, struct span current, manifests_t *out);
/* What is to be done with it then, for a person. */
const char *rotation_advice(arena_t *arena, const struct spec *spec, enum rotation_step step);

#endif
