/* manifest.json of one copy: which file holds what, so that it can be checked and put back without the servers it came
 * from. Pure. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_BACKUP_MANIFEST_H
#define CALLBOARD_OPERATOR_BACKUP_MANIFEST_H

#include "operator/backup/backup_file.h"
#include "operator/redis/cluster_table.h"

enum { BACKUP_SHARDS_MAX = 540, BACKUP_FILE_NAME_MAX = 32, BACKUP_HOST_MAX = 254, BACKUP_SLOTS_MAX = 128 * 1024 };

struct backup_shard {
    char file[BACKUP_FILE_NAME_MAX];
    struct backup_file_facts facts;
    char host[BACKUP_HOST_MAX]; /* the pod it was taken from */
    uint16_t port;
    bool is_replica;
    char replication_id[CLUSTER_ID_LENGTH + 1];
    uint64_t offset;
    char *slots; /* "0-5460,7000"; NULL: no cluster. Owned */
};

struct backup_manifest {
    char taken_at[24]; /* 2026-11-29T03:00:00Z */
    char mode[16];
    char version[32]; /* of the server */
    struct backup_shard *shards;
    size_t n;
};

#define BACKUP_MANIFEST_EMPTY ((struct backup_manifest){.n = 0})

void backup_manifest_finish(struct backup_manifest *self);
/* One more, zeroed; valid until the next. */
struct backup_shard *backup_manifest_add(struct backup_manifest *self);

void backup_manifest_print(const struct backup_manifest *self, struct buffer *out);
/* False: ret_error says what is wrong with it; nothing has to be finished then. */
bool backup_manifest_parse(struct backup_manifest *self, struct span text, char ret_error[BACKUP_ERROR_MAX]);

#endif
