/* What a shard tells the backend API of a channel: that it has its first subscriber, or lost its last one. One
 * allocation, the name behind the struct; ownership passes with actor_post. Thread: made on one, handled on another. */
#ifndef CALLBOARD_BROKER_SHARD_OCCUPANCY_H
#define CALLBOARD_BROKER_SHARD_OCCUPANCY_H

#include "base/actor.h"
#include "base/bytes.h"

struct shard_occupancy {
    struct actor_message message; /* kind: the desk's */
    bool is_occupied;
    uint64_t n_lost;     /* so many before it found no room in the inbox */
    struct span channel; /* empty: there is only n_lost to tell */
};

#endif
