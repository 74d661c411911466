/* The acts that go by the API server.
 *
 *   restart-all   gateways, brokers, Redis, Sentinels: each is restarted when the one before it has rolled out and all
 * is well again drain         cordon ─▶ evict what the budgets let go ─▶ again, until nothing of it is there; undone by
 * uncordon, and whatever could not come back elsewhere comes back then
 *
 * Failure modes: an eviction that no budget lets through for STALL_MS, because what went before cannot come back while
 * the node takes no pods (its volume is bound to that node, or the others are full), ends the drain: it is uncordoned.
 */
#include "operator/rehearse/rehearse_parts.h"

#include "base/clock.h"

#include <stdio.h>

enum { STALL_MS = 120000 };

int rehearse_restart_all(struct rehearse *self) {
    rehearse_kube_t *kube = self->call->kube;
    int result = REHEARSE_EXIT_PASSED;
    size_t n = rehearse_kube_count(kube);
    for (size_t i = 0; i < n && result == REHEARSE_EXIT_PASSED; i++) {
        char reason[REHEARSE_KUBE_REASON_SIZE];
        if (!rehearse_kube_restart(kube, i, reason)) {
            return rehearse_fail(self, REHEARSE_EXIT_OUTSIDE, reason);
        }
        rehearse_tell(self, "%s is restarted", rehearse_kube_name(kube, i));
        result = rehearse_await_well(self);
    }
    return result;
}

int rehearse_drain(struct rehearse *self) {
    char reason[REHEARSE_KUBE_REASON_SIZE];
    uint64_t moved_ms = clock_monotonic_ms();
    if (!rehearse_kube_cordon(self->call->kube, self->node, true, reason)) {
        return rehearse_fail(self, REHEARSE_EXIT_OUTSIDE, reason);
    }
    self->is_cordoned = true;
    rehearse_tell(self, "node %s is cordoned", self->node);
    do {
        size_t n_evicted = 0;
        switch (rehearse_kube_empty(self->call->kube, self->node, &n_evicted, reason)) {
        case REHEARSE_KUBE_DONE:
            rehearse_tell(self, "node %s has no pod of it", self->node);
            return REHEARSE_EXIT_PASSED;
        case REHEARSE_KUBE_FAILED:
            return rehearse_fail(self, REHEARSE_EXIT_OUTSIDE, reason);
        case REHEARSE_KUBE_WAIT:
            rehearse_tell(self, "%s", reason);
            break;
        }
        uint64_t now_ms = clock_monotonic_ms();
        moved_ms = n_evicted > 0 ? now_ms : moved_ms;
        if (now_ms - moved_ms > STALL_MS) {
            return rehearse_stopped(self, reason);
        }
    } while (rehearse_pause(self));
    return rehearse_stopped(self, reason);
}

int rehearse_uncordon(struct rehearse *self) {
    char reason[REHEARSE_KUBE_REASON_SIZE];
    char text[REHEARSE_TEXT];
    if (!self->is_cordoned) {
        return REHEARSE_EXIT_PASSED;
    }
    if (rehearse_kube_cordon(self->call->kube, self->node, false, reason)) {
        self->is_cordoned = false;
        rehearse_tell(self, "node %s takes pods again", self->node);
        return REHEARSE_EXIT_PASSED;
    }
    snprintf(text, sizeof text, "node %.150s is still cordoned (kubectl uncordon %.150s): %s", self->node, self->node,
             reason);
    return rehearse_fail(self, REHEARSE_EXIT_OUTSIDE, text);
}

void rehearse_print_kube_steps(struct rehearse *self, struct buffer *out) {
    if (self->call->act == REHEARSE_DRAIN) {
        buffer_append_format(out, "cordon node %s, evict what is there of it, uncordon\n", self->node);
        return;
    }
    for (size_t i = 0; i < rehearse_kube_count(self->call->kube); i++) {
        buffer_append_format(out, "restart %s, and wait until all is well\n", rehearse_kube_name(self->call->kube, i));
    }
}
