/* The rules are in the header: only what a trusted proxy wrote itself is believed. */
#include "gateway/transport/forwarded_for.h"

#include "base/check.h"

void trusted_proxies_init(struct trusted_proxies *self, const struct config_text_list *networks) {
    check(networks->n <= TRUSTED_PROXIES_MAX, "%zu trusted proxies", networks->n);
    self->n = networks->n;
    for (size_t i = 0; i < networks->n; i++) {
        check(ip_network_parse(span_of_text(networks->texts[i]), &self->networks[i]), "%s", networks->texts[i]);
    }
}

bool trusted_proxies_contain(const struct trusted_proxies *self, const struct ip_address *address) {
    for (size_t i = 0; i < self->n; i++) {
        if (ip_network_contains(&self->networks[i], address)) {
            return true;
        }
    }
    return false;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

/* Takes the last entry off. */
static struct span take_last(struct span *header) {
    size_t end = header->size;
    size_t begin = end;
    while (begin > 0 && header->data[begin - 1] != ',') {
        begin--;
    }
    header->size = begin > 0 ? begin - 1 : 0;
    while (begin < end && is_blank(header->data[begin])) {
        begin++;
    }
    while (end > begin && is_blank(header->data[end - 1])) {
        end--;
    }
    return span_of(header->data + begin, end - begin);
}

bool forwarded_for_source(const struct trusted_proxies *proxies, const struct ip_address *peer, struct span header,
                          struct ip_address *ret_source) {
    *ret_source = *peer;
    while (header.size > 0 && trusted_proxies_contain(proxies, ret_source)) {
        if (!ip_address_parse_with_port(take_last(&header), ret_source)) {
            return false;
        }
    }
    return true;
}
