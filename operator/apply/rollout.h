/* Has a workload rolled out, and if not, what is it waiting for? Pure: of the objects as the API server has them.
 * Thread: any. */
#ifndef CALLBOARD_OPERATOR_APPLY_ROLLOUT_H
#define CALLBOARD_OPERATOR_APPLY_ROLLOUT_H

#include "operator/manifest/manifest.h"

enum rollout_state {
    ROLLOUT_DONE, /* all pods that it shall have are of its template, and ready */
    ROLLOUT_GOING,
    ROLLOUT_STUCK, /* its controller has given it up (progressDeadlineSeconds) */
};

struct rollout {
    enum rollout_state state;
    const char *text; /* "2 of 3 pods are of the new version"; in the arena */
};

bool rollout_is_awaited(const manifest_t *object); /* a Deployment or StatefulSet */
struct rollout rollout_judge(arena_t *arena, const manifest_t *workload);
/* Why pods are not ready, at most three of them: "shop-redis-0: container redis: ImagePullBackOff: …". "" where all
 * are, or none says why. */
const char *rollout_pods_trouble(arena_t *arena, const manifests_t *pods);
/* A pod whose containers are being made, which says nothing of what keeps them: its events do (a Secret or
 * volume that is not there). NULL: there is none. */
const manifest_t *rollout_pod_being_made(const manifests_t *pods);
/* The last warning among events about an object: "FailedCreate: pods "shop-redis-0" is forbidden: …"; "": none. */
const char *rollout_events_trouble(arena_t *arena, const manifests_t *events);
/* "a=b,c=d" of spec.selector.matchLabels. */
const char *rollout_selector(arena_t *arena, const manifest_t *workload);

#endif
