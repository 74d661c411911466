/* See redis_scripts.h. */
#include "broker/redis/redis_scripts.h"

#include "base/check.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"
#include "redis_scripts_embedded.h"

#include <openssl/evp.h>

enum { SHA1_SIZE = 20 };

struct script {
    struct buffer text;
    char digest[2 * SHA1_SIZE + 1];
};

struct redis_scripts {
    struct script scripts[REDIS_SCRIPTS];
};

struct source {
    const char *name;
    const unsigned char *text;
    size_t size;
    bool settles;
};

static const struct source sources[] = {
    [REDIS_SCRIPT_APPEND] = {"append", embedded_append_lua, sizeof embedded_append_lua - 1, true},
    [REDIS_SCRIPT_LOAD] = {"load", embedded_load_lua, sizeof embedded_load_lua - 1, true},
    [REDIS_SCRIPT_REMOVE] = {"remove", embedded_remove_lua, sizeof embedded_remove_lua - 1, true},
    [REDIS_SCRIPT_HELLO] = {"hello", embedded_hello_lua, sizeof embedded_hello_lua - 1, false},
    [REDIS_SCRIPT_TOPS] = {"tops", embedded_tops_lua, sizeof embedded_tops_lua - 1, false},
    [REDIS_SCRIPT_CONFIRM] = {"confirm", embedded_confirm_lua, sizeof embedded_confirm_lua - 1, false},
    [REDIS_SCRIPT_LEASE] = {"lease", embedded_lease_lua, sizeof embedded_lease_lua - 1, false},
    [REDIS_SCRIPT_UNLIST] = {"unlist", embedded_unlist_lua, sizeof embedded_unlist_lua - 1, false},
    [REDIS_SCRIPT_SERVICE_LEASE] = {"service_lease", embedded_service_lease_lua, sizeof embedded_service_lease_lua - 1,
                                    true},
    [REDIS_SCRIPT_SERVICE_VALUE] = {"service_value", embedded_service_value_lua, sizeof embedded_service_value_lua - 1,
                                    true},
};

static void load(struct script *script, const struct source *source) {
    buffer_init(&script->text, 0);
    if (source->settles) {
        buffer_append(&script->text, embedded_settle_lua, sizeof embedded_settle_lua - 1);
    }
    buffer_append(&script->text, source->text, source->size);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(EVP_Digest(script->text.data, script->text.size, digest, &size, EVP_sha1(), NULL) == 1 && size == SHA1_SIZE,
          "SHA-1");
    for (unsigned i = 0; i < size; i++) {
        static const char digits[] = "0123456789abcdef";
        script->digest[2 * i] = digits[digest[i] >> 4];
        script->digest[2 * i + 1] = digits[digest[i] & 15];
    }
}

redis_scripts_t *redis_scripts_new(void) {
    redis_scripts_t *self = memory_alloc_zero(sizeof *self);
    for (unsigned i = 0; i < REDIS_SCRIPTS; i++) {
        load(&self->scripts[i], &sources[i]);
    }
    return self;
}

void redis_scripts_destroy(redis_scripts_t **self_p) {
    redis_scripts_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < REDIS_SCRIPTS; i++) {
        buffer_finish(&self->scripts[i].text);
    }
    memory_free(self);
    *self_p = NULL;
}

void redis_scripts_begin(const redis_scripts_t *self, struct buffer *out, enum redis_script script, bool with_text,
                         size_t n_keys, size_t n_arguments) {
    redis_request_begin(out, 3 + n_keys + n_arguments);
    redis_request_text(out, with_text ? "EVAL" : "EVALSHA");
    if (with_text) {
        redis_request_bytes(out, buffer_span(&self->scripts[script].text));
    } else {
        redis_request_text(out, self->scripts[script].digest);
    }
    redis_request_u64(out, n_keys);
}

struct span redis_scripts_text(const redis_scripts_t *self, enum redis_script script) {
    return buffer_span(&self->scripts[script].text);
}

const char *redis_scripts_name(enum redis_script script) {
    return sources[script].name;
}
