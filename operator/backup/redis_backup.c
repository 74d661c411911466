/* See redis_backup.h.
 *
 *   look (until all parts have a server, or the time is over) ─▶ for each part: shard-N.rdb (redis_dump.h)
 *     ─▶ look again: the slots are cut as before ─▶ manifest.json ─▶ the folder gets its name ─▶ old copies go
 *
 * The parts of a cluster are copied one after another, each as it is at its own moment. Failures: nobody answers 5; a
 * part without a server in time 6; slots that moved meanwhile, or another backup at work in the directory 4; a disk
 * that is full 5. Whatever fails, no folder has the name of a whole copy. */
#include "operator/backup/redis_backup.h"

#include "base/clock.h"
#include "base/memory.h"
#include "operator/backup/backup_folder.h"
#include "operator/backup/backup_plan.h"
#include "operator/backup/redis_dump.h"
#include "operator/redis/cluster_observe.h"
#include "operator/redis/set_observe.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 300, PORT = 6379 };

struct backup {
    struct redis_work_call *call;
    redis_dialer_t *dialer;
    struct redis_pods pods;
    uint64_t deadline_ms;
    struct backup_plan plan;
    struct backup_manifest manifest;
    char told[CLUSTER_REASON_MAX];
};

static int end_with(struct backup *self, int result, const char *text) {
    self->call->tell(self->call->context, text);
    return result;
}

/* ---- looking ---- */

static bool look_at_cluster(struct backup *self, struct backup_plan *plan, bool *ret_anybody) {
    cluster_observation_t *seen =
        cluster_observe(self->dialer, &self->pods, (unsigned) self->call->options.shards, NULL, NULL);
    const struct cluster_view *view = cluster_observation_view(seen);
    bool is_planned = backup_plan_cluster(plan, view);
    for (size_t i = 0; i < view->n; i++) {
        *ret_anybody |= view->pods[i].answers || view->pods[i].is_loading;
    }
    if (!*ret_anybody && view->n > 0 && view->pods[0].trouble != NULL) {
        snprintf(plan->reason, sizeof plan->reason, "%s: %s", view->pods[0].name, view->pods[0].trouble);
    }
    cluster_observation_destroy(&seen);
    return is_planned;
}

static bool look_at_set(struct backup *self, struct backup_plan *plan, bool *ret_anybody) {
    struct set_server *servers = set_observe(self->dialer, &self->pods);
    bool is_planned = backup_plan_set(plan, servers, self->pods.n);
    for (size_t i = 0; i < self->pods.n; i++) {
        *ret_anybody |= servers[i].answers || servers[i].is_loading;
        if (servers[i].answers && self->manifest.version[0] == '\0') {
            memcpy(self->manifest.version, servers[i].version, sizeof self->manifest.version);
        }
        if (servers[i].answers && servers[i].is_cluster) {
            snprintf(plan->reason, sizeof plan->reason, "%s is of a cluster: --mode cluster copies all of its shards",
                     servers[i].name);
            is_planned = false;
        }
    }
    if (!*ret_anybody && self->pods.n > 0) {
        snprintf(plan->reason, sizeof plan->reason, "%s: %s", servers[0].name, servers[0].trouble);
    }
    memory_free(servers);
    return is_planned;
}

static bool look(struct backup *self, struct backup_plan *plan, bool *ret_anybody) {
    return self->call->options.mode == REDIS_MODE_CLUSTER ? look_at_cluster(self, plan, ret_anybody)
                                                          : look_at_set(self, plan, ret_anybody);
}

static int await_plan(struct backup *self) {
    bool is_anybody = false;
    while (!look(self, &self->plan, &is_anybody)) {
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        if (strcmp(self->told, self->plan.reason) != 0) {
            snprintf(self->told, sizeof self->told, "%s", self->plan.reason);
            self->call->tell(self->call->context, self->told);
        }
        backup_plan_finish(&self->plan);
        if (clock_monotonic_ms() >= self->deadline_ms) {
            return is_anybody ? REDIS_WORK_TIMEOUT : REDIS_WORK_OUTSIDE;
        }
        (void) nanosleep(&pause, NULL);
    }
    return REDIS_WORK_DONE;
}

