/* What a server is asked before partitions are served from it: is it a primary, does it show who it is, how old is it,
 * has it sharded pub/sub, how many partitions has the data in it, does it write through where that is the promise.
 *
 *   redis_node_examine ─▶ all questions in one pipeline ─▶ the last answer: nothing against it ─▶
 * redis_node_become_ready else the link is dropped, the map asked anew
 *
 * Nothing on the list is configured: what the server can is found out here. */
#include "broker/redis/engine_redis_parts.h"

#include "base/log.h"
#include "broker/redis/link/redis_request.h"
#include "broker/redis/survey/redis_facts.h"

#include <stdio.h>

/* ---- the server's identity ---- */

static void on_replid(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct redis_node *self = context;
    self->replid[0] = '\0';
    static const char mark[] = "master_replid:";
    struct span text = reply == NULL ? SPAN_EMPTY : redis_reply_string(reply);
    const uint8_t *at = text.size == 0 ? NULL : memmem(text.data, text.size, mark, sizeof mark - 1);
    if (at != NULL && text.size - (size_t) (at - text.data) >= sizeof mark - 1 + sizeof self->replid - 1) {
        memcpy(self->replid, at + sizeof mark - 1, sizeof self->replid - 1);
    }
}

void redis_node_ask_replid(struct redis_node *self) {
    if (self->replid_asked) {
        return;
    }
    self->replid_asked = true;
    redis_request_texts(redis_link_out(self->command), 2, (const char *const[]){"INFO", "replication"});
    redis_link_sent(self->command, on_replid, NULL);
}

/* ---- examination ---- */

static void exam_over(struct redis_node *self, const char *unfit) {
    if (unfit != NULL && self->unfit == NULL) {
        self->unfit = unfit;
    }
    if (--self->n_exams > 0) {
        return;
    }
    if (self->unfit != NULL) {
        redis_link_drop(self->command, self->unfit);
        redis_routing_doubt(self->engine);
        return;
    }
    redis_node_become_ready(self);
}

static const char *unfit_of(const struct redis_reply *reply) {
    if (reply->type != REDIS_ERROR) {
        return NULL;
    }
    if (span_starts_with(reply->text, SPAN_LITERAL("NOAUTH"))) {
        return "Redis asks for a password";
    }
    if (span_starts_with(reply->text, SPAN_LITERAL("LOADING"))) {
        return "Redis is loading its data";
    }
    enum redis_error error = redis_error_classify(reply->text);
    return error == REDIS_ERROR_UNFIT || error == REDIS_ERROR_AGAIN || error == REDIS_ERROR_MOVED
               ? "this server cannot take writes now"
               : NULL;
}

static void on_role(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct redis_node *self = context;
    if (reply == NULL) {
        return;
    }
    const char *unfit = unfit_of(reply);
    bool is_known = unfit == NULL && reply->type == REDIS_ARRAY && reply->n > 0;
    if (is_known && !redis_reply_is_text(&reply->elements[0], "master")) {
        unfit = self->engine->url.kind == REDIS_URL_STANDALONE ? "this Redis is a replica; name the primary"
                                                               : "this Redis is a replica";
    }
    exam_over(self, unfit);
}

/* Nothing can be safe there. Where a namespace is, the server is refused; else only the own channel would have been. */
static void note_never_safe(struct redis_node *self, const char *why) {
    struct redis_batch_limits *limits = &self->engine->batch_limits;
    if (!limits->own_is_fast && limits->safe_by_default && !self->engine->has_safe) {
        log_info("revocations_are_fast", log_text("reason", why),
                 log_text("help",
                          "what services revoke is acknowledged before replicas have it; gateways tell it again "
                          "after a failover"));
    }
    limits->own_is_fast = true;
}

/* Behind a proxy that hides which server answers, a failover is not seen for what it is. */
static void on_identity(void *context, void *request, const struct redis_reply *reply) {
    struct redis_node *self = context;
    if (reply == NULL) {
        return;
    }
    const char *unfit = unfit_of(reply);
    on_replid(context, request, reply);
    self->is_hidden = self->replid[0] == '\0';
    bool is_never_safe = unfit == NULL && self->is_hidden && self->engine->confirm_kind != REDIS_CONFIRM_DECLARED;
    if (is_never_safe) {
        note_never_safe(self, "this Redis does not show its master_replid");
    }
    if (is_never_safe && self->engine->has_safe) {
        unfit = "durability safe: this Redis does not show its master_replid; where the provider promises that nothing "
                "acknowledged is lost, set redis.confirm to declared, else durability to fast";
    }
    exam_over(self, unfit);
}

