/* Whose a value of an object is, as the API server keeps it in metadata.managedFields: for each manager a tree of what
 * it set, whose keys are f:NAME (a member), k:{…} (an item of a list by its keys), v:VALUE (an item that is a value).
 *
 *     struct live_managers managers;
 *     live_managers_read(&managers, arena, object);
 *     struct live_place spec = live_place_member(&managers, live_place_top(&managers), "spec");
 *     live_place_owner(&managers, &spec, LIVE_OURS) … NULL: nobody of ours set it
 *
 * Ours are callboard-operator, helm, and whoever set our label app.kubernetes.io/part-of: that one installed the object
 * (kubectl apply, a GitOps controller). Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_LIVE_LIVE_MANAGERS_H
#define CALLBOARD_OPERATOR_LIVE_LIVE_MANAGERS_H

#include "operator/manifest/manifest.h"

enum { LIVE_MANAGERS_MAX = 32 }; /* the API server itself merges the oldest updates above 10 */

enum live_side {
    LIVE_OURS,
    LIVE_OTHERS,  /* of people and tools */
    LIVE_MACHINE, /* controllers: what they add is their work, and no drift */
};

struct live_manager {
    const char *name;
    const char *time; /* as it stands there; "" where none does */
    bool is_applier;  /* by server-side apply: what it leaves out next time, goes */
    enum live_side side;
    const manifest_t *fields;
};

struct live_managers {
    arena_t *arena;
    struct live_manager items[LIVE_MANAGERS_MAX];
    size_t n; /* 0: nothing is known of whose the values are */
};

/* Where one stands in the tree of each manager; NULL: it set nothing there. */
struct live_place {
    const manifest_t *fields[LIVE_MANAGERS_MAX];
};

void live_managers_read(struct live_managers *self, arena_t *arena, const manifest_t *object);
struct live_place live_place_top(const struct live_managers *self);
struct live_place live_place_member(const struct live_managers *self, const struct live_place *place, const char *key);
struct live_place live_place_item(const struct live_managers *self, const struct live_place *place,
                                  const manifest_t *item);
/* The last one of this side that set what stands here; NULL: none. */
const struct live_manager *live_place_owner(const struct live_managers *self, const struct live_place *place,
                                            enum live_side side);

#endif
