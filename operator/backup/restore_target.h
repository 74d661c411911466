/* Where a copy is put back: the primaries of a cluster by slot, or the one primary of a set. Commands are gathered and
 * sent together. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_RESTORE_TARGET_H
#define CALLBOARD_OPERATOR_RESTORE_TARGET_H

#include "operator/backup/backup_file.h"
#include "operator/redis/redis_dialer.h"

typedef struct restore_target restore_target_t;

/* Looks at the pods. NULL: ret_error says why; *ret_is_refused: it is not empty, or not well (else: it does not
 * answer). may_hold_keys: as --resume. */
restore_target_t *restore_target_new(redis_dialer_t *dialer, const struct redis_options *options,
                                     const struct redis_pods *pods, bool *ret_is_refused,
                                     char ret_error[BACKUP_ERROR_MAX]);
void restore_target_destroy(restore_target_t **self_p); /* accepts NULL */

bool restore_target_is_cluster(const restore_target_t *self);
/* One key. False: some key could not be put back; ret_error has the server's words. */
bool restore_target_put(restore_target_t *self, uint64_t database, struct span key, uint64_t expires_ms,
                        struct span payload, char ret_error[BACKUP_ERROR_MAX]);
/* What is gathered, and all replies. */
bool restore_target_flush(restore_target_t *self, char ret_error[BACKUP_ERROR_MAX]);
uint64_t restore_target_kept(const restore_target_t *self); /* keys that the target had already */

#endif