/* ---- copying ---- */

static int copy_part(struct backup *self, size_t i, int fd) {
    const struct backup_source *source = &self->plan.sources[i];
    const struct redis_pod *pod = &self->pods.pods[source->pod];
    struct backup_shard *shard = backup_manifest_add(&self->manifest);
    char error[BACKUP_ERROR_MAX];
    snprintf(shard->file, sizeof shard->file, "shard-%zu.rdb", i);
    shard->is_replica = source->is_replica;
    shard->slots = source->slots == NULL ? NULL : memory_strdup(source->slots);
    switch (redis_dump(self->dialer, pod, fd, self->deadline_ms, shard, error)) {
    case REDIS_DUMP_DONE:
        break;
    case REDIS_DUMP_FAILED:
        return end_with(self, REDIS_WORK_OUTSIDE, error);
    case REDIS_DUMP_LATE:
        return end_with(self, REDIS_WORK_TIMEOUT, error);
    }
    char text[CLUSTER_REASON_MAX];
    snprintf(text, sizeof text, "%s: %llu bytes from the %s %s%s", shard->file, (unsigned long long) shard->facts.bytes,
             shard->is_replica ? "replica" : "primary", shard->host,
             shard->facts.is_checked ? "" : "; the server writes no checksum into it (rdbchecksum no)");
    return end_with(self, REDIS_WORK_DONE, text);
}

static int copy_into_folder(struct backup *self, backup_folder_t *folder) {
    char error[BACKUP_ERROR_MAX];
    for (size_t i = 0; i < self->plan.n; i++) {
        char name[BACKUP_FILE_NAME_MAX];
        snprintf(name, sizeof name, "shard-%zu.rdb", i);
        int fd = backup_folder_open(folder, name, error);
        if (fd < 0) {
            return end_with(self, REDIS_WORK_OUTSIDE, error);
        }
        int result = copy_part(self, i, fd);
        bool is_kept = backup_folder_close(folder, fd, name, error);
        if (result != REDIS_WORK_DONE || !is_kept) {
            return result != REDIS_WORK_DONE ? result : end_with(self, REDIS_WORK_OUTSIDE, error);
        }
    }
    return REDIS_WORK_DONE;
}

static int check_slots(struct backup *self) {
    struct backup_plan again;
    bool is_anybody = false;
    bool is_same = look(self, &again, &is_anybody) && backup_plan_has_same_slots(&self->plan, &again);
    backup_plan_finish(&again);
    return is_same || self->call->options.mode != REDIS_MODE_CLUSTER
               ? REDIS_WORK_DONE
               : end_with(
                     self, REDIS_WORK_REFUSED,
                     "slots moved, or a shard went away, while it was copied: parts may be missing or twice in it, "
                     "so it is not kept. Start it again");
}

static int write_manifest(struct backup *self, backup_folder_t *folder) {
    char error[BACKUP_ERROR_MAX];
    struct buffer text = BUFFER_EMPTY;
    snprintf(self->manifest.taken_at, sizeof self->manifest.taken_at, "%s", backup_folder_taken_at(folder));
    snprintf(self->manifest.mode, sizeof self->manifest.mode, "%s", redis_mode_name(self->call->options.mode));
    backup_manifest_print(&self->manifest, &text);
    int fd = backup_folder_open(folder, "manifest.json", error);
    bool is_written = fd >= 0 && write(fd, text.data, text.size) == (ssize_t) text.size;
    if (fd >= 0 && !is_written) {
        snprintf(error, sizeof error, "manifest.json cannot be written: the volume may be full");
    }
    is_written = fd >= 0 && backup_folder_close(folder, fd, "manifest.json", error) && is_written;
    buffer_finish(&text);
    return is_written ? REDIS_WORK_DONE : end_with(self, REDIS_WORK_OUTSIDE, error);
}

