/* One request that waits for the engine, as the files that carry requests out (shard_operations.c, shard_presence.c)
 * share it; nobody else includes this. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_SHARD_OPERATION_H
#define CALLBOARD_BROKER_SHARD_OPERATION_H

#include "broker/shard_parts.h"

struct operation {
    struct shard *shard;
    struct list_link link;
    enum shard_request_kind kind;
    struct operation_origin origin;
    uint64_t started_us;
    size_t bytes;    /* charged */
    uint32_t reload; /* the last one when it began: its options are from there */
    union {
        struct engine_append append;
        struct engine_read read;
        struct engine_remove remove;
        struct engine_presence_read presence;
        struct engine_service service;
    } engine;
    presence_t *members; /* PRESENCE, PRESENCE_STATS: those of the pages read so far */
    size_t channel_size;
    char channel[]; /* for completions that look it up again */
};

static inline struct span shard_operation_channel(const struct operation *operation) {
    return span_of(operation->channel, operation->channel_size);
}

/* shard_operations.c */
struct operation *shard_operation_new(struct shard *self, const struct shard_request *request,
                                      const struct operation_origin *origin);
/* Answers and destroys it. */
void shard_operation_finish(struct operation *operation, struct shard_reply *reply, bool temporary);
void shard_answer(struct shard *self, const struct operation_origin *origin, struct shard_reply *reply, bool temporary);
void shard_refuse(struct shard *self, enum shard_request_kind kind, const struct operation_origin *origin,
                  enum error_code code);
/* What an outcome is called outside; for appends a cancelled one may have happened. */
enum error_code shard_code_of(enum engine_outcome outcome, bool is_append, bool *ret_temporary);
uint64_t shard_deadline_of(const struct shard *self, const struct shard_request *request);

/* shard_presence.c */
void shard_read_presence(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                         const struct namespace_options *options);

/* shard_services.c */
bool shard_is_service_request(enum shard_request_kind kind);
void shard_serve(struct shard *self, const struct shard_request *request, const struct operation_origin *origin);

#endif
