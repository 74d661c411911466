/* See redis_dialer.h. Failures end in one sentence that names the pod's part that failed: the name, the connection,
 * TLS, or the login. Passwords leave memory when the connection does. */
#include "operator/redis/redis_dialer.h"

#include "base/memory.h"
#include "operator/redis/resolver.h"

#include <errno.h>
#include <stdio.h>

struct redis_dialer {
    const struct redis_options *options;
    resolver_t *resolver;
    redis_tls_t *tls;
};

redis_dialer_t *redis_dialer_new(const struct redis_options *options, char *ret_error, size_t error_size) {
    redis_dialer_t *self = memory_alloc_zero(sizeof *self);
    self->options = options;
    self->resolver =
        resolver_new(&(struct resolver_options){.hosts_file = options->hosts_file, .nameserver = options->nameserver},
                     ret_error, error_size);
    const struct redis_tls_options tls = {
        .ca_file = options->tls_ca_file,
        .certificate_file = options->tls_certificate_file,
        .key_file = options->tls_key_file,
        .server_name = options->tls_server_name,
    };
    if (self->resolver != NULL && options->tls) {
        self->tls = redis_tls_new(&tls, ret_error, error_size);
    }
    if (self->resolver == NULL || (options->tls && self->tls == NULL)) {
        redis_dialer_destroy(&self);
    }
    return self;
}

void redis_dialer_destroy(redis_dialer_t **self_p) {
    redis_dialer_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    redis_tls_destroy(&self->tls);
    resolver_destroy(&self->resolver);
    memory_free(self);
    *self_p = NULL;
}

bool redis_dialer_resolve(redis_dialer_t *self, const char *host, char ret_address[IP_ADDRESS_TEXT], char *ret_error,
                          size_t error_size) {
    return resolver_find(self->resolver, host, ret_address, ret_error, error_size);
}

/* The first line of the file, without CR and LF: Secrets made from files keep their line feed. */
static bool read_password(const char *path, char ret_password[REDIS_DIALER_PASSWORD_MAX], char *ret_error,
                          size_t error_size) {
    ret_password[0] = '\0';
    if (path == NULL) {
        return true;
    }
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fgets(ret_password, REDIS_DIALER_PASSWORD_MAX, file) != NULL;
    int error = errno;
    if (file != NULL) {
        fclose(file);
    }
    ret_password[strcspn(ret_password, "\r\n")] = '\0';
    if (!is_read || ret_password[0] == '\0') {
        snprintf(ret_error, error_size, "the password file %s %s", path, file == NULL ? strerror(error) : "is empty");
        return false;
    }
    return true;
}

bool redis_dialer_password(redis_dialer_t *self, enum redis_service service,
                           char ret_password[REDIS_DIALER_PASSWORD_MAX], char *ret_error, size_t error_size) {
    bool is_redis = service == REDIS_SERVICE_REDIS;
    return read_password(is_redis ? self->options->password_file : self->options->sentinel_password_file, ret_password,
                         ret_error, error_size);
}

resp_client_t *redis_dialer_connect_at(redis_dialer_t *self, enum redis_service service, const struct redis_pod *pod,
                                       const char *address, char *ret_error, size_t error_size) {
    char password[REDIS_DIALER_PASSWORD_MAX];
    bool is_redis = service == REDIS_SERVICE_REDIS;
    if (!redis_dialer_password(self, service, password, ret_error, error_size)) {
        return NULL;
    }
    const struct resp_target target = {
        .name = pod->host,
        .address = address,
        .port = pod->port,
        .tls = self->tls,
        .user = is_redis ? self->options->user : self->options->sentinel_user,
        .password = password,
        .timeout_ms = (unsigned) self->options->command_timeout_ms,
    };
    resp_client_t *client = resp_client_connect(&target, ret_error, error_size);
    explicit_bzero(password, sizeof password);
    return client;
}

resp_client_t *redis_dialer_open(redis_dialer_t *self, enum redis_service service, const struct redis_pod *pod,
                                 char *ret_address, char *ret_error, size_t error_size) {
    char address[IP_ADDRESS_TEXT];
    if (!redis_dialer_resolve(self, pod->host, address, ret_error, error_size)) {
        return NULL;
    }
    resp_client_t *client = redis_dialer_connect_at(self, service, pod, address, ret_error, error_size);
    if (client != NULL && !resp_client_login(client, ret_error, error_size)) {
        resp_client_destroy(&client);
    }
    if (client != NULL && ret_address != NULL) {
        memcpy(ret_address, address, sizeof address);
    }
    return client;
}
