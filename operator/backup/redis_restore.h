/* `callboard-operator redis restore`: puts a copy (redis_backup.h) back into an empty Redis, set or cluster, over RESP:
 * each key by RESTORE, to whoever serves its slot now. Thread: main. */
#ifndef CALLBOARD_OPERATOR_REDIS_RESTORE_H
#define CALLBOARD_OPERATOR_REDIS_RESTORE_H

#include "operator/redis/redis_work.h"

/* enum redis_work_exit; an error is told. */
int redis_restore_run(struct redis_work_call *call);

#endif
