#include "operator/kube/kube_credentials.h"

#include "base/clock.h"
#include "base/memory.h"
#include "operator/kube/kube_exec.h"

#include <errno.h>
#include <stdio.h>

enum { TOKEN_BYTES_MAX = 64 * 1024, READ_AGAIN_MS = 60000, BEFORE_EXPIRY_MS = 10000 };

struct kube_credentials {
    const struct kube_access *access;
    /* ours: of a file or a plugin; NULL: none, or not got yet */
    char *token;
    char *certificate_pem;
    char *key_pem;
    uint64_t read_ms;   /* monotonic: when the file was read; 0: not yet */
    int64_t expires_ms; /* wall: of the plugin's answer; 0: never */
    bool is_got;
};

kube_credentials_t *kube_credentials_new(const struct kube_access *access) {
    kube_credentials_t *self = memory_alloc_zero(sizeof *self);
    self->access = access;
    return self;
}

static void wipe(char **text_p) {
    if (*text_p != NULL) {
        explicit_bzero(*text_p, strlen(*text_p));
    }
    memory_free(*text_p);
    *text_p = NULL;
}

static void forget(kube_credentials_t *self) {
    wipe(&self->token);
    wipe(&self->certificate_pem);
    wipe(&self->key_pem);
    self->is_got = false;
}

void kube_credentials_free(kube_credentials_t **self_p) {
    if (*self_p == NULL) {
        return;
    }
    forget(*self_p);
    memory_free(*self_p);
    *self_p = NULL;
}

/* ---- a file ---- */

struct span kube_credentials_token(struct span text) {
    const uint8_t *at = text.data;
    size_t size = text.size;
    while (size > 0 && *at <= ' ') {
        at++;
        size--;
    }
    while (size > 0 && at[size - 1] <= ' ') {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        if (at[i] <= ' ' || at[i] >= 0x7F) {
            return SPAN_EMPTY; /* would end the header, or begin another one */
        }
    }
    return span_of(at, size);
}

static bool read_file(kube_credentials_t *self, arena_t *arena, const char **ret_error) {
    const char *name = self->access->token_file;
    char text[TOKEN_BYTES_MAX];
    FILE *stream = fopen(name, "re");
    size_t size = stream == NULL ? 0 : fread(text, 1, sizeof text, stream);
    const char *why = stream == NULL || ferror(stream) != 0 ? strerror(errno) : NULL;
    if (stream != NULL) {
        fclose(stream);
    }
    struct span token = kube_credentials_token(span_of(text, size));
    if (why == NULL && (token.size == 0 || size == sizeof text)) {
        why = "there is no token in it, which is one line of text";
    }
    if (why != NULL) {
        *ret_error = arena_format(arena, "%s: the token file %s: %s", self->access->place, name, why);
        return false;
    }
    wipe(&self->token);
    self->token = memory_strndup(token.data, token.size);
    self->read_ms = clock_monotonic_ms();
    self->is_got = true;
    explicit_bzero(text, size);
    return true;
}

/* ---- a plugin ---- */

static char *copy(const char *text) {
    return text == NULL ? NULL : memory_strdup(text);
}

static bool ask_plugin(kube_credentials_t *self, int64_t timeout_ms, arena_t *arena, const char **ret_error) {
    struct kube_exec_credential credential;
    arena_t *scratch = arena_new();
    const char *why = NULL;
    bool is_good = kube_exec_run(scratch, self->access, timeout_ms, &credential, &why);
    forget(self);
    if (is_good) {
        self->token = copy(credential.token);
        self->certificate_pem = copy(credential.client_certificate_pem);
        self->key_pem = copy(credential.client_key_pem);
        self->expires_ms = credential.expires_ms;
        self->is_got = true;
    } else {
        *ret_error = arena_text(arena, why);
    }
    arena_destroy(&scratch);
    return is_good;
}

static bool has_expired(const kube_credentials_t *self) {
    return self->expires_ms != 0 && clock_wall_ms() + BEFORE_EXPIRY_MS >= self->expires_ms;
}

/* ---- what is used ---- */

bool kube_credentials_get(kube_credentials_t *self, int64_t timeout_ms, arena_t *arena,
                          struct kube_http_identity *ret_identity, const char **ret_error) {
    const struct kube_access *access = self->access;
    bool is_old = !self->is_got || clock_monotonic_ms() - self->read_ms >= READ_AGAIN_MS;
    bool is_good = true;
    if (access->token_file != NULL && is_old) {
        is_good = read_file(self, arena, ret_error) || self->is_got; /* one that is being replaced: the last counts */
    } else if (access->exec != NULL && (!self->is_got || has_expired(self))) {
        is_good = ask_plugin(self, timeout_ms, arena, ret_error);
    }
    *ret_identity = (struct kube_http_identity){
        .client_certificate_pem =
            self->certificate_pem == NULL ? access->client_certificate_pem : self->certificate_pem,
        .client_key_pem = self->key_pem == NULL ? access->client_key_pem : self->key_pem,
        .token = self->token == NULL ? access->token : self->token,
        .user_name = access->user_name,
        .password = access->password,
    };
    return is_good;
}

bool kube_credentials_refused(kube_credentials_t *self) {
    bool may_differ = self->access->exec != NULL || self->access->token_file != NULL;
    if (may_differ) {
        forget(self);
    }
    return may_differ;
}
