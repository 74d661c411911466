/* Who is primary of a set under Sentinel, and what a Redis pod has to do about it: pure functions. No pod makes itself
 * primary by guess: a majority of all Sentinels has to name it, and it has to hold the set's data. Thread: any. */
#ifndef CALLBOARD_OPERATOR_SENTINEL_PLAN_H
#define CALLBOARD_OPERATOR_SENTINEL_PLAN_H

#include "operator/redis/redis_pods.h"

enum { SENTINELS_MAX = 15, SENTINEL_REASON_MAX = 448 };

/* One Sentinel as it was seen. */
struct sentinel_view {
    bool answers;                      /* and knows the set */
    char host[REDIS_POD_NAME_MAX + 1]; /* of the primary it names: a name or an address */
    uint16_t port;
    uint64_t known_replicas;
    uint64_t config_epoch; /* 0: it has never seen a failover */
};

/* The pods of the set, to be found in what a Sentinel names; addresses[i] is where pods[i] is now (empty: not known).
 */
struct sentinel_set {
    const struct redis_pod *pods;
    const char (*addresses)[48];
    size_t n;
    size_t self;
};

struct sentinel_opinion {
    size_t answering;
    bool has_majority;
    bool is_self;
    struct redis_pod primary; /* where has_majority: by its name of the set where it is one of the pods */
    bool had_earlier_life;    /* some Sentinel knows replicas or a failover: there is data somewhere */
};

/* `n` is the number of all Sentinels, answering or not. */
struct sentinel_opinion sentinel_opinion_of(const struct sentinel_view *sentinels, size_t n,
                                            const struct sentinel_set *set);

enum sentinel_start {
    SENTINEL_START_PRIMARY,
    SENTINEL_START_REPLICA,  /* of *ret_primary */
    SENTINEL_START_WAIT,     /* ask again; reason says for what */
    SENTINEL_START_FAILOVER, /* ask a Sentinel for a failover, then ask again: another pod has the data */
};

struct sentinel_start_facts {
    bool has_data;       /* in its own volume */
    bool accept_empty;   /* the user gives other pods' data up */
    bool is_last_asking; /* no time to wait any more: a pod that is not the seed may start as the seed's replica */
};

/* What the server of pod set->self is started as. The seed is pod 0. */
enum sentinel_start sentinel_start_as(const struct sentinel_opinion *opinion, const struct sentinel_set *set,
                                      const struct sentinel_start_facts *facts, struct redis_pod *ret_primary,
                                      char ret_reason[SENTINEL_REASON_MAX]);

/* What one server says of itself. */
enum sentinel_role { SENTINEL_ROLE_UNKNOWN, SENTINEL_ROLE_PRIMARY, SENTINEL_ROLE_REPLICA };

enum sentinel_mend {
    SENTINEL_MEND_NOTHING,
    SENTINEL_MEND_FOLLOW,   /* REPLICAOF the primary: it is named by a majority, is one, and we follow another */
    SENTINEL_MEND_FAILOVER, /* SENTINEL FAILOVER: the one that a majority names says that it is a replica */
};

struct sentinel_mend_facts {
    enum sentinel_role own;
    struct redis_pod own_primary; /* of a replica: whom it follows, as its ROLE says */
    enum sentinel_role named;     /* the ROLE of the one that the majority names */
    uint64_t wrong_for_ms;        /* how long the same has been wrong */
    uint64_t down_after_ms;       /* borne so long: a failover is under way meanwhile */
};

/* What a running pod does about a role that does not fit. */
enum sentinel_mend sentinel_mend(const struct sentinel_opinion *opinion, const struct sentinel_set *set,
                                 const struct sentinel_mend_facts *facts);
/* Whether `host` and `port` are this pod, by its name or its present address. */
bool sentinel_set_is(const struct sentinel_set *set, size_t pod, const char *host, uint16_t port);

#endif
