/* See redis_sentinel_answer.h. */
#include "broker/redis/topology/redis_sentinel_answer.h"

/* The value of a field in an array of fields and values; empty: it is not there. */
static struct span field_of(const struct redis_reply *reply, const char *name) {
    for (size_t i = 0; reply->type == REDIS_ARRAY && i + 1 < reply->n; i += 2) {
        if (redis_reply_is_text(&reply->elements[i], name)) {
            return redis_reply_string(&reply->elements[i + 1]);
        }
    }
    return SPAN_EMPTY;
}

static bool address_of(struct span host, struct span port, struct redis_address *ret_address) {
    uint64_t number = 0;
    return host.size > 0 && span_parse_u64(port, &number) && redis_address_set(ret_address, host, number);
}

/* Flags are words with commas between them: "master,o_down,disconnected". */
static bool has_flag(struct span flags, const char *flag) {
    while (flags.size > 0) {
        const uint8_t *comma = memchr(flags.data, ',', flags.size);
        size_t size = comma == NULL ? flags.size : (size_t) (comma - flags.data);
        if (span_equal_text(span_of(flags.data, size), flag)) {
            return true;
        }
        flags = comma == NULL ? SPAN_EMPTY : span_of(comma + 1, flags.size - size - 1);
    }
    return false;
}

bool redis_sentinel_answer_parse(const struct redis_reply *reply, struct redis_sentinel_answer *ret_answer) {
    struct redis_sentinel_answer answer = {.is_there = true};
    if (!address_of(field_of(reply, "ip"), field_of(reply, "port"), &answer.address) ||
        !span_parse_u64(field_of(reply, "config-epoch"), &answer.epoch)) {
        return false;
    }
    struct span flags = field_of(reply, "flags");
    answer.is_down = has_flag(flags, "o_down");
    answer.is_failing_over = has_flag(flags, "failover_in_progress");
    answer.is_away = answer.is_down || has_flag(flags, "s_down");
    *ret_answer = answer;
    return true;
}

void redis_sentinel_answer_add_address(struct redis_sentinel_answer *self, const struct redis_reply *reply) {
    struct redis_address address;
    if (!self->is_there || reply->type != REDIS_ARRAY || reply->n != 2 ||
        !address_of(redis_reply_string(&reply->elements[0]), redis_reply_string(&reply->elements[1]), &address) ||
        redis_address_equal(&address, &self->address)) {
        return;
    }
    self->address = address; /* config-epoch is that of the failover already */
    self->is_down = false;
    self->is_turning = true;
}

static bool may_be_promoted(const struct redis_sentinel_answer *self, const struct redis_reply *replica) {
    struct span flags = field_of(replica, "flags");
    struct redis_address address;
    bool is_away = has_flag(flags, "s_down") || has_flag(flags, "o_down");
    bool is_unheard = has_flag(flags, "disconnected") && field_of(replica, "runid").size == 0;
    if (flags.size == 0 || ((!self->is_failing_over || self->is_turning) && (is_away || is_unheard))) {
        return false;
    }
    return !address_of(field_of(replica, "ip"), field_of(replica, "port"), &address) ||
           !redis_address_equal(&address, &self->address);
}

void redis_sentinel_answer_add_replicas(struct redis_sentinel_answer *self, const struct redis_reply *reply) {
    self->replicas = self->is_turning && !self->is_away;
    for (size_t i = 0; reply->type == REDIS_ARRAY && i < reply->n; i++) {
        self->replicas += may_be_promoted(self, &reply->elements[i]);
    }
}

bool redis_sentinel_peer_parse(const struct redis_reply *element, struct redis_sentinel_peer *ret_peer) {
    struct span id = field_of(element, "runid");
    *ret_peer = (struct redis_sentinel_peer){.id = ""};
    if (id.size != REDIS_SENTINEL_ID_LENGTH ||
        !address_of(field_of(element, "ip"), field_of(element, "port"), &ret_peer->address)) {
        return false;
    }
    memcpy(ret_peer->id, id.data, id.size);
    return true;
}

/* ---- which answer counts ---- */

static const struct redis_sentinel_answer *newest(const struct redis_sentinel_answer *answers, size_t n, bool is_down) {
    const struct redis_sentinel_answer *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (answers[i].is_there && answers[i].is_down == is_down &&
            (found == NULL || answers[i].epoch > found->epoch)) {
            found = &answers[i];
        }
    }
    return found;
}

static unsigned most_replicas(const struct redis_sentinel_answer *answers, size_t n,
                              const struct redis_sentinel_answer *with) {
    unsigned most = with->replicas;
    for (size_t i = 0; i < n; i++) {
        bool agrees = answers[i].is_there && redis_address_equal(&answers[i].address, &with->address);
        most = agrees && answers[i].replicas > most ? answers[i].replicas : most;
    }
    return most;
}

static size_t count_agreeing(const struct redis_sentinel_answer *answers, size_t n,
                             const struct redis_sentinel_answer *with) {
    size_t agreeing = 0;
    for (size_t i = 0; i < n; i++) {
        agreeing += answers[i].is_there && answers[i].epoch == with->epoch &&
                    redis_address_equal(&answers[i].address, &with->address);
    }
    return agreeing;
}

enum redis_sentinel_choice redis_sentinel_choose(const struct redis_sentinel_answer *answers, size_t n,
                                                 const struct redis_sentinel_answer *known,
                                                 struct redis_sentinel_answer *ret_answer) {
    const struct redis_sentinel_answer *up = newest(answers, n, false);
    const struct redis_sentinel_answer *down = newest(answers, n, true);
    if (up == NULL) {
        return down == NULL ? REDIS_SENTINEL_NOBODY : REDIS_SENTINEL_DOWN;
    }
    if (down != NULL && down->epoch > up->epoch) {
        return REDIS_SENTINEL_DOWN;
    }
    if (known->is_there && up->epoch < known->epoch && 2 * count_agreeing(answers, n, up) <= n) {
        return REDIS_SENTINEL_OLD;
    }
    *ret_answer = *up;
    ret_answer->replicas = most_replicas(answers, n, up);
    return REDIS_SENTINEL_CHOSEN;
}
