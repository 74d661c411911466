/* What the broker's settings need of Redis, as redis_settings.h judges a server by it. Thread: any (values). */
#ifndef CALLBOARD_BROKER_REDIS_SETUP_H
#define CALLBOARD_BROKER_REDIS_SETUP_H

#include "broker/broker_config.h"
#include "broker/redis/link/redis_url.h"
#include "broker/redis/survey/redis_settings.h"

/* n_shards: of one broker. `where` is borrowed. */
struct redis_setup redis_setup_of(const struct broker_config *config, const struct redis_url *url, uint32_t n_shards,
                                  const char *where);
/* 127.0.0.0/8, ::1, localhost, a unix socket. */
bool redis_setup_is_local(const struct redis_url *url);

#endif
