/* Opens connections to the pods of one installation: names resolved anew each time (a pod's address changes), TLS and
 * logins from the options, password files read anew (a rotated password is taken up). Thread: the owner's; threads each
 * have their own. */
#ifndef CALLBOARD_OPERATOR_REDIS_DIALER_H
#define CALLBOARD_OPERATOR_REDIS_DIALER_H

#include "base/ip_address.h"
#include "operator/redis/redis_options.h"
#include "operator/redis/redis_pods.h"
#include "operator/redis/resp_client.h"

typedef struct redis_dialer redis_dialer_t;

enum { REDIS_DIALER_PASSWORD_MAX = 1024 };

enum redis_service { REDIS_SERVICE_REDIS, REDIS_SERVICE_SENTINEL }; /* which login */

/* The options outlive it. NULL: ret_error says what is wrong with them. */
redis_dialer_t *redis_dialer_new(const struct redis_options *options, char *ret_error, size_t error_size);
void redis_dialer_destroy(redis_dialer_t **self_p); /* accepts NULL */

bool redis_dialer_resolve(redis_dialer_t *self, const char *host, char ret_address[IP_ADDRESS_TEXT], char *ret_error,
                          size_t error_size);
/* Connected and logged in; ret_address: where it was found (may be NULL). NULL: ret_error says why. */
resp_client_t *redis_dialer_open(redis_dialer_t *self, enum redis_service service, const struct redis_pod *pod,
                                 char *ret_address, char *ret_error, size_t error_size);
/* As above at another address than the name's (the own server on the loopback), and not logged in yet. */
resp_client_t *redis_dialer_connect_at(redis_dialer_t *self, enum redis_service service, const struct redis_pod *pod,
                                       const char *address, char *ret_error, size_t error_size);

/* What logs in there now, read anew; empty: there is none. For MIGRATE, which logs in on our behalf; the caller wipes
 * it. */
bool redis_dialer_password(redis_dialer_t *self, enum redis_service service,
                           char ret_password[REDIS_DIALER_PASSWORD_MAX], char *ret_error, size_t error_size);

#endif
