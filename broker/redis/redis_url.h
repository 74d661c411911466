/* A Redis URL, taken apart: redis://[user[:password]@]host[:port][/db], unix://[user[:password]@]/path[?db=n].
 * rediss:// (TLS), redis+sentinel:// and redis+cluster:// are recognised and refused with a message that says so: this
 * release speaks to one server in plain. User, password and path may be percent-encoded. Thread: any (values). */
#ifndef CALLBOARD_BROKER_REDIS_URL_H
#define CALLBOARD_BROKER_REDIS_URL_H

#include "base/bytes.h"

enum { REDIS_URL_HOST_MAX = 255, REDIS_URL_USER_MAX = 255, REDIS_URL_PASSWORD_MAX = 511, REDIS_URL_PATH_MAX = 107 };

struct redis_url {
    char host[REDIS_URL_HOST_MAX + 1]; /* a name or an address without brackets; empty where path is set */
    uint16_t port;                     /* 6379 where none is given */
    char path[REDIS_URL_PATH_MAX + 1]; /* of a unix socket */
    char user[REDIS_URL_USER_MAX + 1]; /* empty: the default user */
    char password[REDIS_URL_PASSWORD_MAX + 1];
    uint32_t database;
};

/* False: ret_error says what is wrong and how to mend it, never with the password in it. */
bool redis_url_parse(struct span text, struct redis_url *ret_url, char *ret_error, size_t error_size);
/* host:port/db or unix:/path/db, for logs: no user, no password. */
void redis_url_describe(const struct redis_url *self, char *ret_text, size_t size);

#endif
