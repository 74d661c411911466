/* See finding_board.h. A list of places, a handful: found by walking it. */
#include "broker/finding_board.h"

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>

enum { METRIC_NOTE, METRIC_UNKNOWN, METRIC_WARNING, METRIC_ERROR, BOARD_METRICS };

#define ROW(row, severity)                                                                                             \
    [row] = {"callboard_redis_findings", "What the examination of the Redis servers found, by severity.",              \
             METRIC_GAUGE, "severity=\"" severity "\""}
static const struct metric_description metric_rows[BOARD_METRICS] = {
    ROW(METRIC_NOTE, "note"),
    ROW(METRIC_UNKNOWN, "unknown"),
    ROW(METRIC_WARNING, "warning"),
    ROW(METRIC_ERROR, "error"),
};

struct place {
    struct list_link link;
    char *name;
    uint64_t claimed_ms; /* 0: not claimed */
    uint64_t posted_ms;  /* 0: never */
    struct findings findings;
};

struct finding_board {
    pthread_mutex_t mutex; /* guards all */
    struct list_link places;
    metric_values_t *metrics;
};

finding_board_t *finding_board_new(metrics_t *metrics) {
    finding_board_t *self = memory_alloc_zero(sizeof *self);
    pthread_mutex_init(&self->mutex, NULL);
    list_init(&self->places);
    self->metrics = metric_values_new(metrics, metric_rows, BOARD_METRICS);
    return self;
}

static void place_destroy(struct place *place) {
    list_remove(&place->link);
    findings_finish(&place->findings);
    memory_free(place->name);
    memory_free(place);
}

void finding_board_destroy(finding_board_t **self_p) {
    finding_board_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    while (!list_is_empty(&self->places)) {
        place_destroy(list_entry(self->places.next, struct place, link));
    }
    metric_values_destroy(&self->metrics);
    pthread_mutex_destroy(&self->mutex);
    memory_free(self);
    *self_p = NULL;
}

static struct place *find(finding_board_t *self, const char *name) {
    list_for_each (link, &self->places) {
        struct place *place = list_entry(link, struct place, link);
        if (strcmp(place->name, name) == 0) {
            return place;
        }
    }
    struct place *place = memory_alloc_zero(sizeof *place);
    place->name = memory_strdup(name);
    list_init(&place->link);
    list_push_back(&self->places, &place->link);
    return place;
}

/* ---- claims ---- */

bool finding_board_claim(finding_board_t *self, const char *place_name, uint64_t now_ms, uint64_t every_ms) {
    pthread_mutex_lock(&self->mutex);
    struct place *place = find(self, place_name);
    bool is_due = place->claimed_ms == 0 || now_ms - place->claimed_ms >= every_ms;
    if (is_due) {
        place->claimed_ms = now_ms;
    }
    pthread_mutex_unlock(&self->mutex);
    return is_due;
}

void finding_board_give_back(finding_board_t *self, const char *place_name) {
    pthread_mutex_lock(&self->mutex);
    find(self, place_name)->claimed_ms = 0;
    pthread_mutex_unlock(&self->mutex);
}

/* ---- posting ---- */

static bool is_bad(const struct finding *finding) {
    return finding != NULL && finding->severity >= FINDING_WARNING;
}

static void log_changes(const char *place, const struct findings *old, const struct findings *new) {
    for (size_t i = 0; i < new->n; i++) {
        const struct finding *now = &new->items[i];
        const struct finding *before = findings_find(old, now->id, NULL);
        if (is_bad(now) && (before == NULL || before->severity != now->severity)) {
            LOG_AT(now->severity == FINDING_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "redis_finding",
                   log_text("id", now->id), log_text("redis", place), log_text("what", now->what),
                   log_text("mend", now->mend));
        } else if (is_bad(before) && !is_bad(now)) {
            log_info("redis_finding_over", log_text("id", now->id), log_text("redis", place),
                     log_text("what", now->what));
        }
    }
}

/* Also those that were claimed once and given back without a word. */
static void forget_old(finding_board_t *self, uint64_t now_ms, uint64_t keep_ms) {
    list_for_each_safe (link, &self->places) {
        struct place *place = list_entry(link, struct place, link);
        uint64_t used_ms = place->posted_ms > place->claimed_ms ? place->posted_ms : place->claimed_ms;
        if (now_ms - used_ms > keep_ms) {
            place_destroy(place);
        }
    }
}

static void count(finding_board_t *self) {
    static const enum finding_severity severities[BOARD_METRICS] = {
        [METRIC_NOTE] = FINDING_NOTE,
        [METRIC_UNKNOWN] = FINDING_UNKNOWN,
        [METRIC_WARNING] = FINDING_WARNING,
        [METRIC_ERROR] = FINDING_ERROR,
    };
    for (size_t row = 0; row < BOARD_METRICS; row++) {
        size_t n = 0;
        list_for_each (link, &self->places) {
            n += findings_count(&list_entry(link, struct place, link)->findings, severities[row]);
        }
        metric_set(self->metrics, row, (int64_t) n);
    }
}

void finding_board_post(finding_board_t *self, const char *place_name, struct findings *findings, uint64_t now_ms,
                        uint64_t keep_ms) {
    pthread_mutex_lock(&self->mutex);
    struct place *place = find(self, place_name);
    struct findings old = place->findings;
    place->findings = *findings;
    place->posted_ms = now_ms;
    *findings = FINDINGS_EMPTY;
    forget_old(self, now_ms, keep_ms);
    count(self);
    log_changes(place_name, &old, &place->findings);
    pthread_mutex_unlock(&self->mutex);
    findings_finish(&old);
}

/* ---- reading ---- */

void finding_board_append_ids(finding_board_t *self, struct buffer *out) {
    struct findings told = FINDINGS_EMPTY;
    buffer_append_char(out, '[');
    pthread_mutex_lock(&self->mutex);
    list_for_each (link, &self->places) {
        const struct findings *findings = &list_entry(link, struct place, link)->findings;
        for (size_t i = 0; i < findings->n; i++) {
            const struct finding *finding = &findings->items[i];
            const char *severity = finding_severity_text(finding->severity);
            if (is_bad(finding) && findings_find(&told, finding->id, severity) == NULL) {
                buffer_append_format(out, "%s{\"id\":\"%s\",\"severity\":\"%s\"}", told.n == 0 ? "" : ",", finding->id,
                                     severity);
                findings_add(&told, finding->id, finding->severity, severity, "told");
            }
        }
    }
    pthread_mutex_unlock(&self->mutex);
    buffer_append_char(out, ']');
    findings_finish(&told);
}

void finding_board_append_json(finding_board_t *self, struct buffer *out) {
    bool is_first = true;
    buffer_append_char(out, '[');
    pthread_mutex_lock(&self->mutex);
    list_for_each (link, &self->places) {
        findings_append_items(&list_entry(link, struct place, link)->findings, FINDING_NOTE, &is_first, out);
    }
    pthread_mutex_unlock(&self->mutex);
    buffer_append_char(out, ']');
}
