/* What a CURVE key is for: beside NAME.pub in backend.curve_allowed_dir may lie NAME.rights, two lines of lists; lines
 * that begin with # are comments:
 *
 *     methods = publish, history, lease.*
 *     channels = orders:*, news
 *
 * Both are patterns in which * stands for anything; channels are also the names of leases and of keys of kv. A file
 * that is malformed, or cannot be read, gives no right at all. Without a file a key is for everything, or, where
 * `required`, for nothing. A file is read again when it changed. Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_RIGHTS_H
#define CALLBOARD_BROKER_BACKEND_RIGHTS_H

#include "base/bytes.h"

typedef struct backend_rights backend_rights_t;

enum { BACKEND_RIGHTS_FILE_MAX = 16384, BACKEND_RIGHTS_PATTERNS_MAX = 256 };

backend_rights_t *backend_rights_new(const char *directory, bool required);
void backend_rights_destroy(backend_rights_t **self_p); /* accepts NULL */
/* Reads anew what changed, and forgets keys that are gone. About twice a second. */
void backend_rights_refresh(backend_rights_t *self);

bool backend_rights_method(backend_rights_t *self, struct span key, struct span method);
bool backend_rights_channel(backend_rights_t *self, struct span key, struct span channel);

/* One file's text. Pure. NULL: it is good, else what is wrong. `judge` may be NULL; else it is told each pattern. */
const char *backend_rights_parse(struct span text, void (*judge)(void *context, bool is_method, struct span pattern),
                                 void *context);

#endif
