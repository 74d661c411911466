/* Sending what was planned: one object after the other, in the order of installation, each by a server-side apply of
 * its own, so that an end in between leaves whole objects and the next run goes on. What would change nothing is not
 * sent. A field that cannot be changed, once it was accepted: delete (a StatefulSet without its pods, which the new one
 * adopts; its claims are asked to grow first), wait until it is gone, apply. */
#include "base/clock.h"
#include "operator/apply/apply_claims.h"
#include "operator/apply/apply_parts.h"
#include "operator/kube/kube_json.h"

#include <string.h>
#include <time.h>

enum { LOOK_MS = 500 };

static void pause_ms(long ms) {
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&rest, NULL);
}

static enum kube_result send_apply(struct apply_plan *self, struct apply_object *object, struct kube_answer *answer) {
    enum kube_result result =
        kube_apply(self->client, object->wanted, self->options.forces ? KUBE_FORCE : 0U, self->arena, answer);
    if (result == KUBE_OK) {
        object->result = answer->object;
    }
    return result;
}

/* ---- anew ---- */

/* By its uid: what somebody makes of the same name meanwhile is another one. The client's deadline ends it. */
static enum kube_result wait_until_gone(struct apply_plan *self, const struct apply_object *object,
                                        struct kube_answer *answer) {
    const char *uid = kube_text_at(object->live, "metadata.uid");
    arena_t *scratch = NULL;
    enum kube_result result;
    do {
        arena_destroy(&scratch);
        scratch = arena_new();
        result =
            kube_get(self->client, kube_text_at(object->wanted, "apiVersion"), kube_text_at(object->wanted, "kind"),
                     self->namespace, kube_text_at(object->wanted, "metadata.name"), scratch, answer);
        if (result == KUBE_OK && strcmp(kube_text_at(answer->object, "metadata.uid"), uid) != 0) {
            result = KUBE_NOT_FOUND;
        }
        if (result == KUBE_OK) {
            pause_ms(LOOK_MS);
        }
    } while (result == KUBE_OK);
    answer->message = arena_text(self->arena, answer->message);
    answer->object = NULL;
    arena_destroy(&scratch);
    return result == KUBE_NOT_FOUND ? KUBE_OK : result;
}

/* Which its storage class may refuse: then the volume stays as large as it is, and everything else goes on. */
static enum kube_result grow_claims(struct apply_plan *self, const struct apply_object *object,
                                    struct kube_answer *answer) {
    struct apply_claim *claims;
    size_t n = apply_claims_grown(self->arena, object->live, object->wanted, &claims);
    for (size_t i = 0; i < n; i++) {
        enum kube_result result =
            kube_patch_merge(self->client, "v1", "PersistentVolumeClaim", self->namespace, claims[i].name, NULL,
                             apply_claim_patch(self->arena, &claims[i]), 0, self->arena, answer);
        if (result == KUBE_UNREACHABLE || result == KUBE_TIMED_OUT || result == KUBE_BUSY) {
            return result;
        }
        if (result == KUBE_OK) {
            apply_tell(self, arena_format(self->arena, "%s/PersistentVolumeClaim/%s: grows to %s", self->namespace,
                                          claims[i].name, claims[i].storage));
        } else if (result != KUBE_NOT_FOUND) {
            apply_tell(self, arena_format(self->arena, "%s/PersistentVolumeClaim/%s: stays as large as it is: %s",
                                          self->namespace, claims[i].name, answer->message));
        }
    }
    return KUBE_OK;
}

static enum kube_result send_anew(struct apply_plan *self, struct apply_object *object, struct kube_answer *answer) {
    bool is_set = strcmp(kube_text_at(object->wanted, "kind"), "StatefulSet") == 0;
    enum kube_result result = is_set ? grow_claims(self, object, answer) : KUBE_OK;
    if (result != KUBE_OK) {
        return result;
    }
    apply_tell(self, arena_format(self->arena, "%s: deleted, to be made anew%s", object->name,
                                  is_set ? "; its pods stay" : ""));
    result = kube_delete(self->client, kube_text_at(object->wanted, "apiVersion"), kube_text_at(object->wanted, "kind"),
                         self->namespace, kube_text_at(object->wanted, "metadata.name"),
                         is_set ? KUBE_ORPHAN : KUBE_BACKGROUND, kube_text_at(object->live, "metadata.uid"), 0,
                         self->arena, answer);
    if (result == KUBE_OK || result == KUBE_NOT_FOUND) {
        result = wait_until_gone(self, object, answer);
    }
    return result == KUBE_OK ? send_apply(self, object, answer) : result;
}

/* ---- in order ---- */

static enum kube_result fail(struct apply_plan *self, struct apply_object *object, enum kube_result result,
                             const struct kube_answer *answer) {
    object->state = APPLY_FAILED;
    object->note = answer->message;
    apply_add_problem(self, result,
                      arena_format(self->arena, "%s; what stands before it is done: mend it and repeat the command",
                                   answer->message));
    return result;
}

static void mark_pending(struct apply_object *objects, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool is_left = objects[i].state != APPLY_UNCHANGED && objects[i].state != APPLY_SKIPPED;
        objects[i].state = is_left ? APPLY_PENDING : objects[i].state;
    }
}

static enum kube_result send_object(struct apply_plan *self, struct apply_object *object) {
    struct kube_answer answer = {.message = ""};
    enum kube_result result = KUBE_OK;
    if (object->state == APPLY_CREATED || object->state == APPLY_CONFIGURED) {
        result = send_apply(self, object, &answer);
    } else if (object->state == APPLY_RECREATED) {
        result = send_anew(self, object, &answer);
    }
    return result == KUBE_OK ? KUBE_OK : fail(self, object, result, &answer);
}

static enum kube_result prune(struct apply_plan *self, struct apply_object *object) {
    struct kube_answer answer;
    enum kube_result result =
        kube_delete(self->client, kube_text_at(object->live, "apiVersion"), kube_text_at(object->live, "kind"),
                    self->namespace, kube_text_at(object->live, "metadata.name"), KUBE_BACKGROUND,
                    kube_text_at(object->live, "metadata.uid"), 0, self->arena, &answer);
    return result == KUBE_OK || result == KUBE_NOT_FOUND ? KUBE_OK : fail(self, object, result, &answer);
}

enum kube_result apply_plan_run(struct apply_plan *self) {
    for (size_t i = 0; i < self->n; i++) {
        enum kube_result result = send_object(self, &self->objects[i]);
        if (result != KUBE_OK) {
            mark_pending(self->objects + i + 1, self->n - i - 1);
            mark_pending(self->pruned, self->n_pruned);
            return result;
        }
    }
    for (size_t i = 0; i < self->n_pruned; i++) {
        enum kube_result result = prune(self, &self->pruned[i]);
        if (result != KUBE_OK) {
            mark_pending(self->pruned + i + 1, self->n_pruned - i - 1);
            return result;
        }
    }
    return KUBE_OK;
}
