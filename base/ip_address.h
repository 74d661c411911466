/* An IP address as one kind of value, and networks of them: IPv4 is kept as IPv6 (::ffff:a.b.c.d), so that one
 * comparison serves both and an address that came mapped is the same as one that did not. Pure. Thread: any. */
#ifndef CALLBOARD_BASE_IP_ADDRESS_H
#define CALLBOARD_BASE_IP_ADDRESS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { IP_ADDRESS_BYTES = 16, IP_ADDRESS_TEXT = 48 };

struct ip_address {
    uint8_t bytes[IP_ADDRESS_BYTES];
};

struct ip_network {
    struct ip_address address;
    unsigned prefix; /* of 128 bits */
};

struct ip_address ip_address_of_v4(const uint8_t bytes[4]);
/* False: neither IPv4 nor IPv6. */
bool ip_address_of_socket(const struct sockaddr_storage *socket_address, struct ip_address *ret_address);
/* The address alone: no port, no zone, no brackets. */
bool ip_address_parse(struct span text, struct ip_address *ret_address);
/* As proxies write it in headers: also with a port (192.0.2.1:443, [2001:db8::1]:443) or brackets. */
bool ip_address_parse_with_port(struct span text, struct ip_address *ret_address);
bool ip_address_is_v4(const struct ip_address *self);
/* Writes at most IP_ADDRESS_TEXT bytes with the NUL; IPv4 as a.b.c.d. */
void ip_address_print(const struct ip_address *self, char ret_text[IP_ADDRESS_TEXT]);

/* 10.0.0.0/8, 2001:db8::/32, or one address; bits behind the prefix must be 0. */
bool ip_network_parse(struct span text, struct ip_network *ret_network);
bool ip_network_contains(const struct ip_network *self, const struct ip_address *address);

#endif
