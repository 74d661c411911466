/* Endpoints → addresses → live brokers → the first one for each partition.
 *
 *   "tcp://brokers:7700" ──uv_getaddrinfo every resolve_interval──▶ tcp://10.0.0.1:7700, tcp://10.0.0.2:7700
 *   "tcp://127.0.0.1:7700", "inproc://broker" ────────────────────▶ themselves, once
 *
 * Ranks are cached per partition and made anew when a broker comes, drains or goes: a request costs one array access.
 * Failure modes: a resolution that fails changes nothing (DNS being away must not cut links that work); an address that
 * DNS does not name any more is kept as long as its link holds; the same address from two endpoints is one entry; the
 * same broker behind two addresses is seen by its id (broker_links.c keeps one link). */
#include "gateway/broker_directory.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

struct endpoint {
    broker_directory_t *directory;
    size_t index;
    char *host; /* NULL: fixed, nothing to resolve */
    char *port;
    bool busy;
    bool failed_before; /* a row of failures is logged once */
    uv_getaddrinfo_t resolution;
};

struct broker_directory {
    uv_loop_t *loop;
    timer_wheel_t *wheel;
    uint64_t resolve_interval_ms;
    struct broker_directory_callbacks callbacks;
    void *context;
    struct endpoint *endpoints;
    size_t n_endpoints;
    size_t n_busy;
    struct timer_entry resolve_timer;
    struct list_link entries;
    size_t n_entries;
    uint32_t n_partitions;
    struct broker_entry *first[PARTITIONS_MAX];
    uint64_t moved_total;
    bool closing;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* ---- ranks ---- */

static bool outranks(const struct broker_entry *a, const struct broker_entry *b, uint32_t partition) {
    if (a->draining != b->draining) {
        return b->draining;
    }
    uint64_t rank_a = partition_rank(partition, span_of_text(a->id));
    uint64_t rank_b = partition_rank(partition, span_of_text(b->id));
    return rank_a != rank_b ? rank_a > rank_b : strcmp(a->id, b->id) < 0;
}

static struct broker_entry *find_first(const broker_directory_t *self, uint32_t partition) {
    struct broker_entry *first = NULL;
    list_for_each (link, &self->entries) {
        struct broker_entry *entry = list_entry(link, struct broker_entry, link);
        if (entry->live && (first == NULL || outranks(entry, first, partition))) {
            first = entry;
        }
    }
    return first;
}

static void rank_anew(broker_directory_t *self) {
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        struct broker_entry *first = find_first(self, i);
        if (first != self->first[i]) {
            self->first[i] = first;
            self->moved_total++;
        }
    }
}

struct broker_entry *broker_directory_first(const broker_directory_t *self, uint32_t partition) {
    check(partition < PARTITIONS_MAX, "partition %u", partition);
    return self->first[partition];
}

void broker_directory_set_partitions(broker_directory_t *self, uint32_t n_partitions) {
    check(partition_count_is_valid(n_partitions), "%u partitions", n_partitions);
    self->n_partitions = n_partitions;
    rank_anew(self);
}

/* ---- entries ---- */

