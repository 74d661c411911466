/* See memory_services.h.
 *
 *   lease: (absent) ──acquire──▶ held until expires_ms ──release, or the time──▶ (absent)
 *   value: (absent) ──set, incr──▶ there, until expires_ms where it has one ──del, or the time──▶ (absent)
 *
 * Failure modes: no room for one more record or a larger value → ENGINE_FULL, nothing changed. */
#include "broker/memory/memory_services.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>

struct record {
    struct slot_link by_key;
    payload_t *bytes;    /* the value; of a lease: the nonce of its acquisition */
    uint64_t expires_ms; /* 0: never */
    uint64_t token;      /* of a lease; 0: it is a value */
    uint8_t name_size;
    uint8_t name[];
};

static struct record *record_of(struct slot_link *link) {
    return link == NULL ? NULL : slot_entry(link, struct record, by_key);
}

static struct span name_of(const struct record *record) {
    return span_of(record->name, record->name_size);
}

/* Leases and values of one name are two things. */
static uint64_t hash_key(const slot_table_t *table, bool is_lease, struct span name) {
    return slot_table_hash_bytes(table, name) ^ (is_lease ? UINT64_MAX : 0);
}

static uint64_t hash_of(const slot_table_t *table, const struct slot_link *link) {
    const struct record *record = slot_entry(link, const struct record, by_key);
    return hash_key(table, record->token != 0, name_of(record));
}

static size_t cost_of(struct span name, struct span bytes) {
    return sizeof(struct record) + name.size + sizeof(void *) + bytes.size;
}

static void remove_record(struct memory_services *self, struct record *record) {
    self->bytes -= cost_of(name_of(record), payload_span(record->bytes));
    slot_table_remove(&self->records, &record->by_key);
    payload_unref(&record->bytes);
    memory_free(record);
}

static bool has_ended(const struct record *record, uint64_t now_ms) {
    return record->expires_ms != 0 && record->expires_ms <= now_ms;
}

/* NULL: not there, or its time is over. */
static struct record *find(struct memory_services *self, bool is_lease, struct span name, uint64_t now_ms) {
    struct slot_link *link = slot_table_chain(&self->records, hash_key(&self->records, is_lease, name));
    struct record *record = record_of(link);
    while (record != NULL && ((record->token != 0) != is_lease || !span_equal(name_of(record), name))) {
        record = record_of(record->by_key.next);
    }
    if (record != NULL && has_ended(record, now_ms)) {
        remove_record(self, record);
        record = NULL;
    }
    return record;
}

static bool has_room(struct memory_services *self, size_t more, size_t less) {
    if (self->bytes - less + more <= self->bytes_max) {
        return true;
    }
    self->n_full++;
    return false;
}

/* NULL: no room. */
static struct record *add(struct memory_services *self, struct span name, struct span bytes, uint64_t token) {
    check(name.size > 0 && name.size <= UINT8_MAX, "a name of %zu bytes", name.size);
    size_t cost = cost_of(name, bytes);
    if (!has_room(self, cost, 0)) {
        return NULL;
    }
    struct record *record = memory_alloc_zero(sizeof *record + name.size);
    record->bytes = payload_new(bytes);
    record->token = token;
    record->name_size = (uint8_t) name.size;
    memcpy(record->name, name.data, name.size);
    slot_table_add(&self->records, &record->by_key);
    self->bytes += cost;
    return record;
}

static uint64_t left_ms(const struct record *record, uint64_t now_ms) {
    return record->expires_ms == 0 ? 0 : record->expires_ms - now_ms;
}

/* ---- leases ---- */

static uint64_t next_token(struct memory_services *self) {
    int64_t wall_ms = clock_wall_ms();
    uint64_t by_clock = wall_ms > 0 ? (uint64_t) wall_ms * 1000 : 0;
    self->last_token = by_clock > self->last_token ? by_clock : self->last_token + 1;
    return self->last_token;
}

static enum engine_outcome acquire(struct memory_services *self, struct engine_service *request, uint64_t now_ms) {
    struct record *record = find(self, true, request->name, now_ms);
    if (record == NULL) {
        record = add(self, request->name, request->nonce, next_token(self));
        if (record == NULL) {
            return ENGINE_FULL;
        }
        record->expires_ms = now_ms + request->ttl_ms;
        request->is_done = true;
    } else {
        request->is_done = span_equal(payload_span(record->bytes), request->nonce); /* asked again */
    }
    request->granted = request->is_done ? record->token : 0;
    request->left_ms = left_ms(record, now_ms);
    return ENGINE_OK;
}

static enum engine_outcome keep_or_release(struct memory_services *self, struct engine_service *request,
                                           uint64_t now_ms) {
    struct record *record = find(self, true, request->name, now_ms);
    request->is_done = record != NULL && record->token == request->token;
    if (request->is_done && request->verb == ENGINE_LEASE_RENEW) {
        record->expires_ms = now_ms + request->ttl_ms;
        request->left_ms = request->ttl_ms;
    } else if (request->is_done) {
        remove_record(self, record);
    }
    return ENGINE_OK;
}

