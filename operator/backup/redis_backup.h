/* `callboard-operator redis backup`: a copy of all data of a Redis, a set under Sentinel or a cluster, over RESP alone,
 * into a folder of files with a manifest. Thread: main. */
#ifndef CALLBOARD_OPERATOR_REDIS_BACKUP_H
#define CALLBOARD_OPERATOR_REDIS_BACKUP_H

#include "operator/redis/redis_work.h"

/* enum redis_work_exit; an error is told. */
int redis_backup_run(struct redis_work_call *call);

#endif
