/* An RDB on its way to a file: written as it comes, with its SHA-256, and judged at the end: what begins like an RDB
 * and ends with its own checksum is whole. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_BACKUP_FILE_H
#define CALLBOARD_OPERATOR_BACKUP_FILE_H

#include "base/bytes.h"

typedef struct backup_file backup_file_t;

enum { BACKUP_SHA256_TEXT = 65, BACKUP_ERROR_MAX = 512, BACKUP_FILE_NOWHERE = -1 };

struct backup_file_facts {
    uint64_t bytes;
    char sha256[BACKUP_SHA256_TEXT];
    unsigned rdb_version;
    bool is_checked; /* by the RDB's own checksum: false where the server writes none (rdbchecksum no) */
};

/* The descriptor stays the caller's; BACKUP_FILE_NOWHERE: what comes is judged only. */
backup_file_t *backup_file_new(int fd);
void backup_file_destroy(backup_file_t **self_p); /* accepts NULL */
/* An rdb_stream_sink_t; context: the backup_file_t. False: it cannot be written, see backup_file_error. */
bool backup_file_take(void *context, struct span bytes);
/* Behind the last byte. False: what came is no whole RDB. */
bool backup_file_finish(backup_file_t *self, struct backup_file_facts *ret_facts);
const char *backup_file_error(const backup_file_t *self);

#endif
