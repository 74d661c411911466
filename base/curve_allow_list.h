/* The public keys that may connect: a directory of NAME.pub files, read again when it is due. NAME is 1–64 of
 * A-Z a-z 0-9 . _ -; no more than 1,024 keys; a file may have two while one
 * is exchanged for the other. Files behind links are read (Kubernetes mounts them so), hidden ones are
 * not. Thread: one reads (the first three functions), any may ask. */
#ifndef CALLBOARD_BASE_CURVE_ALLOW_LIST_H
#define CALLBOARD_BASE_CURVE_ALLOW_LIST_H

#include "base/bytes.h"

enum { CURVE_NAME_MAX = 64, CURVE_KEY_SIZE = 32 };

typedef struct curve_allow_list curve_allow_list_t;

/* NULL with errno: the directory cannot be read. */
curve_allow_list_t *curve_allow_list_new(const char *directory);
void curve_allow_list_destroy(curve_allow_list_t **self_p);
/* Reads again when the last reading is a second old or, with `look`, when the directory has changed since. */
void curve_allow_list_refresh(curve_allow_list_t *self, bool look);

/* The name of this key (32 bytes); false when it is not in the list. */
bool curve_allow_list_find(curve_allow_list_t *self, struct span key, char ret_name[CURVE_NAME_MAX + 1]);
bool curve_allow_list_has(curve_allow_list_t *self, const char *name);

#endif
