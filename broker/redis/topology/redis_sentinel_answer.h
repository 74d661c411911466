/* What Sentinels answer, and which of their answers counts. Pure: bytes in, values out
 * (tests/fuzz/fuzz_redis_topology.c). Thread: any. */
#ifndef CALLBOARD_BROKER_REDIS_SENTINEL_ANSWER_H
#define CALLBOARD_BROKER_REDIS_SENTINEL_ANSWER_H

#include "base/redis_reply.h"
#include "broker/redis/link/redis_address.h"

enum { REDIS_SENTINEL_ID_LENGTH = 40 };

/* One Sentinel's view of the master that we asked for. */
struct redis_sentinel_answer {
    bool is_there; /* it gave one */
    struct redis_address address;
    uint64_t epoch;       /* config-epoch: which failover made this address the master */
    unsigned replicas;    /* that it holds for up: only these can be promoted */
    bool is_down;         /* a quorum of Sentinels cannot reach that master, and there is no other yet */
    bool is_away;         /* this one cannot */
    bool is_failing_over; /* this one promotes a replica just now */
    bool is_turning;      /* the address is of a promoted server; replicas are those of the master before it still */
};

/* Of SENTINEL MASTER. False: no such answer. */
bool redis_sentinel_answer_parse(const struct redis_reply *reply, struct redis_sentinel_answer *ret_answer);
/* Of SENTINEL GET-MASTER-ADDR-BY-NAME, asked for right behind. It names a promoted server before SENTINEL MASTER does:
 * while the other replicas are still turned over to it. */
void redis_sentinel_answer_add_address(struct redis_sentinel_answer *self, const struct redis_reply *reply);

/* Of SENTINEL SLAVES (REPLICAS came with 5.0, this name has stayed), asked for last. Not counted: the server that is
 * promoted just now, which is listed until the failover is over, while the master before it counts if it is up; and one
 * that the Sentinel has heard nothing of since it knows of it and cannot reach, as the dead primary of a failover: no
 * Sentinel promotes whom it has no link to and no INFO of. While this Sentinel promotes one, all are counted, also who
 * is held for down: one that hangs may have been promoted before, while the primary lives and has others to follow it.
 * Otherwise nothing safe would be confirmed until that one is held for down, as long again as it took to find that it
 * had died. */
void redis_sentinel_answer_add_replicas(struct redis_sentinel_answer *self, const struct redis_reply *reply);

/* One of SENTINEL SENTINELS. */
struct redis_sentinel_peer {
    struct redis_address address;
    char id[REDIS_SENTINEL_ID_LENGTH + 1];
};
bool redis_sentinel_peer_parse(const struct redis_reply *element, struct redis_sentinel_peer *ret_peer);

enum redis_sentinel_choice {
    REDIS_SENTINEL_NOBODY, /* no answer names a primary that could be used */
    REDIS_SENTINEL_DOWN,   /* the newest one says it is down, and there is no other yet */
    REDIS_SENTINEL_OLD,    /* only news older than what is known */
    REDIS_SENTINEL_CHOSEN,
};

/* The answer with the highest epoch of a master that is not down, with as many replicas as any Sentinel of the same
 * mind holds for up. `known`: what counts so far (is_there false: nothing does). Older news than that are believed only
 * where more than half of all n Sentinels agree on it (someone began their book anew): one that was cut off, or comes
 * back from a backup, must not lead us to a primary of yesterday. */
enum redis_sentinel_choice redis_sentinel_choose(const struct redis_sentinel_answer *answers, size_t n,
                                                 const struct redis_sentinel_answer *known,
                                                 struct redis_sentinel_answer *ret_answer);

#endif
