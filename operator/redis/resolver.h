/* Names to addresses without the C library's name service: numeric addresses, a hosts file, then DNS. So a static
 * program never loads modules of a libc that is not its own (as getaddrinfo would). Nothing is kept between calls: a
 * pod's address changes under its name. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_RESOLVER_H
#define CALLBOARD_OPERATOR_RESOLVER_H

#include "base/ip_address.h"

typedef struct resolver resolver_t;

struct resolver_options {
    const char *hosts_file; /* NULL or empty: /etc/hosts */
    const char *nameserver; /* address or address:port (IPv4) to ask instead of those of /etc/resolv.conf; NULL: none */
};

/* NULL: the nameserver is no address; ret_error says so. */
resolver_t *resolver_new(const struct resolver_options *options, char *ret_error, size_t error_size);
void resolver_destroy(resolver_t **self_p); /* accepts NULL */

/* The first address of a name: IPv4 before IPv6. At most about 4 s. False: ret_error says why. */
bool resolver_find(resolver_t *self, const char *name, char ret_address[IP_ADDRESS_TEXT], char *ret_error,
                   size_t error_size);

/* Pure: the line of a hosts file that names `name` (without regard to case). False: it does not. */
bool resolver_hosts_line(struct span line, const char *name, char ret_address[IP_ADDRESS_TEXT]);
/* Pure: the first address record of this type (1: A, 28: AAAA) in a DNS answer. False: there is none, or it is no
 * answer. */
bool resolver_dns_answer(struct span answer, int type, char ret_address[IP_ADDRESS_TEXT]);

#endif
