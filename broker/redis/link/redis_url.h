/* A Redis URL, taken apart:
 *
 *   redis://[user[:password]@]host[:6379][/db]                                one server
 *   unix://[user[:password]@]/path[?db=n]                                     one server on this machine
 *   redis+sentinel://[user[:password]@]a[:26379][,b[:26379]…]/master[/db]     the primary that these Sentinels name
 *   redis+cluster://[user[:password]@]a[:6379][,b[:6379]…]                    the cluster that these nodes belong to
 *
 * rediss://, rediss+sentinel:// and rediss+cluster:// are the same through TLS. User, password, host and path may be
 * percent-encoded. User and password are those of the Redis servers; Sentinels have their own (redis.sentinel_user,
 * redis.sentinel_password). Thread: any (values). */
#ifndef CALLBOARD_BROKER_REDIS_URL_H
#define CALLBOARD_BROKER_REDIS_URL_H

#include "broker/redis/link/redis_address.h"

enum {
    REDIS_URL_USER_MAX = 255,
    REDIS_URL_PASSWORD_MAX = 511,
    REDIS_URL_MASTER_MAX = 127,
    REDIS_URL_SEEDS_MAX = 16,
    REDIS_URL_TEXT_MAX = 1023, /* of redis_url_describe; longer lists of hosts are cut */
};

enum redis_url_kind { REDIS_URL_STANDALONE, REDIS_URL_SENTINEL, REDIS_URL_CLUSTER };

struct redis_url {
    enum redis_url_kind kind;
    bool tls;
    /* The server (standalone), the first host else: a node's URL is a copy with its own address in these. */
    char host[REDIS_URL_HOST_MAX + 1]; /* a name or an address without brackets; empty where path is set */
    uint16_t port;                     /* 6379 where none is given, of Sentinels 26379 */
    char path[REDIS_URL_PATH_MAX + 1]; /* of a unix socket */
    char user[REDIS_URL_USER_MAX + 1]; /* empty: the default user */
    char password[REDIS_URL_PASSWORD_MAX + 1];
    uint32_t database;
    char master[REDIS_URL_MASTER_MAX + 1]; /* Sentinel: the name it watches */
    struct redis_address seeds[REDIS_URL_SEEDS_MAX];
    size_t n_seeds; /* at least 1; standalone: the server itself */
};

/* False: ret_error says what is wrong and how to mend it, never with the password in it. It is worded to follow
 * "redis.url: ". */
bool redis_url_parse(struct span text, struct redis_url *ret_url, char *ret_error, size_t error_size);
/* This node instead of the one named so far. */
void redis_url_set_address(struct redis_url *self, const struct redis_address *address);
/* host:port/db, unix:/path/db, sentinel a:26379,b:26379/master/db, cluster a:6379; for logs: no user, no password. */
void redis_url_describe(const struct redis_url *self, char *ret_text, size_t size);

#endif
