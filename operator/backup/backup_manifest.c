/* See backup_manifest.h.
 *
 *   { "format": "callboard-redis-backup/1", "taken_at": …, "mode": …, "redis_version": …,
 *     "shards": [ { "file": …, "bytes": …, "sha256": …, "rdb_version": …, "is_checked": …, "from": …, "port": …,
 *                   "role": …, "replication_id": …, "offset": …, "slots": … } ] }
 *
 * Members that a later version adds are passed over; another format is refused. A file's name has no slash in it: a
 * manifest leads to no file outside its folder. */
#include "operator/backup/backup_manifest.h"

#include "base/json_scan.h"
#include "base/memory.h"

#include <stdio.h>

#define FORMAT "callboard-redis-backup/1"

void backup_manifest_finish(struct backup_manifest *self) {
    for (size_t i = 0; i < self->n; i++) {
        memory_free(self->shards[i].slots);
    }
    memory_free(self->shards);
    *self = BACKUP_MANIFEST_EMPTY;
}

struct backup_shard *backup_manifest_add(struct backup_manifest *self) {
    self->shards = memory_realloc(self->shards, (self->n + 1) * sizeof *self->shards);
    self->shards[self->n] = (struct backup_shard){.port = 0};
    return &self->shards[self->n++];
}

/* ---- printing ---- */

static void print_text(struct buffer *out, const char *name, const char *value) {
    buffer_append_format(out, "\"%s\": ", name);
    buffer_append_json_string(out, span_of_text(value));
}

static void print_shard(const struct backup_shard *shard, struct buffer *out) {
    buffer_append_text(out, "    {");
    print_text(out, "file", shard->file);
    buffer_append_format(out, ", \"bytes\": %llu, ", (unsigned long long) shard->facts.bytes);
    print_text(out, "sha256", shard->facts.sha256);
    buffer_append_format(out, ", \"rdb_version\": %u, \"is_checked\": %s,\n     ", shard->facts.rdb_version,
                         shard->facts.is_checked ? "true" : "false");
    print_text(out, "from", shard->host);
    buffer_append_format(out, ", \"port\": %u, ", shard->port);
    print_text(out, "role", shard->is_replica ? "replica" : "primary");
    buffer_append_text(out, ", ");
    print_text(out, "replication_id", shard->replication_id);
    buffer_append_format(out, ", \"offset\": %llu", (unsigned long long) shard->offset);
    if (shard->slots != NULL) {
        buffer_append_text(out, ",\n     ");
        print_text(out, "slots", shard->slots);
    }
    buffer_append_text(out, "}");
}

void backup_manifest_print(const struct backup_manifest *self, struct buffer *out) {
    buffer_append_text(out, "{\n  \"format\": \"" FORMAT "\",\n  ");
    print_text(out, "taken_at", self->taken_at);
    buffer_append_text(out, ",\n  ");
    print_text(out, "mode", self->mode);
    buffer_append_text(out, ",\n  ");
    print_text(out, "redis_version", self->version);
    buffer_append_text(out, ",\n  \"shards\": [\n");
    for (size_t i = 0; i < self->n; i++) {
        print_shard(&self->shards[i], out);
        buffer_append_text(out, i + 1 < self->n ? ",\n" : "\n");
    }
    buffer_append_text(out, "  ]\n}\n");
}

/* ---- parsing ---- */

static bool read_text(struct json_value object, const char *name, char *ret_text, size_t size) {
    struct buffer text;
    buffer_init(&text, size - 1);
    bool is_read = json_decode_string(json_member(object, name), &text);
    memcpy(ret_text, is_read && text.size > 0 ? text.data : (const uint8_t *) "", is_read ? text.size : 0);
    ret_text[is_read ? text.size : 0] = '\0';
    buffer_finish(&text);
    return is_read;
}

static bool read_number(struct json_value object, const char *name, uint64_t max, uint64_t *ret_number) {
    return json_to_u64(json_member(object, name), ret_number) && *ret_number <= max;
}

