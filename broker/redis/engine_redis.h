/* The engine on Redis: one server, what Sentinels name, or a cluster; in plain, through TLS or a unix socket.
 * Durability fast: told as soon as the primary executed it, and after every new reign each channel's epoch changes at
 * its first touch. Durability safe: told when it is confirmed, and epochs go on (docs/durability.md). Any number of
 * brokers on one Redis; one engine a shard, with links of its own to each server that it needs.
 *
 * Redis away: requests wait for their deadline and end as ENGINE_TEMPORARY (not sent) or ENGINE_UNKNOWN (sent, or not
 * confirmed); after half a second, publications without history, and those of namespaces with on_engine_down: memory,
 * pass live through this broker, marked not_durable. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_ENGINE_REDIS_H
#define CALLBOARD_BROKER_ENGINE_REDIS_H

#include "broker/broker_config.h"
#include "broker/engine.h"

/* `options` are copied, `config` is read here only; what the options point at lives as long as the engine. Connects in
 * the background: a Redis that is not there (yet) is no error, a URL or setting that cannot work is. NULL: ret_error
 * says what and how to mend it. Closed through engine.h. */
engine_t *engine_redis_new(const struct engine_options *options, const struct broker_config *config, char *ret_error,
                           size_t error_size);

#endif
