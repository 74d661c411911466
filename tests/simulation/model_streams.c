/* Streams of the simulated Redis: XADD with MAXLEN, XTRIM, XRANGE, XREVRANGE, XLEN. "About" (~) leaves a random number
 * of entries more than asked, as nodes of the real one do; what was really cut is told to replicas exactly. */
#include "tests/simulation/model_server.h"

#include "tests/simulation/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct id {
    uint64_t ms;
    uint64_t seq;
};

static bool is_word(struct span a, const char *word) {
    return a.size == strlen(word) && strncasecmp((const char *) a.data, word, a.size) == 0;
}

static struct id parse_id(struct span text, uint64_t seq) {
    char digits[48];
    size_t size = text.size < sizeof digits ? text.size : sizeof digits - 1;
    memcpy(digits, text.data, size);
    digits[size] = '\0';
    if (strcmp(digits, "-") == 0) {
        return (struct id){0, 0};
    }
    if (strcmp(digits, "+") == 0) {
        return (struct id){UINT64_MAX, UINT64_MAX};
    }
    char *rest = NULL;
    struct id id = {strtoull(digits, &rest, 10), seq};
    if (*rest == '-') {
        id.seq = strtoull(rest + 1, NULL, 10);
    }
    return id;
}

static int compare(uint64_t ms, uint64_t seq, struct id id) {
    return ms != id.ms ? (ms < id.ms ? -1 : 1) : seq != id.seq ? (seq < id.seq ? -1 : 1) : 0;
}

static uint64_t slack(const struct model_server *self, bool is_about) {
    return is_about ? sim_below(self->trim_slack + 1) : 0;
}

/* The number of entries that stay. */
static size_t kept_by_length(const struct model_server *self, const struct model_key *key, bool is_about,
                             uint64_t length) {
    uint64_t keep = length + slack(self, is_about);
    return key->n < keep ? key->n : (size_t) keep;
}

static void propagate(const struct model_call *call, size_t n, const struct span *words) {
    if (!call->is_replayed) {
        model_propagate(call->server, n, words);
    }
    if (call->wrote != NULL) {
        *call->wrote = true;
    }
}

static uint64_t as_number(struct span text) {
    return parse_id(text, 0).ms;
}