static bool read_slots(struct json_value object, struct backup_shard *shard) {
    struct json_value value = json_member(object, "slots");
    if (value.type == JSON_NONE) {
        return true;
    }
    struct buffer text;
    buffer_init(&text, BACKUP_SLOTS_MAX);
    bool is_read = json_decode_string(value, &text);
    shard->slots = is_read ? memory_strndup(text.data == NULL ? (const uint8_t *) "" : text.data, text.size) : NULL;
    buffer_finish(&text);
    return is_read;
}

static const char *read_shard(struct json_value object, struct backup_shard *shard) {
    uint64_t port = 0;
    uint64_t version = 0;
    char role[16];
    if (!read_text(object, "file", shard->file, sizeof shard->file) || shard->file[0] == '\0' ||
        shard->file[0] == '.' || strchr(shard->file, '/') != NULL) {
        return "a shard's file is no name";
    }
    if (!read_number(object, "bytes", UINT64_MAX, &shard->facts.bytes) ||
        !read_number(object, "rdb_version", 9999, &version) ||
        !read_number(object, "offset", UINT64_MAX, &shard->offset) || !read_number(object, "port", UINT16_MAX, &port)) {
        return "a shard's bytes, rdb_version, offset or port is no number";
    }
    if (!read_text(object, "sha256", shard->facts.sha256, sizeof shard->facts.sha256) ||
        strlen(shard->facts.sha256) != BACKUP_SHA256_TEXT - 1) {
        return "a shard's sha256 is none";
    }
    if (!read_text(object, "from", shard->host, sizeof shard->host) || !read_text(object, "role", role, sizeof role) ||
        !read_text(object, "replication_id", shard->replication_id, sizeof shard->replication_id) ||
        !json_to_bool(json_member(object, "is_checked"), &shard->facts.is_checked) || !read_slots(object, shard)) {
        return "a shard's from, role, replication_id, is_checked or slots is missing or wrong";
    }
    shard->facts.rdb_version = (unsigned) version;
    shard->port = (uint16_t) port;
    shard->is_replica = strcmp(role, "replica") == 0;
    return NULL;
}

static const char *read_all(struct backup_manifest *self, struct json_value all) {
    char format[64];
    struct json_value shards = json_member(all, "shards");
    struct json_iterator each = json_iterate(shards);
    struct json_value name;
    struct json_value shard;
    const char *wrong = NULL;
    if (!read_text(all, "format", format, sizeof format) || strcmp(format, FORMAT) != 0) {
        return "its format is not " FORMAT;
    }
    if (!read_text(all, "taken_at", self->taken_at, sizeof self->taken_at) ||
        !read_text(all, "mode", self->mode, sizeof self->mode) ||
        !read_text(all, "redis_version", self->version, sizeof self->version) || shards.type != JSON_ARRAY) {
        return "taken_at, mode, redis_version or shards is missing";
    }
    while (wrong == NULL && json_next(&each, &name, &shard)) {
        wrong = self->n == BACKUP_SHARDS_MAX ? "it has too many shards" : read_shard(shard, backup_manifest_add(self));
    }
    return wrong == NULL && self->n == 0 ? "it has no shards" : wrong;
}

bool backup_manifest_parse(struct backup_manifest *self, struct span text, char ret_error[BACKUP_ERROR_MAX]) {
    const struct json_limits limits = {.depth = 8, .tokens = 65536, .names = 64};
    struct json_value all;
    *self = BACKUP_MANIFEST_EMPTY;
    enum json_outcome outcome = json_scan(text, &limits, &all, NULL);
    const char *wrong = outcome != JSON_OK ? json_outcome_text(outcome) : read_all(self, all);
    if (wrong != NULL) {
        snprintf(ret_error, BACKUP_ERROR_MAX, "%s", wrong);
        backup_manifest_finish(self);
    }
    return wrong == NULL;
}
