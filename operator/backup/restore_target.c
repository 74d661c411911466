/* See restore_target.h. Each primary has one connection, opened at its first key; up to 128 commands or 256 KiB go
 * together, then their replies are read. Failures: a target with keys (without --resume), a cluster that is not
 * healthy, two primaries; NOPERM, OOM, a server older than the copy (told with the key); a connection that is cut. */
#include "operator/backup/restore_target.h"

#include "base/memory.h"
#include "operator/backup/rdb_read.h"
#include "operator/redis/cluster_observe.h"
#include "operator/redis/set_observe.h"

#include <stdio.h>

enum { TOGETHER = 128, BYTES_TOGETHER = 256 * 1024, REPLY_MS = 60000, KEY_SHOWN = 100 };

struct place {
    resp_client_t *client; /* NULL: not opened yet */
    uint64_t database;     /* selected */
    struct buffer out;
    size_t waiting;
    char first_key[KEY_SHOWN + 1]; /* of those that wait */
};

struct restore_target {
    redis_dialer_t *dialer;
    const struct redis_options *options;
    const struct redis_pods *pods;
    struct place *places;      /* one a pod */
    int owners[CLUSTER_SLOTS]; /* of a set: the same for all */
    uint64_t kept;
};

static bool fail(char ret_error[BACKUP_ERROR_MAX], const char *pod, const char *what, struct span why) {
    snprintf(ret_error, BACKUP_ERROR_MAX, "%.150s: %s%.*s", pod, what, (int) (why.size < 200 ? why.size : 200),
             why.size == 0 ? "" : (const char *) why.data);
    return false;
}

static bool is_empty(const restore_target_t *self, const char *pod, uint64_t keys, char ret_error[BACKUP_ERROR_MAX]) {
    char text[160];
    snprintf(text, sizeof text,
             "it has %llu keys. A copy goes into an empty Redis only; --resume goes on with one that was interrupted",
             (unsigned long long) keys);
    return keys == 0 || self->options->resume || fail(ret_error, pod, "", span_of_text(text));
}

static bool find_in_cluster(restore_target_t *self, const struct cluster_view *view, char ret_error[BACKUP_ERROR_MAX]) {
    struct cluster_plan plan;
    cluster_plan_make(&plan, view, CLUSTER_ACTOR_ALL);
    bool is_well = plan.verdict == CLUSTER_HEALTHY ||
                   fail(ret_error, "the cluster", "it is not well: ", span_of_text(plan.reason));
    cluster_plan_finish(&plan);
    for (size_t i = 0; is_well && i < view->n; i++) {
        const struct cluster_pod *pod = &view->pods[i];
        const struct cluster_node *line = cluster_table_myself(&pod->table);
        for (size_t r = 0; line->is_primary && r < line->n_ranges; r++) {
            const struct cluster_slots *range = &pod->table.ranges[line->first_range + r];
            for (unsigned slot = range->first; slot <= range->last; slot++) {
                self->owners[slot] = (int) i;
            }
        }
        is_well = is_empty(self, pod->name, pod->keys, ret_error);
    }
    return is_well;
}

static bool find_in_set(restore_target_t *self, const struct set_server *servers, char ret_error[BACKUP_ERROR_MAX]) {
    char reason[CLUSTER_REASON_MAX];
    int primary = set_primary(servers, self->pods->n, reason);
    for (size_t i = 0; i < self->pods->n; i++) {
        if (!servers[i].answers) {
            return fail(ret_error, servers[i].name, "", span_of_text(servers[i].trouble));
        }
        if (servers[i].is_cluster) {
            return fail(ret_error, servers[i].name, "it is of a cluster: --mode cluster", SPAN_EMPTY);
        }
    }
    if (primary == SET_NOBODY) {
        return fail(ret_error, "the set", "", span_of_text(reason));
    }
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        self->owners[slot] = primary;
    }
    return is_empty(self, servers[primary].name, servers[primary].keys, ret_error);
}

static bool find_owners(restore_target_t *self, bool *ret_is_refused, char ret_error[BACKUP_ERROR_MAX]) {
    bool is_found;
    if (restore_target_is_cluster(self)) {
        cluster_observation_t *seen =
            cluster_observe(self->dialer, self->pods, (unsigned) self->options->shards, NULL, NULL);
        const struct cluster_view *view = cluster_observation_view(seen);
        *ret_is_refused = view->n > 0 && view->pods[0].answers;
        is_found = find_in_cluster(self, view, ret_error);
        cluster_observation_destroy(&seen);
    } else {
        struct set_server *servers = set_observe(self->dialer, self->pods);
        *ret_is_refused = servers[0].answers;
        is_found = find_in_set(self, servers, ret_error);
        memory_free(servers);
    }
    return is_found;
}

