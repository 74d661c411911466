/* What is answered without Redis: nothing is completed inside the call that asked, so it waits for the loop's next turn
 * (an idle handle of the engine). A refusal, or a publication that passes live while Redis is away: told to this
 * broker's subscribers, without a position, then acknowledged as not durable. */
#include "broker/redis/engine_redis_parts.h"

#include "base/memory.h"

struct redis_answer {
    struct list_link link;
    void (*answer)(void *request, enum engine_outcome outcome);
    void *request;
    enum engine_outcome outcome;
    struct redis_item *live; /* told live before the answer, or NULL */
};

static void tell_live(struct engine_redis *self, struct redis_item *item) {
    const struct epoch none = {{0}};
    metric_count(self->metrics, REDIS_METRIC_LIVE_ONLY);
    self->options.events->on_publication(self->options.context, redis_channel_name(item->channel), &none, 0,
                                         item->publication);
    struct engine_append *request = item->request;
    item->request = NULL;
    redis_item_destroy(&item, self->channels);
    if (request != NULL) {
        request->not_durable = true;
        request->on_done(request, ENGINE_OK);
    }
}

static void drop_live(struct engine_redis *self, struct redis_item *item) {
    struct engine_append *request = item->request;
    item->request = NULL;
    redis_item_destroy(&item, self->channels);
    if (request != NULL) {
        request->on_done(request, ENGINE_CANCELLED);
    }
}

void redis_answers_give(struct engine_redis *self) {
    struct list_link answers;
    list_init(&answers);
    list_splice_back(&answers, &self->done); /* what is added meanwhile waits for the next turn */
    while (!list_is_empty(&answers)) {
        struct redis_answer *answer = list_entry(list_pop_front(&answers), struct redis_answer, link);
        if (answer->live != NULL) {
            (self->is_closing ? drop_live : tell_live)(self, answer->live);
        } else {
            answer->answer(answer->request, self->is_closing ? ENGINE_CANCELLED : answer->outcome);
        }
        memory_free(answer);
    }
}

static void on_idle(uv_idle_t *idle) {
    struct engine_redis *self = idle->data;
    redis_answers_give(self);
    if (list_is_empty(&self->done)) {
        uv_idle_stop(idle);
    }
}

static struct redis_answer *new_answer(struct engine_redis *self) {
    struct redis_answer *answer = memory_alloc_zero(sizeof *answer);
    list_init(&answer->link);
    list_push_back(&self->done, &answer->link);
    if (!self->is_closing) {
        uv_idle_start(&self->idle, on_idle);
    }
    return answer;
}

void redis_answers_later(struct engine_redis *self, void (*answer)(void *request, enum engine_outcome outcome),
                         void *request, enum engine_outcome outcome) {
    struct redis_answer *later = new_answer(self);
    later->answer = answer;
    later->request = request;
    later->outcome = outcome;
}

void redis_answers_pass_live(struct engine_redis *self, struct redis_item *item) {
    new_answer(self)->live = item;
}
