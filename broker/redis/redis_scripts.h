/* Our scripts: their texts (scripts/<name>.lua, embedded by CMake, settle.lua put before those that settle), their
 * digests, and the heads of commands that call them. EVALSHA first; a server that answers NOSCRIPT gets the text with
 * the next try, which loads it too. Thread: any after redis_scripts_new (immutable). */
#ifndef CALLBOARD_BROKER_REDIS_SCRIPTS_H
#define CALLBOARD_BROKER_REDIS_SCRIPTS_H

#include "base/bytes.h"

enum redis_script {
    REDIS_SCRIPT_APPEND,
    REDIS_SCRIPT_LOAD,
    REDIS_SCRIPT_REMOVE,
    REDIS_SCRIPT_HELLO,
    REDIS_SCRIPT_TOPS,
    REDIS_SCRIPT_CONFIRM,
    REDIS_SCRIPT_LEASE,
    REDIS_SCRIPT_UNLIST,
    REDIS_SCRIPT_SERVICE_LEASE,
    REDIS_SCRIPT_SERVICE_VALUE,
};
enum { REDIS_SCRIPTS = REDIS_SCRIPT_SERVICE_VALUE + 1 };

typedef struct redis_scripts redis_scripts_t;

redis_scripts_t *redis_scripts_new(void);
void redis_scripts_destroy(redis_scripts_t **self_p);

/* EVALSHA (or EVAL with the text) and the number of keys; n_keys keys and n_arguments arguments follow. */
void redis_scripts_begin(const redis_scripts_t *self, struct buffer *out, enum redis_script script, bool with_text,
                         size_t n_keys, size_t n_arguments);
struct span redis_scripts_text(const redis_scripts_t *self, enum redis_script script);
const char *redis_scripts_name(enum redis_script script);

#endif
