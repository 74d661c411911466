/* PRESENCE and PRESENCE_STATS.
 *
 *   held here, loaded ──▶ the actor's own table: no engine call
 *   else              ──▶ page by page from the engine, those of live leases counted and gathered
 *   a page (limit)    ──▶ one page of the engine, whoever asks: any broker can give the next one
 *
 * Bounds. An answer without a limit is whole or refused (TOO_LARGE): at most broker.presence_memory members, and what a
 * frame carries. Pages are bounded by their limit and PAGE_BYTES_MAX. Counting what nobody here is subscribed to keeps
 * of each member who it is until the answer.
 *
 * Failure modes: the engine is away → temporary; the deadline holds for all pages together. */
#include "base/clock.h"
#include "broker/shard_operation.h"

#define PAGE_BYTES_MAX ((size_t) 4 << 20)

static const char too_many_text[] = "more members than one answer holds: ask presence_stats for their number, or read "
                                    "them page by page with limit and cursor of the backend API's presence";
static const char page_too_large_text[] = "the members of this page have too many bytes: ask for a smaller limit";

static void refuse_size(struct shard *self, const char *text, struct shard_reply *reply) {
    metric_count(self->metrics, SHARD_PRESENCE_TOO_LARGE);
    reply->error = ERROR_TOO_LARGE;
    reply->message_text = text;
}

static void fill_members(struct shard *self, const presence_t *members, bool is_page, struct shard_reply *reply) {
    bool fits = presence_has_infos(members);
    if (fits) {
        buffer_clear(&self->scratch);
        self->scratch.limit = is_page ? PAGE_BYTES_MAX : WIRE_FRAME_MAX - 1024;
        reply->n = presence_append(members, &self->scratch, &fits);
        self->scratch.limit = 0;
        reply->bytes = fits ? buffer_span(&self->scratch) : SPAN_EMPTY;
    }
    if (!fits) {
        refuse_size(self, is_page ? page_too_large_text : too_many_text, reply);
    }
}

static void fill(struct shard *self, const presence_t *members, enum shard_request_kind kind, bool is_page,
                 struct shard_reply *reply) {
    if (kind == SHARD_REQUEST_PRESENCE) {
        fill_members(self, members, is_page, reply);
        return;
    }
    struct presence_stats count = presence_count(members);
    reply->n = count.clients;
    reply->m = count.users;
}

static void finish(struct operation *operation, struct shard_reply *reply, bool temporary) {
    presence_t *members = operation->members;
    shard_operation_finish(operation, reply, temporary);
    presence_destroy(&members);
}

static void take_page(struct operation *operation, const struct engine_presence_read *read) {
    for (uint32_t i = 0; i < read->n_entries; i++) {
        const struct engine_presence_entry *entry = &read->entries[i];
        if (gateway_leases_is_alive(operation->shard->leases, entry->gateway_id, entry->lease_number)) {
            presence_join(operation->members, entry, 0);
        }
    }
}

static void on_page_read(struct engine_presence_read *read, enum engine_outcome outcome);

static void read_page(struct operation *operation, uint64_t cursor) {
    engine_t *engine = operation->shard->engine;
    operation->engine.presence.cursor = cursor;
    operation->engine.presence.on_done = on_page_read;
    engine->methods->presence_read(engine, &operation->engine.presence);
}

static void on_page_read(struct engine_presence_read *read, enum engine_outcome outcome) {
    struct operation *operation = list_entry(read, struct operation, engine.presence);
    struct shard *self = operation->shard;
    bool temporary = false;
    bool is_page = read->limit > 0;
    struct shard_reply reply = {.error = shard_code_of(outcome, false, &temporary)};
    if (outcome != ENGINE_OK) {
        finish(operation, &reply, temporary);
        return;
    }
    take_page(operation, read);
    bool is_enough = is_page || (operation->kind == SHARD_REQUEST_PRESENCE && !presence_has_infos(operation->members));
    if (read->next != 0 && !is_enough) {
        if (clock_monotonic_ms() < read->deadline_ms) {
            read_page(operation, read->next);
            return;
        }
        reply.error = shard_code_of(ENGINE_TEMPORARY, false, &temporary);
    } else {
        fill(self, operation->members, operation->kind, is_page, &reply);
        reply.next = is_page ? read->next : 0;
    }
    finish(operation, &reply, temporary);
}

void shard_read_presence(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                         const struct namespace_options *options) {
    if (!options->presence) {
        shard_refuse(self, request->kind, origin, ERROR_NOT_AVAILABLE);
        return;
    }
    bool is_page = request->kind == SHARD_REQUEST_PRESENCE && request->limit > 0;
    const channel_t *channel = channel_set_find(self->channels, request->channel);
    const presence_t *members = channel == NULL ? NULL : channel_presence(channel);
    if (members != NULL && !is_page) {
        struct shard_reply reply = {.kind = request->kind};
        fill(self, members, request->kind, false, &reply);
        shard_answer(self, origin, &reply, false);
        return;
    }
    struct operation *operation = shard_operation_new(self, request, origin);
    bool is_whole = request->kind == SHARD_REQUEST_PRESENCE && !is_page;
    uint32_t infos_max = is_page ? UINT32_MAX : is_whole ? (uint32_t) self->options.config->presence_infos_max : 0;
    operation->members = presence_new(infos_max);
    operation->engine.presence = (struct engine_presence_read){.channel = shard_operation_channel(operation),
                                                               .limit = is_page ? request->limit : 0,
                                                               .deadline_ms = shard_deadline_of(self, request)};
    read_page(operation, is_page ? request->cursor : 0);
}
