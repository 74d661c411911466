/* See redis_commands.h. */
#include "broker/redis/link/redis_commands.h"

#include "base/check.h"
#include "base/memory.h"

void redis_commands_push(struct redis_commands *self, const struct redis_command *command) {
    if (self->n == self->capacity) {
        size_t capacity = self->capacity == 0 ? 64 : self->capacity * 2;
        struct redis_command *ring = memory_alloc_array(capacity, sizeof *ring);
        for (size_t i = 0; i < self->n; i++) {
            ring[i] = self->ring[(self->first + i) & (self->capacity - 1)];
        }
        memory_free(self->ring);
        *self = (struct redis_commands){.ring = ring, .capacity = capacity, .n = self->n, .bytes = self->bytes};
    }
    self->ring[(self->first + self->n) & (self->capacity - 1)] = *command;
    self->n++;
    self->bytes += command->bytes;
}

struct redis_command redis_commands_pop(struct redis_commands *self) {
    check(self->n > 0, "a reply without a command");
    struct redis_command command = self->ring[self->first];
    self->first = (self->first + 1) & (self->capacity - 1);
    self->n--;
    self->bytes -= command.bytes;
    return command;
}

uint64_t redis_commands_oldest_ms(const struct redis_commands *self) {
    return self->ring[self->first].sent_ms;
}

void redis_commands_finish(struct redis_commands *self) {
    memory_free(self->ring);
    *self = (struct redis_commands){.ring = NULL};
}
