/* Waiting for roll-outs: the workloads are asked every two seconds, their pods only while they are not done, and what
 * they wait for is told when it becomes something else. A roll-out that its controller has given up is waited for all
 * the same: somebody may mend it meanwhile (push the image, make room), and then it goes on. */
#include "base/clock.h"
#include "operator/apply/apply_parts.h"
#include "operator/apply/rollout.h"
#include "operator/kube/kube_json.h"

#include <string.h>
#include <time.h>

enum { LOOK_MS = 2000 };

struct watched {
    const struct apply_object *object;
    bool is_done;
    const char *told; /* the last line of it */
};

struct waiting {
    struct apply_plan *plan;
    struct watched *items;
    size_t n;
    uint64_t deadline_ms;
};

/* A right that is missing is no failure here. */
static const char *events_trouble(struct waiting *self, arena_t *scratch, const manifest_t *object) {
    struct kube_answer answer;
    manifests_t *events = manifests_new(scratch);
    enum kube_result result = kube_list_events(self->plan->client, self->plan->namespace,
                                               kube_text_at(object, "metadata.uid"), scratch, events, &answer);
    return result == KUBE_OK ? rollout_events_trouble(scratch, events) : "";
}

/* What keeps it, with its pods' reasons. What pods do not say, events do: of a pod whose containers are not made (a
 * Secret that is not there), and of a workload that has no pods (a quota, Pod Security, a webhook). */
static const char *with_pods(struct waiting *self, arena_t *scratch, const manifest_t *workload, const char *text) {
    struct kube_answer answer;
    manifests_t *pods = manifests_new(scratch);
    const char *selector = rollout_selector(scratch, workload);
    if (selector[0] == '\0' || kube_list(self->plan->client, "v1", "Pod", self->plan->namespace, selector, scratch,
                                         pods, &answer) != KUBE_OK) {
        return text;
    }
    const char *trouble = rollout_pods_trouble(scratch, pods);
    const manifest_t *pod = rollout_pod_being_made(pods);
    const manifest_t *silent = pod != NULL ? pod : trouble[0] == '\0' ? workload : NULL;
    const char *event = silent == NULL ? "" : events_trouble(self, scratch, silent);
    const char *told = trouble[0] == '\0' ? text : arena_format(scratch, "%s; %s", text, trouble);
    const char *whose = pod == NULL ? "" : arena_format(scratch, "%s: ", kube_text_at(pod, "metadata.name"));
    return event[0] == '\0' ? told : arena_format(scratch, "%s; %s%s", told, whose, event);
}

static void tell(struct waiting *self, struct watched *item, const char *text) {
    if (strcmp(item->told, text) != 0) {
        item->told = arena_text(self->plan->arena, text);
        apply_tell(self->plan, arena_format(self->plan->arena, "%s: %s", item->object->name, text));
    }
}

static enum kube_result look_at(struct waiting *self, struct watched *item, struct kube_answer *answer) {
    const manifest_t *wanted = item->object->wanted;
    arena_t *scratch = arena_new();
    enum kube_result result =
        kube_get(self->plan->client, kube_text_at(wanted, "apiVersion"), kube_text_at(wanted, "kind"),
                 self->plan->namespace, kube_text_at(wanted, "metadata.name"), scratch, answer);
    if (result == KUBE_OK) {
        struct rollout rollout = rollout_judge(scratch, answer->object);
        item->is_done = rollout.state == ROLLOUT_DONE;
        tell(self, item, item->is_done ? rollout.text : with_pods(self, scratch, answer->object, rollout.text));
    } else if (result != KUBE_TIMED_OUT) {
        tell(self, item, answer->message); /* one answer that does not come ends no wait */
    }
    answer->message = arena_text(self->plan->arena, answer->message);
    answer->object = NULL;
    arena_destroy(&scratch);
    return result;
}

/* Denied stays denied, and an object that is gone does not come back. */
static bool is_final(enum kube_result result) {
    return result == KUBE_DENIED || result == KUBE_NOT_FOUND || result == KUBE_INVALID;
}

static const char *what_is_left(struct waiting *self) {
    const char *text = "";
    for (size_t i = 0; i < self->n; i++) {
        const struct watched *item = &self->items[i];
        if (!item->is_done) {
            text = arena_format(self->plan->arena, "%s%s%s: %s", text, text[0] == '\0' ? "" : "\n", item->object->name,
                                item->told[0] == '\0' ? "was not looked at" : item->told);
        }
    }
    return text;
}

static size_t count_left(const struct waiting *self) {
    size_t n = 0;
    for (size_t i = 0; i < self->n; i++) {
        n += self->items[i].is_done ? 0 : 1;
    }
    return n;
}

/* One round over all. */
static enum kube_result look_at_all(struct waiting *self, const char **ret_text) {
    struct kube_answer answer;
    for (size_t i = 0; i < self->n; i++) {
        enum kube_result result = self->items[i].is_done ? KUBE_OK : look_at(self, &self->items[i], &answer);
        if (is_final(result)) {
            *ret_text = answer.message;
            return result;
        }
    }
    return KUBE_OK;
}

enum kube_result apply_wait(struct apply_plan *self, uint64_t deadline_ms, const char **ret_text) {
    struct waiting waiting = {.plan = self, .deadline_ms = deadline_ms};
    struct timespec rest = {.tv_sec = LOOK_MS / 1000, .tv_nsec = LOOK_MS % 1000 * 1000000};
    waiting.items = arena_alloc(self->arena, (self->n + 1) * sizeof *waiting.items);
    for (size_t i = 0; i < self->n; i++) {
        if (self->objects[i].state != APPLY_SKIPPED && rollout_is_awaited(self->objects[i].wanted)) {
            waiting.items[waiting.n++] = (struct watched){.object = &self->objects[i], .told = ""};
        }
    }
    *ret_text = "";
    for (;;) {
        enum kube_result result = look_at_all(&waiting, ret_text);
        if (result != KUBE_OK || count_left(&waiting) == 0) {
            return result;
        }
        if (clock_monotonic_ms() + LOOK_MS >= deadline_ms) {
            *ret_text = what_is_left(&waiting);
            return KUBE_TIMED_OUT;
        }
        nanosleep(&rest, NULL);
    }
}
