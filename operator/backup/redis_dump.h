/* One server's data as an RDB: as a replica would take it, so nothing runs in the pod and no file of it is read.
 * Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_REDIS_DUMP_H
#define CALLBOARD_OPERATOR_REDIS_DUMP_H

#include "operator/backup/backup_manifest.h"
#include "operator/redis/redis_dialer.h"

enum redis_dump_result { REDIS_DUMP_DONE, REDIS_DUMP_FAILED, REDIS_DUMP_LATE };

/* Writes it to fd and fills in the shard's facts, place in the stream, host and port. FAILED, LATE (behind
 * deadline_ms): ret_error says why. */
enum redis_dump_result redis_dump(redis_dialer_t *dialer, const struct redis_pod *pod, int fd, uint64_t deadline_ms,
                                  struct backup_shard *shard, char ret_error[BACKUP_ERROR_MAX]);

#endif