/* XADD key [MAXLEN [~|=] n] id field value … */
static void xadd(struct model_call *call) {
    struct model_server *self = call->server;
    const struct span *words = call->arguments;
    size_t at = 2;
    bool has_length = false;
    bool is_about = false;
    uint64_t length = 0;
    if (is_word(words[at], "MAXLEN")) {
        has_length = true;
        is_about = is_word(words[at + 1], "~");
        at += is_about || is_word(words[at + 1], "=") ? 2 : 1;
        length = as_number(words[at++]);
    }
    struct id id = parse_id(words[at], 0);
    struct model_key *key = model_find(self, words[1]);
    if (model_is_other_type(call, key, MODEL_STREAM)) {
        return;
    }
    if (id.ms == 0 && id.seq == 0) {
        reply_error(call->reply, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (key != NULL && compare(key->last.ms, key->last.seq, id) >= 0) {
        reply_error(call->reply, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
        return;
    }
    if (key == NULL) {
        key = model_store_make(&self->store, words[1], MODEL_STREAM);
    }
    struct model_field fields[8];
    uint32_t n = 0;
    for (size_t i = at + 1; i + 1 < call->n && n < 8; i += 2) {
        fields[n++] = (struct model_field){words[i], words[i + 1]};
    }
    model_entry_append(key, id.ms, id.seq, fields, n);
    char text[48];
    int size = snprintf(text, sizeof text, "%llu-%llu", (unsigned long long) id.ms, (unsigned long long) id.seq);
    struct span told[24] = {words[0], words[1]};
    size_t n_told = 2;
    char count[24];
    if (has_length) {
        size_t keep = kept_by_length(self, key, is_about, length);
        model_entries_trim(key, key->n - keep);
        int digits = snprintf(count, sizeof count, "%zu", keep);
        told[n_told++] = SPAN_LITERAL("MAXLEN");
        told[n_told++] = SPAN_LITERAL("=");
        told[n_told++] = span_of(count, (size_t) digits);
    }
    told[n_told++] = span_of(text, (size_t) size);
    for (uint32_t i = 0; i < n; i++) {
        told[n_told++] = fields[i].name;
        told[n_told++] = fields[i].value;
    }
    propagate(call, n_told, told);
    reply_bulk(call->reply, span_of(text, (size_t) size));
}

/* XTRIM key MAXLEN|MINID [~|=] n */
static void xtrim(struct model_call *call) {
    struct model_server *self = call->server;
    const struct span *words = call->arguments;
    struct model_key *key = model_find(self, words[1]);
    if (model_is_other_type(call, key, MODEL_STREAM)) {
        return;
    }
    bool is_about = is_word(words[3], "~");
    struct span bound = words[is_about || is_word(words[3], "=") ? 4 : 3];
    size_t keep = 0;
    if (key != NULL && is_word(words[2], "MAXLEN")) {
        keep = kept_by_length(self, key, is_about, as_number(bound));
    } else if (key != NULL) {
        struct id least = parse_id(bound, 0);
        for (size_t i = 0; i < key->n; i++) {
            keep += compare(key->entries[i].ms, key->entries[i].seq, least) >= 0;
        }
        keep += (size_t) slack(self, is_about);
        keep = keep < key->n ? keep : key->n;
    }
    size_t cut = key == NULL ? 0 : key->n - keep;
    if (cut > 0) {
        model_entries_trim(key, cut);
        char count[24];
        int size = snprintf(count, sizeof count, "%zu", keep);
        const struct span told[] = {words[0], words[1], SPAN_LITERAL("MAXLEN"), SPAN_LITERAL("="),
                                    span_of(count, (size_t) size)};
        propagate(call, 5, told);
    }
    reply_integer(call->reply, (int64_t) cut);
}

static void reply_entry(struct buffer *out, const struct model_entry *entry) {
    char text[48];
    int size =
        snprintf(text, sizeof text, "%llu-%llu", (unsigned long long) entry->ms, (unsigned long long) entry->seq);
    reply_array(out, 2);
    reply_bulk(out, span_of(text, (size_t) size));
    reply_array(out, 2 * (size_t) entry->n);
    for (uint32_t i = 0; i < entry->n; i++) {
        reply_bulk(out, entry->fields[i].name);
        reply_bulk(out, entry->fields[i].value);
    }
}

/* XRANGE key low high [COUNT n]; XREVRANGE key high low [COUNT n] */
static void xrange(struct model_call *call, bool backwards) {
    const struct span *words = call->arguments;
    const struct model_key *key = model_find(call->server, words[1]);
    if (model_is_other_type(call, key, MODEL_STREAM)) {
        return;
    }
    struct id low = parse_id(words[backwards ? 3 : 2], 0);
    struct id high = parse_id(words[backwards ? 2 : 3], UINT64_MAX);
    uint64_t most = call->n >= 6 ? as_number(words[5]) : UINT64_MAX;
    size_t first = 0;
    size_t last = 0; /* behind the last one */
    for (size_t i = 0; key != NULL && i < key->n; i++) {
        bool is_below = compare(key->entries[i].ms, key->entries[i].seq, low) < 0;
        bool is_above = compare(key->entries[i].ms, key->entries[i].seq, high) > 0;
        first += is_below;
        last += !is_above;
    }
    size_t n = last > first ? last - first : 0;
    n = n < most ? n : (size_t) most;
    reply_array(call->reply, n);
    for (size_t i = 0; i < n; i++) {
        reply_entry(call->reply, &key->entries[backwards ? last - 1 - i : first + i]);
    }
}

void model_stream_command(struct model_call *call, const char *name) {
    if (strcasecmp(name, "XADD") == 0) {
        xadd(call);
    } else if (strcasecmp(name, "XTRIM") == 0) {
        xtrim(call);
    } else if (strcasecmp(name, "XLEN") == 0) {
        const struct model_key *key = model_find(call->server, call->arguments[1]);
        if (!model_is_other_type(call, key, MODEL_STREAM)) {
            reply_integer(call->reply, key == NULL ? 0 : (int64_t) key->n);
        }
    } else {
        xrange(call, strcasecmp(name, "XREVRANGE") == 0);
    }
}
