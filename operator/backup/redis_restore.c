/* See redis_restore.h.
 *
 *   manifest ─▶ every file: size, SHA-256, its own checksum ─▶ every file walked, nothing sent: only what RESTORE takes
 *     ─▶ the target: well, and empty (or --resume) ─▶ every file walked again, each key to who serves its slot
 *
 * So whatever is wrong with the copy is found before the target is touched. The shards of the copy need not be those of
 * the target. Where a channel stands (its meta hash) is left out: what is left of its stream then stands under a new
 * epoch (broker/redis/scripts/settle.lua). A copy is of the past, and whoever saw more than it has would else take new
 * publications for those it knows. Failures: a copy that is not whole, a target that is not empty or not well 4;
 * nobody answers, or Redis refuses a key 5; out of time 6. What was put back before stays: --resume goes on. */
#include "operator/backup/redis_restore.h"

#include "base/clock.h"
#include "operator/backup/backup_manifest.h"
#include "operator/backup/rdb_walk.h"
#include "operator/backup/restore_target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { PORT = 6379, MANIFEST_MAX = 16 * 1024 * 1024 };

struct restore {
    struct redis_work_call *call;
    redis_dialer_t *dialer;
    struct redis_pods pods;
    uint64_t deadline_ms;
    struct backup_manifest manifest;
    restore_target_t *target; /* NULL: the first walk */
    struct buffer payload;
    uint64_t keys;     /* to be put back */
    uint64_t channels; /* whose place is left out */
    uint64_t functions;
    bool is_late;
    char error[BACKUP_ERROR_MAX];
};

static int end_with(struct restore *self, int result, const char *text) {
    self->call->tell(self->call->context, text);
    return result;
}

static bool read_manifest(struct restore *self) {
    char path[PATH_MAX];
    struct buffer text;
    char error[BACKUP_ERROR_MAX];
    snprintf(path, sizeof path, "%s/manifest.json", self->call->options.from);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(self->error, sizeof self->error, "%.300s: %s: --from is the folder of one copy", path,
                 strerror(errno));
        return false;
    }
    buffer_init(&text, MANIFEST_MAX);
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0 && buffer_append(&text, chunk, size)) {
    }
    fclose(file);
    bool is_read = !text.overflow && backup_manifest_parse(&self->manifest, buffer_span(&text), error);
    if (!is_read) {
        snprintf(self->error, sizeof self->error, "%.200s: %.250s", path, text.overflow ? "it is too large" : error);
    }
    buffer_finish(&text);
    return is_read;
}

static bool check_file(struct restore *self, const char *path, const struct backup_shard *shard) {
    struct backup_file_facts facts;
    if (!rdb_judge(path, &facts, self->error)) {
        return false;
    }
    if (facts.bytes != shard->facts.bytes || strcmp(facts.sha256, shard->facts.sha256) != 0) {
        snprintf(self->error, sizeof self->error, "%.300s: it is not the file that manifest.json tells of", path);
        return false;
    }
    return true;
}

/* PREFIX:{TAG}:m:CHANNEL */
static bool is_place_of_channel(struct span key) {
    static const char mark[] = ":m:";
    const uint8_t *end = memchr(key.data, '}', key.size);
    const uint8_t *tag = memchr(key.data, '{', key.size);
    size_t left = end != NULL ? key.size - (size_t) (end + 1 - key.data) : 0;
    return tag != NULL && tag < end && tag > key.data && tag[-1] == ':' && left > sizeof mark - 1 &&
           memcmp(end + 1, mark, sizeof mark - 1) == 0;
}

/* An rdb_visitor_t. */
static bool visit(void *context, enum rdb_part part, const struct rdb_reader *reader, const struct rdb_found *found) {
    struct restore *self = context;
    if (part == RDB_PART_FUNCTION) {
        self->functions++;
        return true;
    }
    if (is_place_of_channel(buffer_span(&reader->key))) {
        self->channels++;
        return true;
    }
    self->keys++;
    if (reader->database > 0 && self->call->options.mode == REDIS_MODE_CLUSTER) {
        snprintf(self->error, sizeof self->error, "the copy has keys in database %llu; a cluster has database 0 only",
                 (unsigned long long) reader->database);
        return false;
    }
    if (self->target == NULL) {
        return true;
    }
    self->is_late = clock_monotonic_ms() >= self->deadline_ms;
    if (self->is_late) {
        snprintf(self->error, sizeof self->error, "out of time; go on with --resume");
        return false;
    }
    buffer_clear(&self->payload);
    rdb_append_payload(&self->payload, found, reader->version);
    return restore_target_put(self->target, reader->database, buffer_span(&reader->key), found->expires_ms,
                              buffer_span(&self->payload), self->error);
}

