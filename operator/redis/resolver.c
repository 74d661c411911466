/* See resolver.h.
 *
 *   numeric? ─no─▶ hosts file ─not there─▶ DNS A ─none─▶ DNS AAAA ─none─▶ "no such name"
 *
 * DNS goes through the C library's stub resolver (res_nsearch: search domains, ndots, TCP for long answers), which
 * loads no modules; its answer is parsed by its own bounded parser. Failures: a name that is not there yet (a pod that
 * starts) and a server that does not answer are told apart in the error; the caller asks again later. */
#include "operator/redis/resolver.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ANSWER_MAX = 8192, HOSTS_LINES_MAX = 10000, NAME_MAX_BYTES = 255 };

struct resolver {
    char *hosts_file;
    bool has_nameserver;
    struct sockaddr_in nameserver;
};

static bool parse_nameserver(const char *text, struct sockaddr_in *ret_address) {
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    size_t size = colon == NULL ? strlen(text) : (size_t) (colon - text);
    uint64_t port = NAMESERVER_PORT;
    if (size == 0 || size >= sizeof host ||
        (colon != NULL && (!span_parse_u64(span_of_text(colon + 1), &port) || port == 0 || port > UINT16_MAX))) {
        return false;
    }
    memcpy(host, text, size);
    host[size] = '\0';
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    return inet_pton(AF_INET, host, &ret_address->sin_addr) == 1;
}

resolver_t *resolver_new(const struct resolver_options *options, char *ret_error, size_t error_size) {
    resolver_t *self = memory_alloc_zero(sizeof *self);
    bool has_hosts = options->hosts_file != NULL && options->hosts_file[0] != '\0';
    self->hosts_file = memory_strdup(has_hosts ? options->hosts_file : "/etc/hosts");
    self->has_nameserver = options->nameserver != NULL && options->nameserver[0] != '\0';
    if (self->has_nameserver && !parse_nameserver(options->nameserver, &self->nameserver)) {
        snprintf(ret_error, error_size, "the nameserver %s is no IPv4 address with or without a port",
                 options->nameserver);
        resolver_destroy(&self);
    }
    return self;
}

void resolver_destroy(resolver_t **self_p) {
    if (*self_p != NULL) {
        memory_free((*self_p)->hosts_file);
        memory_free(*self_p);
        *self_p = NULL;
    }
}

/* ---- the hosts file ---- */

static struct span next_word(struct span *rest) {
    size_t begin = 0;
    while (begin < rest->size && strchr(" \t\r\n", rest->data[begin]) != NULL && rest->data[begin] != '\0') {
        begin++;
    }
    size_t end = begin;
    while (end < rest->size && strchr(" \t\r\n", rest->data[end]) == NULL) {
        end++;
    }
    struct span word = {rest->data + begin, end - begin};
    *rest = (struct span){rest->data + end, rest->size - end};
    return word;
}

bool resolver_hosts_line(struct span line, const char *name, char ret_address[IP_ADDRESS_TEXT]) {
    const uint8_t *comment = line.size == 0 ? NULL : memchr(line.data, '#', line.size);
    if (comment != NULL) {
        line.size = (size_t) (comment - line.data);
    }
    struct ip_address address;
    struct span word = line.size == 0 ? SPAN_EMPTY : next_word(&line);
    if (word.size == 0 || !ip_address_parse(word, &address)) {
        return false;
    }
    size_t size = strlen(name);
    for (word = next_word(&line); word.size > 0; word = next_word(&line)) {
        if (word.size == size && strncasecmp((const char *) word.data, name, size) == 0) {
            ip_address_print(&address, ret_address);
            return true;
        }
    }
    return false;
}

static bool find_in_hosts(const resolver_t *self, const char *name, char ret_address[IP_ADDRESS_TEXT]) {
    FILE *file = fopen(self->hosts_file, "re");
    if (file == NULL) {
        return false;
    }
    char line[1024];
    bool is_found = false;
    for (unsigned i = 0; i < HOSTS_LINES_MAX && !is_found && fgets(line, sizeof line, file) != NULL; i++) {
        is_found = resolver_hosts_line(span_of_text(line), name, ret_address);
    }
    fclose(file);
    return is_found;
}

/* ---- DNS ---- */

bool resolver_dns_answer(struct span answer, int type, char ret_address[IP_ADDRESS_TEXT]) {
    ns_msg message;
    if (answer.size > ANSWER_MAX || ns_initparse(answer.data, (int) answer.size, &message) != 0 ||
        ns_msg_getflag(message, ns_f_rcode) != ns_r_noerror) {
        return false;
    }
    size_t wanted = type == ns_t_a ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, i, &record) != 0) {
            return false;
        }
        if ((int) ns_rr_type(record) == type && ns_rr_rdlen(record) == wanted) {
            int family = type == ns_t_a ? AF_INET : AF_INET6;
            return inet_ntop(family, ns_rr_rdata(record), ret_address, IP_ADDRESS_TEXT) != NULL;
        }
    }
    return false;
}

/* A state of its own each time: /etc/resolv.conf may have changed. */
static bool open_state(const resolver_t *self, struct __res_state *state) {
    memset(state, 0, sizeof *state);
    if (res_ninit(state) != 0) {
        return false;
    }
    state->retrans = 1; /* seconds to the first repetition */
    state->retry = 2;
    if (self->has_nameserver) {
        state->nsaddr_list[0] = self->nameserver;
        state->nscount = 1;
    }
    return true;
}

static bool ask(struct __res_state *state, const char *name, int type, char ret_address[IP_ADDRESS_TEXT],
                const char **ret_why) {
    uint8_t answer[ANSWER_MAX];
    int size = res_nsearch(state, name, ns_c_in, type, answer, sizeof answer);
    if (size < 0) {
        *ret_why = state->res_h_errno == TRY_AGAIN || state->res_h_errno == NETDB_INTERNAL
                       ? "DNS does not answer"
                       : "no such name in DNS or the hosts file";
        return false;
    }
    *ret_why = "its DNS entry has no address";
    return resolver_dns_answer(span_of(answer, (size_t) size < sizeof answer ? (size_t) size : sizeof answer), type,
                               ret_address);
}

static bool find_in_dns(const resolver_t *self, const char *name, char ret_address[IP_ADDRESS_TEXT],
                        const char **ret_why) {
    struct __res_state state;
    if (!open_state(self, &state)) {
        *ret_why = "the DNS resolver could not be set up";
        return false;
    }
    bool is_found =
        ask(&state, name, ns_t_a, ret_address, ret_why) || ask(&state, name, ns_t_aaaa, ret_address, ret_why);
    res_nclose(&state);
    return is_found;
}

bool resolver_find(resolver_t *self, const char *name, char ret_address[IP_ADDRESS_TEXT], char *ret_error,
                   size_t error_size) {
    struct ip_address address;
    if (ip_address_parse(span_of_text(name), &address)) {
        ip_address_print(&address, ret_address);
        return true;
    }
    const char *why = "no name";
    size_t size = strlen(name);
    if (size > 0 && size <= NAME_MAX_BYTES &&
        (find_in_hosts(self, name, ret_address) || find_in_dns(self, name, ret_address, &why))) {
        return true;
    }
    snprintf(ret_error, error_size, "%s: %s", name, why);
    return false;
}
