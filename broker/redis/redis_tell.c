/* From applied batches to the shard: publications and presence as events, then the completions, in the order of the
 * items. Own batches tell the bytes that were encoded when the request came; others' are cut out of the message, and
 * only for channels that somebody here holds. What is of a safe channel waits in the gate, where one is needed, and is
 * told in a second pass. */
#include "broker/redis/engine_redis_parts.h"

#include "base/clock.h"
#include "base/memory.h"

static void complete(struct redis_item *item, enum engine_outcome outcome) {
    struct engine_append *request = item->request;
    if (request != NULL) {
        item->request = NULL; /* first: the callee may free it */
        request->on_done(request, outcome);
    }
}

static void tell_member(struct engine_redis *engine, struct span channel, bool joined, struct span value) {
    struct redis_member member;
    if (!redis_member_parse(value, &member)) {
        metric_count(engine->metrics, REDIS_METRIC_MALFORMED);
        return;
    }
    const struct engine_presence_entry entry = {
        .info = member.info, .gateway_id = member.gateway_id, .lease_number = member.lease_number};
    engine->options.events->on_presence(engine->options.context, channel, joined, &entry);
}

/* ---- own batches ---- */

/* The value inside a presence item (see scripts/append.lua): what B, client Bc0, value I4c0. */
static struct span value_of(const struct redis_item *item) {
    struct cursor cursor = cursor_of(buffer_span(&item->member));
    cursor_u8(&cursor);
    cursor_bytes(&cursor, cursor_u8(&cursor));
    return cursor_sized(&cursor);
}

/* Its channel may have moved to another broker while it waited, and who it was about may have left there: then it has
 * made a ghost. */
static bool is_late(const struct redis_item *item, uint64_t now_ms) {
    return now_ms + REDIS_PRESENCE_WAIT_MS - REDIS_PRESENCE_LATE_MS > item->deadline_ms;
}

static void tell_own_member(struct engine_redis *engine, const struct redis_item *item,
                            const struct redis_odd_item *odd) {
    if (odd == NULL) {
        return;
    }
    struct span channel = redis_channel_name(item->channel);
    if (odd->what == REDIS_ODD_JOINED) {
        tell_member(engine, channel, true, value_of(item));
    } else if (odd->what == REDIS_ODD_LEFT) {
        tell_member(engine, channel, false, odd->value);
    } else {
        metric_count(engine->metrics, REDIS_METRIC_MALFORMED);
    }
}

static enum engine_outcome answer_odd(struct engine_redis *engine, struct redis_item *item,
                                      const struct redis_odd_item *odd) {
    if (odd->what == REDIS_ODD_KEY_REUSED) {
        return ENGINE_KEY_REUSED;
    }
    if (odd->what == REDIS_ODD_SUPPRESSED) {
        if (item->request != NULL) {
            item->request->position = odd->position;
            item->request->suppressed = true;
        }
        return ENGINE_OK;
    }
    if (odd->what != REDIS_ODD_DUPLICATE) {
        return ENGINE_CORRUPT;
    }
    metric_count(engine->metrics, REDIS_METRIC_DUPLICATES);
    if (item->request != NULL) {
        item->request->position = odd->position;
        item->request->duplicate = true;
    }
    return ENGINE_OK;
}

static enum engine_outcome answer_plain(struct engine_redis *engine, struct redis_item *item, struct redis_place *place,
                                        bool tell) {
    struct position position = {.offset = 0};
    if (item->kind == REDIS_POSITIONED) {
        position = (struct position){place->epoch, place->first++};
        redis_item_set_offset(item, position.offset);
        if (tell) {
            redis_channel_learn(item->channel, &position.epoch, position.offset);
        }
    }
    metric_count(engine->metrics, REDIS_METRIC_PUBLICATIONS);
    if (item->request != NULL) {
        item->request->position = position;
    }
    if (tell) {
        engine->options.events->on_publication(engine->options.context, redis_channel_name(item->channel),
                                               &position.epoch, position.offset, item->publication);
    }
    return ENGINE_OK;
}

static void tell_item(struct redis_partition *self, struct redis_batch *batch, uint32_t number,
                      const struct redis_odd_item *odd, bool tell) {
    struct engine_redis *engine = self->engine;
    struct redis_item *item = batch->items[number];
    item->is_told = true;
    if (item->kind == REDIS_PRESENCE) {
        self->lost_presence = self->lost_presence || is_late(item, clock_monotonic_ms());
        if (tell) {
            tell_own_member(engine, item, odd);
        }
    } else if (odd != NULL) {
        complete(item, answer_odd(engine, item, odd));
    } else {
        complete(item, answer_plain(engine, item, &batch->results.places[batch->map[number] - 1], tell));
    }
}