static struct broker_entry *find_address(const broker_directory_t *self, const char *address) {
    list_for_each (link, &self->entries) {
        struct broker_entry *entry = list_entry(link, struct broker_entry, link);
        if (strcmp(entry->address, address) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void entry_free(struct broker_entry *entry) {
    memory_free(entry->address);
    memory_free(entry->id);
    memory_free(entry);
}

static void name_address(broker_directory_t *self, const char *address, size_t endpoint) {
    struct broker_entry *entry = find_address(self, address);
    if (entry != NULL) {
        entry->named_by |= UINT64_C(1) << endpoint;
        return;
    }
    if (self->n_entries == BROKERS_MAX) {
        log_error("broker_address_refused", log_text("address", address), log_u64("brokers_max", BROKERS_MAX));
        return;
    }
    entry = memory_alloc_zero(sizeof *entry);
    list_init(&entry->link);
    entry->address = memory_strdup(address);
    entry->named_by = UINT64_C(1) << endpoint;
    list_push_back(&self->entries, &entry->link);
    self->n_entries++;
    self->callbacks.on_added(self->context, entry);
}

static void remove_if_unnamed(broker_directory_t *self, struct broker_entry *entry) {
    if (entry->live || entry->named_by != 0) {
        return;
    }
    list_remove(&entry->link);
    self->n_entries--;
    self->callbacks.on_removed(self->context, entry);
    entry_free(entry);
}

void broker_directory_set_live(broker_directory_t *self, struct broker_entry *entry, struct span id,
                               uint64_t boot_nonce) {
    memory_free(entry->id);
    entry->id = memory_strndup(id.data, id.size);
    entry->boot_nonce = boot_nonce;
    entry->live = true;
    entry->draining = false;
    rank_anew(self);
}

void broker_directory_set_draining(broker_directory_t *self, struct broker_entry *entry) {
    entry->draining = true;
    rank_anew(self);
}

void broker_directory_set_gone(broker_directory_t *self, struct broker_entry *entry) {
    entry->live = false;
    entry->draining = false;
    rank_anew(self);
    remove_if_unnamed(self, entry);
}

struct broker_entry *broker_directory_find_live(const broker_directory_t *self, struct span id,
                                                const struct broker_entry *except) {
    list_for_each (link, &self->entries) {
        struct broker_entry *entry = list_entry(link, struct broker_entry, link);
        if (entry != except && entry->live && span_equal_text(id, entry->id)) {
            return entry;
        }
    }
    return NULL;
}

uint32_t broker_directory_partitions(const broker_directory_t *self) {
    return self->n_partitions;
}

size_t broker_directory_known(const broker_directory_t *self) {
    return self->n_entries;
}

size_t broker_directory_alive(const broker_directory_t *self) {
    size_t n = 0;
    list_for_each (link, &self->entries) {
        n += list_entry(link, struct broker_entry, link)->live;
    }
    return n;
}

uint64_t broker_directory_moved_total(const broker_directory_t *self) {
    return self->moved_total;
}

struct list_link *broker_directory_entries(broker_directory_t *self) {
    return &self->entries;
}

/* ---- resolving ---- */

bool broker_endpoint_split(const char *endpoint, struct span *ret_host, struct span *ret_port) {
    struct span rest = span_of_text(endpoint);
    struct span scheme = SPAN_LITERAL("tcp://");
    if (!span_starts_with(rest, scheme)) {
        return false;
    }
    rest = span_of(rest.data + scheme.size, rest.size - scheme.size);
    size_t colon = rest.size;
    while (colon > 0 && rest.data[colon - 1] != ':') {
        colon--;
    }
    uint64_t port;
    struct span digits = span_of(rest.data + colon, rest.size - colon);
    if (colon < 2 || !span_parse_u64(digits, &port) || port == 0 || port > 65535) {
        return false;
    }
    struct span host = span_of(rest.data, colon - 1);
    if (host.data[0] == '[') {
        if (host.size < 3 || host.data[host.size - 1] != ']') {
            return false;
        }
        host = span_of(host.data + 1, host.size - 2);
    }
    *ret_host = host;
    *ret_port = digits;
    return true;
}

static bool is_numeric(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool format_address(const struct addrinfo *info, const char *port, char *ret_address, size_t size) {
    char host[INET6_ADDRSTRLEN];
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const void *) info->ai_addr;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(ret_address, size, "tcp://%s:%s", host, port);
        return true;
    }
    if (info->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *) info->ai_addr;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        snprintf(ret_address, size, "tcp://[%s]:%s", host, port);
        return true;
    }
    return false;
}

/* The endpoint stands for exactly these addresses now. */
static void take_addresses(broker_directory_t *self, struct endpoint *endpoint, const struct addrinfo *addresses) {
    list_for_each (link, &self->entries) {
        list_entry(link, struct broker_entry, link)->named_by &= ~(UINT64_C(1) << endpoint->index);
    }
    for (const struct addrinfo *info = addresses; info != NULL; info = info->ai_next) {
        char address[128];
        if (format_address(info, endpoint->port, address, sizeof address)) {
            name_address(self, address, endpoint->index);
        }
    }
    list_for_each_safe (link, &self->entries) {
        remove_if_unnamed(self, list_entry(link, struct broker_entry, link));
    }
}

static void report_failure(struct endpoint *endpoint, int status) {
    if (!endpoint->failed_before) {
        log_warning("broker_name_not_resolved", log_text("host", endpoint->host),
                    log_text("reason", uv_strerror(status)));
    }
    endpoint->failed_before = true;
}

static void finish_closing(broker_directory_t *self) {
    if (!self->closing || self->n_busy > 0) {
        return;
    }
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->closed_context;
    for (size_t i = 0; i < self->n_endpoints; i++) {
        memory_free(self->endpoints[i].host);
        memory_free(self->endpoints[i].port);
    }
    for (struct list_link *link = list_pop_front(&self->entries); link != NULL; link = list_pop_front(&self->entries)) {
        entry_free(list_entry(link, struct broker_entry, link));
    }
    memory_free(self->endpoints);
    memory_free(self);
    on_closed(context);
}

static void on_resolved(uv_getaddrinfo_t *resolution, int status, struct addrinfo *addresses) {
    struct endpoint *endpoint = resolution->data;
    broker_directory_t *self = endpoint->directory;
    endpoint->busy = false;
    self->n_busy--;
    if (self->closing) {
        uv_freeaddrinfo(addresses);
        finish_closing(self);
        return;
    }
    if (status != 0 || addresses == NULL) {
        report_failure(endpoint, status == 0 ? UV_EAI_NODATA : status);
        return;
    }
    endpoint->failed_before = false;
    take_addresses(self, endpoint, addresses);
    uv_freeaddrinfo(addresses);
}

static void resolve(struct endpoint *endpoint) {
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (endpoint->host == NULL || endpoint->busy) {
        return;
    }
    int status = uv_getaddrinfo(endpoint->directory->loop, &endpoint->resolution, on_resolved, endpoint->host,
                                endpoint->port, &hints);
    if (status != 0) {
        report_failure(endpoint, status);
        return;
    }
    endpoint->busy = true;
    endpoint->directory->n_busy++;
}

static void on_resolve_due(struct timer_entry *timer) {
    broker_directory_t *self = list_entry(timer, broker_directory_t, resolve_timer);
    for (size_t i = 0; i < self->n_endpoints; i++) {
        resolve(&self->endpoints[i]);
    }
    timer_wheel_set(self->wheel, &self->resolve_timer, clock_monotonic_ms() + self->resolve_interval_ms);
}

/* ---- life ---- */

static bool is_fixed_scheme(const char *endpoint) {
    return span_starts_with(span_of_text(endpoint), SPAN_LITERAL("inproc://")) ||
           span_starts_with(span_of_text(endpoint), SPAN_LITERAL("ipc://"));
}

/* False: malformed. A fixed endpoint gets no host. */
static bool read_endpoint(struct endpoint *endpoint, const char *text) {
    struct span host, port;
    if (is_fixed_scheme(text)) {
        return true;
    }
    if (!broker_endpoint_split(text, &host, &port)) {
        return false;
    }
    char *host_text = memory_strndup(host.data, host.size);
    if (is_numeric(host_text)) {
        memory_free(host_text);
        return true;
    }
    endpoint->host = host_text;
    endpoint->port = memory_strndup(port.data, port.size);
    return true;
}

static void ignore_closed(void *context) {
    (void) context;
}

broker_directory_t *broker_directory_new(uv_loop_t *loop, timer_wheel_t *wheel,
                                         const struct config_text_list *endpoints, uint64_t resolve_interval_ms,
                                         const struct broker_directory_callbacks *callbacks, void *context,
                                         char *ret_error, size_t error_size) {
    if (endpoints->n == 0 || endpoints->n > BROKER_ENDPOINTS_MAX) {
        snprintf(ret_error, error_size, "brokers.endpoints has %zu entries; 1 to %d are possible", endpoints->n,
                 BROKER_ENDPOINTS_MAX);
        return NULL;
    }
    broker_directory_t *self = memory_alloc_zero(sizeof *self);
    self->loop = loop;
    self->wheel = wheel;
    self->resolve_interval_ms = resolve_interval_ms;
    self->callbacks = *callbacks;
    self->context = context;
    list_init(&self->entries);
    timer_entry_init(&self->resolve_timer, on_resolve_due);
    self->endpoints = memory_alloc_array(endpoints->n, sizeof *self->endpoints);
    self->n_endpoints = endpoints->n;
    bool needs_resolving = false;
    for (size_t i = 0; i < endpoints->n; i++) {
        struct endpoint *endpoint = &self->endpoints[i];
        endpoint->directory = self;
        endpoint->index = i;
        endpoint->resolution.data = endpoint;
        if (!read_endpoint(endpoint, endpoints->texts[i])) {
            snprintf(ret_error, error_size, "brokers.endpoints: \"%s\" is not tcp://HOST:PORT, ipc:// or inproc://",
                     endpoints->texts[i]);
            broker_directory_close(&self, ignore_closed, NULL);
            return NULL;
        }
        needs_resolving |= endpoint->host != NULL;
    }
    for (size_t i = 0; i < endpoints->n; i++) {
        if (self->endpoints[i].host == NULL) {
            name_address(self, endpoints->texts[i], i);
        }
    }
    if (needs_resolving) {
        on_resolve_due(&self->resolve_timer);
    }
    return self;
}

void broker_directory_close(broker_directory_t **self_p, void (*on_closed)(void *context), void *context) {
    broker_directory_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        on_closed(context);
        return;
    }
    self->closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    timer_wheel_cancel(self->wheel, &self->resolve_timer);
    for (size_t i = 0; i < self->n_endpoints; i++) {
        if (self->endpoints[i].busy) {
            uv_cancel((uv_req_t *) &self->endpoints[i].resolution); /* its callback comes either way */
        }
    }
    finish_closing(self);
}