/* Every file: judged and counted, or, with a target, put back. */
static bool walk_all(struct restore *self) {
    self->keys = self->channels = self->functions = 0;
    for (size_t i = 0; i < self->manifest.n; i++) {
        char path[PATH_MAX];
        char error[BACKUP_ERROR_MAX];
        snprintf(path, sizeof path, "%s/%s", self->call->options.from, self->manifest.shards[i].file);
        if (self->target == NULL && !check_file(self, path, &self->manifest.shards[i])) {
            return false;
        }
        if (!rdb_walk(path, visit, self, error)) {
            if (error[0] != '\0') {
                memcpy(self->error, error, sizeof self->error);
            }
            return false;
        }
    }
    return self->target == NULL || restore_target_flush(self->target, self->error);
}

static void tell_result(struct restore *self) {
    uint64_t kept = restore_target_kept(self->target);
    buffer_append_format(self->call->out, "%llu keys of %s put back", (unsigned long long) (self->keys - kept),
                         self->manifest.taken_at);
    if (kept > 0) {
        buffer_append_format(self->call->out, ", %llu were there", (unsigned long long) kept);
    }
    if (self->channels > 0) {
        buffer_append_format(self->call->out, "; %llu channels begin a new epoch", (unsigned long long) self->channels);
    }
    buffer_append_char(self->call->out, '\n');
}

static int restore(struct restore *self) {
    char text[160];
    if (!read_manifest(self) || !walk_all(self)) {
        return end_with(self, REDIS_WORK_REFUSED, self->error);
    }
    snprintf(text, sizeof text, "the copy of %s is whole: %llu keys in %zu files", self->manifest.taken_at,
             (unsigned long long) (self->keys + self->channels), self->manifest.n);
    self->call->tell(self->call->context, text);
    if (self->functions > 0) {
        self->call->tell(self->call->context,
                         "it has libraries of functions too: they are not put back, load them by FUNCTION LOAD");
    }
    bool is_refused = false;
    self->target = restore_target_new(self->dialer, &self->call->options, &self->pods, &is_refused, self->error);
    if (self->target == NULL) {
        return end_with(self, is_refused ? REDIS_WORK_REFUSED : REDIS_WORK_OUTSIDE, self->error);
    }
    if (self->call->options.dry_run) {
        return end_with(self, REDIS_WORK_DONE, "the target can take it; nothing was sent");
    }
    if (!walk_all(self)) {
        return end_with(self, self->is_late ? REDIS_WORK_TIMEOUT : REDIS_WORK_OUTSIDE, self->error);
    }
    tell_result(self);
    return REDIS_WORK_DONE;
}

int redis_restore_run(struct redis_work_call *call) {
    struct restore self = {.call = call, .deadline_ms = clock_monotonic_ms() + call->options.timeout_s * 1000};
    int result = REDIS_WORK_USAGE;
    if (call->options.from == NULL || call->options.mode == REDIS_MODE_SENTINEL) {
        call->tell(call->context, call->options.from == NULL
                                      ? "redis restore: --from DIR says which copy is put back"
                                      : "redis restore: Sentinels have no data; --mode replicated is their set");
    } else if (!redis_pods_parse(&self.pods, call->options.peers, PORT, self.error, sizeof self.error) ||
               (self.dialer = redis_dialer_new(&call->options, self.error, sizeof self.error)) == NULL) {
        call->tell(call->context, self.error);
    } else if (self.pods.n == 0) {
        call->tell(call->context, "redis restore: --peers says which pods there are");
    } else {
        result = restore(&self);
    }
    restore_target_destroy(&self.target);
    buffer_finish(&self.payload);
    backup_manifest_finish(&self.manifest);
    redis_dialer_destroy(&self.dialer);
    redis_pods_finish(&self.pods);
    return result;
}
