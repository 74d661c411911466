/* See redis_survey.h. A list of questions, each with the function that takes its answer; answers come in order, so one
 * number tells whose it is. The second list is sent when the first is answered: whether CONFIG may be read and whether
 * it is a cluster are known then, so a denied user leaves one line in Redis's ACL log, not ten. */
#include "broker/redis/survey/redis_survey.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

enum { QUESTIONS_MAX = 16 };

struct redis_survey {
    redis_link_t *link;
    redis_on_surveyed on_done;
    void *request;
    struct redis_facts facts;
    uint64_t asked_us;
    bool is_cut;
    bool is_second;
    void (*takes[QUESTIONS_MAX])(struct redis_survey *self, const struct redis_reply *reply);
    unsigned n_asked;
    unsigned n_answered;
};

typedef void (*take_answer)(struct redis_survey *self, const struct redis_reply *reply);

/* ---- answers ---- */

static void take_time(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_time(&self->facts, reply, clock_wall_ms(), clock_monotonic_us() - self->asked_us);
}

static void take_info(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_info(&self->facts, reply);
}

static void take_role(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_role(&self->facts, reply);
}

static void take_sharded(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_sharded(&self->facts, reply);
}

static void take_partitions(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_partitions(&self->facts, reply);
}

static void take_config(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_config(&self->facts, reply);
}

static void take_cluster(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_cluster(&self->facts, reply);
}

static void take_slowlog(struct redis_survey *self, const struct redis_reply *reply) {
    redis_facts_take_slowlog(&self->facts, reply, (clock_wall_ms() + self->facts.clock_ahead_ms.value) / 1000);
}

/* ---- questions ---- */

static void on_answer(void *context, void *request, const struct redis_reply *reply);

static void ask(struct redis_survey *self, take_answer take, size_t n, const char *const *arguments) {
    check(self->n_asked < QUESTIONS_MAX, "too many questions");
    redis_request_texts(redis_link_out(self->link), n, arguments);
    self->takes[self->n_asked++] = take;
    redis_link_sent(self->link, on_answer, self);
}
#define ASK(self, take, ...)                                                                                           \
    ask((self), (take), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),                             \
        (const char *const[]){__VA_ARGS__})

static void ask_second(struct redis_survey *self) {
    self->is_second = true;
    self->n_asked = 0;
    self->n_answered = 0;
    for (size_t i = 1; redis_facts_parameters[i] != NULL && !self->facts.config_is_denied; i++) {
        ASK(self, take_config, "CONFIG", "GET", redis_facts_parameters[i]);
    }
    if (strcmp(self->facts.mode.text, "cluster") == 0) {
        ASK(self, take_cluster, "CLUSTER", "INFO");
    }
    ASK(self, take_slowlog, "SLOWLOG", "GET", "16");
    redis_link_flush(self->link);
}

static void finish(struct redis_survey *self, void *context) {
    redis_on_surveyed on_done = self->on_done;
    on_done(context, self->request, self->is_cut ? NULL : &self->facts);
    memory_free(self);
}

static void on_answer(void *context, void *request, const struct redis_reply *reply) {
    struct redis_survey *self = request;
    if (reply == NULL) {
        self->is_cut = true;
    } else {
        self->takes[self->n_answered](self, reply);
    }
    if (++self->n_answered < self->n_asked) {
        return;
    }
    if (!self->is_cut && !self->is_second && redis_link_is_up(self->link)) {
        ask_second(self);
        return;
    }
    self->is_cut = self->is_cut || !self->is_second;
    finish(self, context);
}

void redis_survey_start(redis_link_t *link, const char *partitions_key, redis_on_surveyed on_done, void *request) {
    struct redis_survey *self = memory_alloc_zero(sizeof *self);
    self->link = link;
    self->on_done = on_done;
    self->request = request;
    self->asked_us = clock_monotonic_us();
    ASK(self, take_time, "TIME");
    ASK(self, take_role, "ROLE");
    ASK(self, take_info, "INFO");
    ASK(self, take_sharded, "COMMAND", "INFO", "SSUBSCRIBE");
    if (partitions_key != NULL) {
        ASK(self, take_partitions, "GET", partitions_key);
    }
    ASK(self, take_config, "CONFIG", "GET", redis_facts_parameters[0]);
}
