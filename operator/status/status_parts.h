/* What the files of this folder share and nobody else includes. Thread: any. */
#ifndef CALLBOARD_OPERATOR_STATUS_STATUS_PARTS_H
#define CALLBOARD_OPERATOR_STATUS_STATUS_PARTS_H

#include "operator/status/status.h"

/* While a page is made. */
struct status {
    arena_t *arena;
    const struct status_input *input;
    manifest_t *page;
    manifest_t *errors; /* in the order in which they are looked at: what others follow from comes first */
    manifest_t *cautions;
};

/* `mend` may be "". */
void status_add_error(struct status *self, const char *where, const char *what, const char *mend);
void status_add_warning(struct status *self, const char *where, const char *what, const char *mend);

/* ---- looking ---- */

const char *status_text_at(const manifest_t *node, const char *path); /* "" where there is none, or node is NULL */
int64_t status_int_at(const manifest_t *node, const char *path, int64_t otherwise);
bool status_bool_at(const manifest_t *node, const char *path);
const char *status_label(const manifest_t *object, const char *label);
bool status_is_kind(const manifest_t *object, const char *kind);
const char *status_component(const manifest_t *object);
const manifest_t *status_find(const struct status *self, const char *kind, const char *name); /* NULL: none */
/* The StatefulSet or Deployment of this part; NULL: none. */
const manifest_t *status_workload(const struct status *self, const char *component);
const struct status_answer *status_answer_of(const struct status *self, const char *pod, const char *page);
/* Its JSON; NULL: none, and *ret_why says why. */
manifest_t *status_json_of(const struct status *self, const char *pod, const char *page, const char **ret_why);
/* The pods of one part by name, those that end left out; *ret_n of them. */
const manifest_t **status_pods(const struct status *self, const char *component, size_t *ret_n);

/* The sum over all series of a metric; false: there is none. `label`: only series with this text among the labels. */
bool status_metric(struct span text, const char *name, const char *label, double *ret_sum);

/* ---- the sections, each adds its part of the page and what is wrong ---- */

void status_add_redis(struct status *self);
void status_judge_redis(struct status *self, const manifest_t *redis);
void status_add_brokers(struct status *self);
void status_add_gateways(struct status *self);
void status_add_workloads(struct status *self);
void status_add_claims(struct status *self);
void status_add_certificates(struct status *self);

/* Why a pod is not ready, in a few words, and how to mend it; "" : it is. */
const char *status_pod_reason(arena_t *arena, const manifest_t *pod, const char **ret_mend);

#endif
