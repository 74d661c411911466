/* An RDB file from its beginning to its end, a window at a time. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_RDB_WALK_H
#define CALLBOARD_OPERATOR_RDB_WALK_H

#include "operator/backup/backup_file.h"
#include "operator/backup/rdb_read.h"

/* A key (the reader has it and its database) or a library of functions. False: stop; the visitor knows why. */
typedef bool (*rdb_visitor_t)(void *context, enum rdb_part part, const struct rdb_reader *reader,
                              const struct rdb_found *found);

/* False: the file cannot be read or is broken (ret_error says where), or the visitor stopped (ret_error is empty). */
bool rdb_walk(const char *path, rdb_visitor_t visitor, void *context, char ret_error[BACKUP_ERROR_MAX]);

/* Its size and SHA-256, and whether it ends as an RDB does. False: ret_error says what is wrong. */
bool rdb_judge(const char *path, struct backup_file_facts *ret_facts, char ret_error[BACKUP_ERROR_MAX]);

#endif