/* What does not show its version is tried. */
static void on_version(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    if (reply == NULL) {
        return;
    }
    struct redis_facts facts = {.info_is_known = false};
    redis_facts_take_info(&facts, reply);
    unsigned version = facts.version.is_known ? redis_version_number(facts.version.text) : 0;
    bool is_too_old = version != 0 && version < REDIS_VERSION_MIN;
    exam_over(context, is_too_old
                           ? "this Redis is older than 6.2, the first version that works; upgrade it to Redis 7.0 "
                             "or Valkey 7.2, or later"
                           : unfit_of(reply));
}

static void on_sharded(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct redis_node *self = context;
    if (reply == NULL) {
        return;
    }
    self->sharded = reply->type == REDIS_ARRAY && reply->n == 1 && reply->elements[0].type == REDIS_ARRAY;
    exam_over(self, unfit_of(reply));
}

static void on_partitions_set(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    if (reply != NULL) {
        exam_over(context, unfit_of(reply));
    }
}

static void on_partitions(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct redis_node *self = context;
    const struct engine_redis *engine = self->engine;
    if (reply == NULL) {
        return;
    }
    uint64_t stored = 0;
    bool is_other = span_parse_u64(redis_reply_string(reply), &stored) && stored != engine->options.n_partitions;
    if (is_other) {
        log_error("redis_partitions_differ", log_text("prefix", engine->prefix), log_u64("stored", stored),
                  log_u64("configured", engine->options.n_partitions),
                  log_text("hint", "set broker.partitions to the stored number, or choose another redis.prefix"));
    }
    exam_over(self,
              is_other ? "the data in Redis has another number of partitions than broker.partitions" : unfit_of(reply));
}

static bool has_text(const struct redis_reply *reply, const char *name, const char *value) {
    for (size_t i = 0; i + 1 < reply->n; i += 2) {
        if (redis_reply_is_text(&reply->elements[i], name)) {
            return redis_reply_is_text(&reply->elements[i + 1], value);
        }
    }
    return false;
}

/* Safe channels rely on the disk: is it written before an answer is given? Where there are none yet the answer is only
 * kept: a reload may bring some. */
static void on_fsync(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct redis_node *self = context;
    if (reply == NULL) {
        return;
    }
    const char *unfit = NULL;
    if (reply->type != REDIS_ARRAY) {
        unfit = "durability safe: CONFIG GET appendfsync is denied; allow it, or set redis.confirm to declared";
    } else if (!has_text(reply, "appendonly", "yes") || !has_text(reply, "appendfsync", "always")) {
        unfit = "durability safe needs replicas (redis.confirm), or appendonly yes and appendfsync always";
    }
    self->writes_through = unfit == NULL;
    if (unfit != NULL) {
        note_never_safe(self, unfit);
    }
    exam_over(self, self->engine->has_safe ? unfit : NULL);
}

static void ask(struct redis_node *self, redis_on_reply on_reply, size_t n, const char *const *arguments) {
    redis_request_texts(redis_link_out(self->command), n, arguments);
    redis_link_sent(self->command, on_reply, NULL);
    self->n_exams++;
}

static void examine_data(struct redis_node *self) {
    char partitions[16];
    char key[REDIS_PREFIX_MAX + 16];
    snprintf(partitions, sizeof partitions, "%u", self->engine->options.n_partitions);
    snprintf(key, sizeof key, "{%s}:partitions", self->engine->prefix);
    ask(self, on_partitions_set, 4, (const char *const[]){"SET", key, partitions, "NX"});
    ask(self, on_partitions, 2, (const char *const[]){"GET", key});
}

void redis_node_examine(struct redis_node *self) {
    self->unfit = NULL;
    self->n_exams = 0;
    ask(self, on_role, 1, (const char *const[]){"ROLE"});
    ask(self, on_identity, 2, (const char *const[]){"INFO", "replication"});
    ask(self, on_version, 2, (const char *const[]){"INFO", "server"});
    ask(self, on_sharded, 3, (const char *const[]){"COMMAND", "INFO", "SSUBSCRIBE"});
    if (self == self->engine->home) {
        examine_data(self);
    }
    self->writes_through = self->engine->confirm_kind != REDIS_CONFIRM_DISK;
    if (!self->writes_through) {
        ask(self, on_fsync, 3, (const char *const[]){"CONFIG", "GET", "append*"});
    }
    redis_link_flush(self->command);
}
