/* See sentinel_plan.h.
 *
 *   start:  majority names another ──────────────────────────────▶ its replica
 *           majority names us ── we have data, or nobody ever had ▶ primary
 *                             └─ our volume is empty, others may have data ▶ failover first, then ask again
 *           no majority ── the seed, or time left ▶ wait      ── others, no time left ▶ replica of the seed
 *
 *   running: we follow another than the one a majority names, and that one is a primary ▶ follow it
 *            the one a majority names is a replica itself (a stable name now answered by another server: everybody is
 *            content and there is no primary) ▶ ask for a failover
 *   both only after it was so for longer than down-after: during a failover the same is seen, and passes. */
#include "operator/redis/sentinel_plan.h"

#include <stdio.h>
#include <strings.h>

bool sentinel_set_is(const struct sentinel_set *set, size_t pod, const char *host, uint16_t port) {
    return set->pods[pod].port == port && (strcasecmp(set->pods[pod].host, host) == 0 ||
                                           (set->addresses[pod][0] != '\0' && strcmp(set->addresses[pod], host) == 0));
}

/* The pod that is meant, by its name in the set; another host stays as it is. */
static struct redis_pod named_pod(const struct sentinel_set *set, const char *host, uint16_t port) {
    for (size_t i = 0; i < set->n; i++) {
        if (sentinel_set_is(set, i, host, port)) {
            return set->pods[i];
        }
    }
    struct redis_pod other = {.port = port};
    snprintf(other.host, sizeof other.host, "%s", host);
    return other;
}

static bool is_same(const struct redis_pod *a, const struct redis_pod *b) {
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

struct sentinel_opinion sentinel_opinion_of(const struct sentinel_view *sentinels, size_t n,
                                            const struct sentinel_set *set) {
    struct sentinel_opinion opinion = {.answering = 0};
    for (size_t i = 0; i < n; i++) {
        if (!sentinels[i].answers) {
            continue;
        }
        opinion.answering++;
        opinion.had_earlier_life |= sentinels[i].known_replicas > 0 || sentinels[i].config_epoch > 0;
        struct redis_pod named = named_pod(set, sentinels[i].host, sentinels[i].port);
        size_t votes = 0;
        for (size_t k = 0; k < n; k++) {
            struct redis_pod other = named_pod(set, sentinels[k].host, sentinels[k].port);
            votes += sentinels[k].answers && is_same(&named, &other);
        }
        if (votes >= n / 2 + 1) {
            opinion.has_majority = true;
            opinion.primary = named;
        }
    }
    opinion.is_self = opinion.has_majority && is_same(&opinion.primary, &set->pods[set->self]);
    return opinion;
}

static enum sentinel_start start_as_named(const struct sentinel_opinion *opinion,
                                          const struct sentinel_start_facts *facts,
                                          char ret_reason[SENTINEL_REASON_MAX]) {
    if (facts->has_data || !opinion->had_earlier_life || facts->accept_empty) {
        snprintf(ret_reason, SENTINEL_REASON_MAX, "a majority of the Sentinels names this pod as primary%s",
                 facts->has_data              ? ""
                 : !opinion->had_earlier_life ? " of a new set"
                                              : "; its volume is empty, and --accept-empty-primary gives the others' "
                                                "data up");
        return SENTINEL_START_PRIMARY;
    }
    snprintf(ret_reason, SENTINEL_REASON_MAX,
             "the Sentinels name this pod as primary, but its volume is empty and the set had an earlier life: as "
             "primary it would empty its replicas. Asking for a failover; if no replica has the data any more, "
             "start it with --accept-empty-primary");
    return SENTINEL_START_FAILOVER;
}

enum sentinel_start sentinel_start_as(const struct sentinel_opinion *opinion, const struct sentinel_set *set,
                                      const struct sentinel_start_facts *facts, struct redis_pod *ret_primary,
                                      char ret_reason[SENTINEL_REASON_MAX]) {
    if (opinion->is_self) {
        return start_as_named(opinion, facts, ret_reason);
    }
    if (opinion->has_majority) {
        *ret_primary = opinion->primary;
        snprintf(ret_reason, SENTINEL_REASON_MAX, "a majority of the Sentinels names %s:%u as primary",
                 opinion->primary.host, opinion->primary.port);
        return SENTINEL_START_REPLICA;
    }
    if (set->self == 0 || !facts->is_last_asking) {
        snprintf(
            ret_reason, SENTINEL_REASON_MAX,
            "no majority of the Sentinels names a primary (%zu answer); this pod does not make itself one by guess",
            opinion->answering);
        return SENTINEL_START_WAIT;
    }
    *ret_primary = set->pods[0];
    snprintf(ret_reason, SENTINEL_REASON_MAX,
             "no majority of the Sentinels names a primary (%zu answer): replica of %s until one does",
             opinion->answering, set->pods[0].host);
    return SENTINEL_START_REPLICA;
}

enum sentinel_mend sentinel_mend(const struct sentinel_opinion *opinion, const struct sentinel_set *set,
                                 const struct sentinel_mend_facts *facts) {
    if (!opinion->has_majority || facts->named == SENTINEL_ROLE_UNKNOWN || facts->wrong_for_ms < facts->down_after_ms) {
        return SENTINEL_MEND_NOTHING;
    }
    if (facts->named == SENTINEL_ROLE_REPLICA) {
        return SENTINEL_MEND_FAILOVER;
    }
    if (opinion->is_self || facts->own == SENTINEL_ROLE_UNKNOWN) {
        return SENTINEL_MEND_NOTHING;
    }
    struct redis_pod followed = named_pod(set, facts->own_primary.host, facts->own_primary.port);
    bool is_well = facts->own == SENTINEL_ROLE_REPLICA && is_same(&followed, &opinion->primary);
    return is_well ? SENTINEL_MEND_NOTHING : SENTINEL_MEND_FOLLOW;
}
