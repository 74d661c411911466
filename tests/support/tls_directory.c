/* See tls_directory.h. */
#include "tests/support/tls_directory.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/support/certificates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tls_directory {
    char path[64];
};

static const char *const authorities[] = {"authority", "stranger"};
static const struct certificate_wish wishes[] = {
    {"server", "authority", "IP:127.0.0.1,DNS:redis.test", false, false},
    {"other_name", "authority", "IP:10.0.0.1,DNS:other.test", false, false},
    {"expired", "authority", "IP:127.0.0.1", true, false},
    {"client", "authority", NULL, false, false},
    {"strange_client", "stranger", NULL, false, false},
};

tls_directory_t *tls_directory_new(void) {
    tls_directory_t *self = memory_alloc_zero(sizeof *self);
    const char *base = getenv("TMPDIR");
    int length = snprintf(self->path, sizeof self->path, "%s/callboard-tls-XXXXXX", base == NULL ? "/tmp" : base);
    check(length < (int) sizeof self->path && mkdtemp(self->path) != NULL, "mkdtemp: %s", strerror(errno));
    for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++) {
        certificates_make_authority(self->path, authorities[i]);
    }
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        certificates_make(self->path, &wishes[i]);
    }
    return self;
}

static void remove_pair(const tls_directory_t *self, const char *name) {
    char path[TLS_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.crt", self->path, name);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s.key", self->path, name);
    unlink(path);
}

void tls_directory_destroy(tls_directory_t **self_p) {
    tls_directory_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++) {
        remove_pair(self, authorities[i]);
    }
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        remove_pair(self, wishes[i].name);
    }
    rmdir(self->path);
    memory_free(self);
    *self_p = NULL;
}

const char *tls_directory_path(const tls_directory_t *self) {
    return self->path;
}

void tls_directory_file(const tls_directory_t *self, const char *file, char ret_path[TLS_PATH_MAX]) {
    snprintf(ret_path, TLS_PATH_MAX, "%s/%s", self->path, file);
}

void tls_directory_lines(const tls_directory_t *self, int port, char ret_lines[TLS_LINES][TLS_LINE_MAX]) {
    snprintf(ret_lines[0], TLS_LINE_MAX, "tls-port %d", port);
    snprintf(ret_lines[1], TLS_LINE_MAX, "tls-cert-file %s/server.crt", self->path);
    snprintf(ret_lines[2], TLS_LINE_MAX, "tls-key-file %s/server.key", self->path);
    snprintf(ret_lines[3], TLS_LINE_MAX, "tls-ca-cert-file %s/authority.crt", self->path);
    snprintf(ret_lines[4], TLS_LINE_MAX, "tls-auth-clients optional");
    snprintf(ret_lines[5], TLS_LINE_MAX, "tls-replication yes");
}