restore_target_t *restore_target_new(redis_dialer_t *dialer, const struct redis_options *options,
                                     const struct redis_pods *pods, bool *ret_is_refused,
                                     char ret_error[BACKUP_ERROR_MAX]) {
    restore_target_t *self = memory_alloc_zero(sizeof *self);
    self->dialer = dialer;
    self->options = options;
    self->pods = pods;
    self->places = memory_alloc_array(pods->n, sizeof *self->places);
    if (!find_owners(self, ret_is_refused, ret_error)) {
        restore_target_destroy(&self);
    }
    return self;
}

void restore_target_destroy(restore_target_t **self_p) {
    restore_target_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->pods->n; i++) {
        resp_client_destroy(&self->places[i].client);
        buffer_finish(&self->places[i].out);
    }
    memory_free(self->places);
    memory_free(self);
    *self_p = NULL;
}

bool restore_target_is_cluster(const restore_target_t *self) {
    return self->options->mode == REDIS_MODE_CLUSTER;
}

/* ---- sending ---- */

static bool read_replies(restore_target_t *self, struct place *place, const char *pod,
                         char ret_error[BACKUP_ERROR_MAX]) {
    char text[KEY_SHOWN + 80];
    bool is_well = true;
    snprintf(text, sizeof text, "RESTORE of %s or one of the keys behind it: ", place->first_key);
    for (; place->waiting > 0; place->waiting--) {
        const struct redis_reply *reply = resp_client_reply(place->client);
        if (reply == NULL) {
            return fail(ret_error, pod, text, span_of_text(resp_client_error(place->client)));
        }
        if (reply->type == REDIS_ERROR && span_starts_with(reply->text, SPAN_LITERAL("BUSYKEY")) &&
            self->options->resume) {
            self->kept++;
        } else if (!resp_reply_is_ok(reply) && is_well) {
            is_well = fail(ret_error, pod, text, reply->text);
        }
    }
    return is_well;
}

static bool flush(restore_target_t *self, size_t pod, char ret_error[BACKUP_ERROR_MAX]) {
    struct place *place = &self->places[pod];
    const char *name = self->pods->pods[pod].host;
    if (place->waiting == 0) {
        return true;
    }
    bool is_sent = resp_client_send(place->client, buffer_span(&place->out)) ||
                   fail(ret_error, name, "", span_of_text(resp_client_error(place->client)));
    buffer_clear(&place->out);
    return is_sent && read_replies(self, place, name, ret_error);
}

static bool open_place(restore_target_t *self, size_t pod, char ret_error[BACKUP_ERROR_MAX]) {
    struct place *place = &self->places[pod];
    char error[RESP_ERROR_MAX];
    if (place->client != NULL) {
        return true;
    }
    place->client =
        redis_dialer_open(self->dialer, REDIS_SERVICE_REDIS, &self->pods->pods[pod], NULL, error, sizeof error);
    if (place->client == NULL) {
        return fail(ret_error, self->pods->pods[pod].host, "", span_of_text(error));
    }
    resp_client_set_timeout(place->client, REPLY_MS);
    return true;
}

static void append_word(struct buffer *out, struct span word) {
    buffer_append_format(out, "$%zu\r\n", word.size);
    buffer_append_span(out, word);
    buffer_append_text(out, "\r\n");
}

static void append_number(struct buffer *out, uint64_t number) {
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long) number);
    append_word(out, span_of(digits, (size_t) size));
}

bool restore_target_put(restore_target_t *self, uint64_t database, struct span key, uint64_t expires_ms,
                        struct span payload, char ret_error[BACKUP_ERROR_MAX]) {
    size_t pod = (size_t) self->owners[rdb_slot(key)];
    struct place *place = &self->places[pod];
    if (!open_place(self, pod, ret_error)) {
        return false;
    }
    if (place->waiting == 0) {
        snprintf(place->first_key, sizeof place->first_key, "%.*s", (int) (key.size < KEY_SHOWN ? key.size : KEY_SHOWN),
                 key.size == 0 ? "" : (const char *) key.data);
    }
    if (place->database != database) {
        buffer_append_text(&place->out, "*2\r\n$6\r\nSELECT\r\n");
        append_number(&place->out, database);
        place->database = database;
        place->waiting++;
    }
    buffer_append_text(&place->out, expires_ms > 0 ? "*5\r\n$7\r\nRESTORE\r\n" : "*4\r\n$7\r\nRESTORE\r\n");
    append_word(&place->out, key);
    append_number(&place->out, expires_ms);
    append_word(&place->out, payload);
    if (expires_ms > 0) {
        buffer_append_text(&place->out, "$6\r\nABSTTL\r\n");
    }
    place->waiting++;
    return (place->waiting < TOGETHER && place->out.size < BYTES_TOGETHER) || flush(self, pod, ret_error);
}

bool restore_target_flush(restore_target_t *self, char ret_error[BACKUP_ERROR_MAX]) {
    for (size_t i = 0; i < self->pods->n; i++) {
        if (!flush(self, i, ret_error)) {
            return false;
        }
    }
    return true;
}

uint64_t restore_target_kept(const restore_target_t *self) {
    return self->kept;
}