static int keep(struct backup *self, backup_folder_t *folder) {
    char error[BACKUP_ERROR_MAX];
    if (!backup_folder_commit(folder, error)) {
        return end_with(self, REDIS_WORK_OUTSIDE, error);
    }
    buffer_append_format(self->call->out, "%s\n", backup_folder_path(folder));
    int removed = backup_folder_retain(folder, (size_t) self->call->options.keep, error);
    if (removed < 0) {
        return end_with(self, REDIS_WORK_OUTSIDE, error);
    }
    if (removed > 0) {
        char text[64];
        snprintf(text, sizeof text, "%d older %s removed", removed, removed == 1 ? "copy" : "copies");
        self->call->tell(self->call->context, text);
    }
    return REDIS_WORK_DONE;
}

static int copy_to_directory(struct backup *self) {
    char error[BACKUP_ERROR_MAX];
    bool is_busy;
    backup_folder_t *folder = backup_folder_begin(self->call->options.to, clock_wall_ms(), &is_busy, error);
    if (folder == NULL) {
        return end_with(self, is_busy ? REDIS_WORK_REFUSED : REDIS_WORK_OUTSIDE, error);
    }
    int result = copy_into_folder(self, folder);
    result = result == REDIS_WORK_DONE ? check_slots(self) : result;
    result = result == REDIS_WORK_DONE ? write_manifest(self, folder) : result;
    result = result == REDIS_WORK_DONE ? keep(self, folder) : result;
    backup_folder_destroy(&folder);
    return result;
}

static int print_commands(struct backup *self) {
    for (size_t i = 0; i < self->plan.n; i++) {
        const struct redis_pod *pod = &self->pods.pods[self->plan.sources[i].pod];
        buffer_append_format(self->call->out, "redis-cli%s -h %s -p %u --rdb shard-%zu.rdb\n",
                             self->call->options.tls ? " --tls" : "", pod->host, pod->port, i);
    }
    return REDIS_WORK_DONE;
}

static int copy(struct backup *self) {
    bool is_to_stdout = strcmp(self->call->options.to, "-") == 0;
    int result = await_plan(self);
    if (result != REDIS_WORK_DONE) {
        return result;
    }
    if (self->call->options.dry_run) {
        return print_commands(self);
    }
    if (is_to_stdout && self->plan.n > 1) {
        return end_with(self, REDIS_WORK_USAGE, "redis backup: --to - is for one server; a cluster needs a directory");
    }
    return is_to_stdout ? copy_part(self, 0, STDOUT_FILENO) : copy_to_directory(self);
}

int redis_backup_run(struct redis_work_call *call) {
    char error[BACKUP_ERROR_MAX];
    struct backup self = {.call = call, .deadline_ms = clock_monotonic_ms() + call->options.timeout_s * 1000};
    int result = REDIS_WORK_USAGE;
    if (call->options.to == NULL || call->options.mode == REDIS_MODE_SENTINEL) {
        call->tell(call->context, call->options.to == NULL
                                      ? "redis backup: --to DIR says where the copy goes"
                                      : "redis backup: Sentinels have no data; --mode replicated copies their set");
    } else if (!redis_pods_parse(&self.pods, call->options.peers, PORT, error, sizeof error) ||
               (self.dialer = redis_dialer_new(&call->options, error, sizeof error)) == NULL) {
        call->tell(call->context, error);
    } else if (self.pods.n == 0) {
        call->tell(call->context, "redis backup: --peers says which pods there are");
    } else {
        result = copy(&self);
    }
    backup_plan_finish(&self.plan);
    backup_manifest_finish(&self.manifest);
    redis_dialer_destroy(&self.dialer);
    redis_pods_finish(&self.pods);
    return result;
}
