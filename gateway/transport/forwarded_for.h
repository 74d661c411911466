/* Whom a proxy speaks for: the address in X-Forwarded-For that the nearest trusted proxies vouch for. Pure.
 * Thread: any. */
#ifndef CALLBOARD_GATEWAY_FORWARDED_FOR_H
#define CALLBOARD_GATEWAY_FORWARDED_FOR_H

#include "base/config_reader.h"
#include "base/ip_address.h"

#include "gateway/gateway_config.h"

struct trusted_proxies {
    struct ip_network networks[TRUSTED_PROXIES_MAX];
    size_t n;
};

/* Of client.trusted_proxies, which the settings' rules have judged. */
void trusted_proxies_init(struct trusted_proxies *self, const struct config_text_list *networks);
bool trusted_proxies_contain(const struct trusted_proxies *self, const struct ip_address *address);

/* `peer` is a trusted proxy; `header` what it sent, empty where it sent none (then it speaks for itself). From the
 * right: every address that is a trusted proxy's is one more hop, the first that is not is the client. What stands left
 * of it anybody may have written, and is not looked at. False: an entry on the way is no address. */
bool forwarded_for_source(const struct trusted_proxies *proxies, const struct ip_address *peer, struct span header,
                          struct ip_address *ret_source);

#endif
