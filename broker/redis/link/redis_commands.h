/* The commands of one link that are owed a reply, in their order. Replies come in the order of the commands, so it is a
 * queue; a ring that grows, kept bounded by its users. Thread: the owner's. */
#ifndef CALLBOARD_BROKER_REDIS_COMMANDS_H
#define CALLBOARD_BROKER_REDIS_COMMANDS_H

#include "broker/redis/link/redis_link.h"

struct redis_command {
    redis_on_reply on_reply;
    void *request;
    size_t bytes;
    uint64_t sent_ms;
};

struct redis_commands { /* zeroed: empty */
    struct redis_command *ring;
    size_t capacity; /* a power of two */
    size_t first;
    size_t n;
    size_t bytes;
};

void redis_commands_push(struct redis_commands *self, const struct redis_command *command);
struct redis_command redis_commands_pop(struct redis_commands *self); /* the oldest; there is one */
uint64_t redis_commands_oldest_ms(const struct redis_commands *self); /* when it was sent; there is one */
void redis_commands_finish(struct redis_commands *self);

#endif
