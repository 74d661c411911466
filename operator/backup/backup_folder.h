/* The directory that copies are kept in: DIR/callboard-20261129T030000Z is one that is whole; while it is made its name
 * begins with a dot. One program at a time works in it (a lock). Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_BACKUP_FOLDER_H
#define CALLBOARD_OPERATOR_BACKUP_FOLDER_H

#include "operator/backup/backup_file.h"

typedef struct backup_folder backup_folder_t;

/* Locks `directory` and begins a copy of this time. NULL: ret_error says why and how to mend it; *ret_is_busy: another
 * one is at work there. */
backup_folder_t *backup_folder_begin(const char *directory, int64_t now_ms, bool *ret_is_busy,
                                     char ret_error[BACKUP_ERROR_MAX]);
/* What was not committed is taken away. Accepts NULL. */
void backup_folder_destroy(backup_folder_t **self_p);

/* A new file of the copy, to be closed by backup_folder_close. -1: ret_error. */
int backup_folder_open(backup_folder_t *self, const char *name, char ret_error[BACKUP_ERROR_MAX]);
/* Flushed to the disk first. */
bool backup_folder_close(backup_folder_t *self, int fd, const char *name, char ret_error[BACKUP_ERROR_MAX]);
/* Gives the copy its name. */
bool backup_folder_commit(backup_folder_t *self, char ret_error[BACKUP_ERROR_MAX]);
/* Removes the oldest whole copies beyond `keep`, and halves that earlier runs left. The number of those removed, or
 * -1. */
int backup_folder_retain(backup_folder_t *self, size_t keep, char ret_error[BACKUP_ERROR_MAX]);

const char *backup_folder_path(const backup_folder_t *self);     /* of the copy, under its final name */
const char *backup_folder_taken_at(const backup_folder_t *self); /* 2026-11-29T03:00:00Z */

#endif