/* Those items that are told by now, in one pass over items and results. */
static void tell_items(struct redis_partition *self, struct redis_batch *batch, bool tell, enum redis_telling telling) {
    struct redis_odd_item odd;
    bool has_odd = redis_results_next(&batch->results, &odd);
    bool is_gated = redis_gate_is_needed(self->engine);
    for (uint32_t i = 0; i < batch->n_items; i++) {
        bool is_odd = has_odd && odd.index == i;
        bool waits = is_gated && redis_batch_item_is_safe(batch, i);
        if (waits == (telling == REDIS_TELL_CONFIRMED)) {
            tell_item(self, batch, i, is_odd ? &odd : NULL, tell);
        }
        if (is_odd) {
            has_odd = redis_results_next(&batch->results, &odd);
        }
    }
}

void redis_tell_batch(struct redis_partition *self, struct redis_batch **batch_p, bool tell) {
    struct redis_batch *batch = *batch_p;
    *batch_p = NULL;
    tell_items(self, batch, tell, REDIS_TELL_AT_ONCE);
    if (redis_gate_is_needed(self->engine) && redis_batch_is_safe(batch)) {
        redis_gate_hold_batch(self, batch, tell);
    } else {
        redis_batch_destroy(&batch, self->engine->channels);
    }
}

void redis_tell_confirmed_batch(struct redis_partition *self, struct redis_batch **batch_p, bool tell) {
    /* The first pass has read the results to their end. */
    redis_results_parse((*batch_p)->results_bytes, &(*batch_p)->results);
    tell_items(self, *batch_p, tell, REDIS_TELL_CONFIRMED);
    redis_batch_destroy(batch_p, self->engine->channels);
}

void redis_tell_failure(struct redis_partition *self, struct redis_batch **batch_p, enum engine_outcome outcome) {
    struct redis_batch *batch = *batch_p;
    for (uint32_t i = 0; i < batch->n_items; i++) {
        if (batch->items[i] != NULL) {
            redis_queue_answer(self, batch->items[i], outcome);
        }
    }
    redis_batch_destroy(batch_p, self->engine->channels);
}

/* ---- others' batches ---- */

static payload_t *publication_with_offset(struct span encoded, uint64_t offset) {
    uint8_t *bytes = NULL;
    payload_t *publication = payload_new_uninitialised(encoded.size, &bytes);
    memcpy(bytes, encoded.data, encoded.size);
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t) (offset >> (8 * i));
    }
    return publication;
}

/* As the writer says, or as this broker has it: then everything of the channel waits, in its order. */
static bool waits_for_confirm(const struct engine_redis *engine, const struct redis_channel *channel,
                              const struct redis_topic_item *item) {
    return item->channel->kind == REDIS_POSITIONED_SAFE ||
           (namespace_has_history(channel->options) && engine_redis_is_safe(engine, channel->options));
}

static void tell_item_of(struct redis_partition *self, struct redis_channel *channel,
                         const struct redis_topic_item *item) {
    struct engine_redis *engine = self->engine;
    redis_channels_pin(engine->channels, item->channel->name); /* the shard may release it meanwhile */
    if (item->channel->kind == REDIS_PRESENCE) {
        tell_member(engine, item->channel->name, item->joined, item->value);
    } else {
        const struct epoch *epoch = &item->channel->place.epoch;
        redis_channel_learn(channel, epoch, item->offset);
        payload_t *publication = publication_with_offset(item->publication, item->offset);
        engine->options.events->on_publication(engine->options.context, redis_channel_name(channel), epoch,
                                               item->offset, publication);
        payload_unref(&publication);
    }
    redis_channels_unpin(engine->channels, channel);
}

bool redis_tell_message(struct redis_partition *self, struct redis_topic_message *message, enum redis_telling telling) {
    struct engine_redis *engine = self->engine;
    bool is_gated = redis_gate_is_needed(engine);
    bool has_others = false;
    struct redis_topic_item item;
    while (redis_topic_next(message, &item)) {
        struct redis_channel *channel = redis_channels_find(engine->channels, item.channel->name);
        if (channel == NULL || channel->n_holds == 0 || channel->partition != self->number) {
            /* What stands before it in the gate may be of this channel, and somebody may hold it by then. */
            has_others = has_others || (telling == REDIS_TELL_AT_ONCE && item.channel->kind == REDIS_POSITIONED_SAFE &&
                                        !list_is_empty(&self->gate));
            continue;
        }
        bool waits = is_gated && waits_for_confirm(engine, channel, &item);
        if (waits == (telling == REDIS_TELL_CONFIRMED)) {
            tell_item_of(self, channel, &item);
        } else {
            has_others = true;
        }
    }
    return has_others;
}