/* ---- values ---- */

/* False: no room, nothing changed. */
static bool store(struct memory_services *self, struct record *known, struct engine_service *request, struct span value,
                  uint64_t expires_ms) {
    if (known == NULL) {
        known = add(self, request->name, value, 0);
        if (known == NULL) {
            return false;
        }
    } else {
        size_t before = payload_span(known->bytes).size;
        if (!has_room(self, value.size, before)) {
            return false;
        }
        self->bytes = self->bytes - before + value.size;
        payload_unref(&known->bytes);
        known->bytes = payload_new(value);
    }
    known->expires_ms = expires_ms;
    return true;
}

static uint64_t end_of(uint64_t ttl_ms, uint64_t now_ms) {
    return ttl_ms == 0 ? 0 : now_ms + ttl_ms;
}

static bool parse_number(struct span text, int64_t *ret_number) {
    bool is_negative = text.size > 0 && text.data[0] == '-';
    struct span digits = is_negative ? span_of(text.data + 1, text.size - 1) : text;
    uint64_t value;
    if (!span_parse_u64(digits, &value) || value > (uint64_t) ENGINE_NUMBER_MAX || (is_negative && value == 0)) {
        return false;
    }
    *ret_number = is_negative ? -(int64_t) value : (int64_t) value;
    return true;
}

static enum engine_outcome count(struct memory_services *self, struct engine_service *request, uint64_t now_ms) {
    struct record *known = find(self, false, request->name, now_ms);
    int64_t number = 0;
    if (known != NULL && !parse_number(payload_span(known->bytes), &number)) {
        return ENGINE_OK;
    }
    number += request->by;
    if (number > ENGINE_NUMBER_MAX || number < -ENGINE_NUMBER_MAX) {
        return ENGINE_OK;
    }
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long) number);
    uint64_t expires_ms = known != NULL ? known->expires_ms : end_of(request->ttl_ms, now_ms);
    if (!store(self, known, request, span_of(text, (size_t) size), expires_ms)) {
        return ENGINE_FULL;
    }
    request->is_done = true;
    request->number = number;
    request->left_ms = expires_ms == 0 ? 0 : expires_ms - now_ms;
    return ENGINE_OK;
}

static enum engine_outcome look(struct memory_services *self, struct engine_service *request, uint64_t now_ms,
                                payload_t **ret_content) {
    struct record *known = find(self, false, request->name, now_ms);
    request->is_done = known != NULL;
    if (known != NULL) {
        request->left_ms = left_ms(known, now_ms);
        *ret_content = request->verb == ENGINE_KV_GET ? payload_ref(known->bytes) : NULL;
    }
    return ENGINE_OK;
}

static enum engine_outcome change(struct memory_services *self, struct engine_service *request, uint64_t now_ms) {
    struct record *known = find(self, false, request->name, now_ms);
    request->is_done = known != NULL;
    if (request->verb == ENGINE_KV_SET) {
        request->left_ms = request->ttl_ms;
        return store(self, known, request, request->value, end_of(request->ttl_ms, now_ms)) ? ENGINE_OK : ENGINE_FULL;
    }
    if (known != NULL) {
        remove_record(self, known);
    }
    return ENGINE_OK;
}

/* ---- all of them ---- */

enum engine_outcome memory_services_serve(struct memory_services *self, struct engine_service *request, uint64_t now_ms,
                                          payload_t **ret_content) {
    *ret_content = NULL;
    switch (request->verb) {
    case ENGINE_LEASE_ACQUIRE:
        return acquire(self, request, now_ms);
    case ENGINE_LEASE_RENEW:
    case ENGINE_LEASE_RELEASE:
        return keep_or_release(self, request, now_ms);
    case ENGINE_LEASE_LEAVE:
        request->is_done = true; /* there is no other broker whose turn it could be */
        return ENGINE_OK;
    case ENGINE_KV_GET:
    case ENGINE_KV_EXISTS:
        return look(self, request, now_ms, ret_content);
    case ENGINE_KV_SET:
    case ENGINE_KV_DEL:
        return change(self, request, now_ms);
    case ENGINE_KV_INCR:
        return count(self, request, now_ms);
    }
    unreachable("verb %d", (int) request->verb);
}

void memory_services_sweep(struct memory_services *self, size_t n, uint64_t now_ms) {
    struct record *record = NULL;
    for (size_t i = 0; i < n && (record = record_of(slot_table_walk(&self->records))) != NULL; i++) {
        if (has_ended(record, now_ms)) {
            remove_record(self, record);
        }
    }
}

void memory_services_init(struct memory_services *self, size_t bytes_max) {
    *self = (struct memory_services){.bytes_max = bytes_max};
    slot_table_init(&self->records, hash_of);
}

void memory_services_finish(struct memory_services *self) {
    struct record *record = NULL;
    while ((record = record_of(slot_table_walk(&self->records))) != NULL) {
        remove_record(self, record);
    }
    slot_table_finish(&self->records);
    check(self->bytes == 0, "%zu bytes are charged and not released", self->bytes);
}
