/*   list      = extension *( "," extension )            RFC 6455 9.1
 *   extension = token *( ";" parameter )
 *   parameter = token [ "=" ( token | quoted-string ) ]
 *
 * A list that is none, also one with quoted separators or escapes, which no client sends: nothing of it is taken. An
 * offer with a parameter that is unknown, there twice, or has no value it may have, is passed over (7.1: decline), and
 * so is one for a window smaller than ours: what is compressed once for all cannot be made smaller for one.
 * client_max_window_bits is a promise that we do not need. */
#include "gateway/transport/websocket_offers.h"

#include "gateway/transport/websocket_deflate.h"

#include <ctype.h>

enum { WINDOW_BITS_MIN = 8, WINDOW_BITS_MAX = 15 };
_Static_assert(WEBSOCKET_DEFLATE_WINDOW_BITS == 12, "the answer below says 12");
static const char terms[] = "; server_no_context_takeover; client_no_context_takeover";
static const char terms_with_window[] =
    "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12";

enum parameter {
    PARAMETER_SERVER_NO_CONTEXT = 1,
    PARAMETER_CLIENT_NO_CONTEXT = 2,
    PARAMETER_SERVER_WINDOW = 4,
    PARAMETER_CLIENT_WINDOW = 8,
};

struct offer {
    bool is_deflate;
    bool is_sound; /* can be taken */
    unsigned parameters;
};

static void skip_space(struct cursor *at) {
    while (at->left > 0 && (*at->at == ' ' || *at->at == '\t')) {
        cursor_u8(at);
    }
}

static bool take(struct cursor *at, char c) {
    skip_space(at);
    if (at->left == 0 || *at->at != (uint8_t) c) {
        return false;
    }
    cursor_u8(at);
    return true;
}

static bool is_token_char(uint8_t c) {
    return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Empty: there is none. */
static struct span take_token(struct cursor *at) {
    skip_space(at);
    const uint8_t *first = at->at;
    size_t size = 0;
    while (at->left > 0 && is_token_char(*at->at)) {
        cursor_u8(at);
        size++;
    }
    return span_of(first, size);
}

/* False: none, or a quoted one that is no token inside. */
static bool take_value(struct cursor *at, struct span *ret_value) {
    bool is_quoted = take(at, '"');
    *ret_value = take_token(at);
    return ret_value->size > 0 && (!is_quoted || take(at, '"'));
}

/* 0: no number that a window may have. */
static unsigned read_window(struct span text) {
    uint64_t bits;
    bool is_one = text.size > 0 && text.data[0] != '0' && span_parse_u64(text, &bits) && bits >= WINDOW_BITS_MIN &&
                  bits <= WINDOW_BITS_MAX;
    return is_one ? (unsigned) bits : 0;
}

static enum parameter find_parameter(struct span name, bool has_value, struct span value) {
    if (span_equal_text(name, "server_no_context_takeover")) {
        return has_value ? 0 : PARAMETER_SERVER_NO_CONTEXT;
    }
    if (span_equal_text(name, "client_no_context_takeover")) {
        return has_value ? 0 : PARAMETER_CLIENT_NO_CONTEXT;
    }
    if (span_equal_text(name, "server_max_window_bits")) {
        return has_value && read_window(value) >= WEBSOCKET_DEFLATE_WINDOW_BITS ? PARAMETER_SERVER_WINDOW : 0;
    }
    if (span_equal_text(name, "client_max_window_bits")) {
        return !has_value || read_window(value) != 0 ? PARAMETER_CLIENT_WINDOW : 0;
    }
    return 0;
}

/* False: this is no list of extensions. */
static bool read_parameter(struct cursor *at, struct offer *offer) {
    struct span value = SPAN_EMPTY;
    struct span name = take_token(at);
    bool has_value = take(at, '=');
    if (name.size == 0 || (has_value && !take_value(at, &value))) {
        return false;
    }
    enum parameter parameter = find_parameter(name, has_value, value);
    offer->is_sound = offer->is_sound && parameter != 0 && (offer->parameters & parameter) == 0;
    offer->parameters |= parameter;
    return true;
}

static bool read_offer(struct cursor *at, struct offer *ret_offer) {
    struct span name = take_token(at);
    *ret_offer = (struct offer){.is_deflate = span_equal_text(name, "permessage-deflate"), .is_sound = true};
    bool is_extension = name.size > 0;
    while (is_extension && take(at, ';')) {
        is_extension = read_parameter(at, ret_offer);
    }
    return is_extension;
}

bool websocket_offers_choose(struct span list, struct websocket_agreement *ret_agreement) {
    struct cursor at = cursor_of(list);
    bool is_agreed = false;
    *ret_agreement = (struct websocket_agreement){0};
    do {
        struct offer offer;
        if (!read_offer(&at, &offer)) {
            return false;
        }
        ret_agreement->n_offers += offer.is_deflate;
        if (offer.is_deflate && offer.is_sound && !is_agreed) {
            is_agreed = true;
            ret_agreement->tells_window = (offer.parameters & PARAMETER_SERVER_WINDOW) != 0;
        }
    } while (take(&at, ','));
    return is_agreed && at.left == 0;
}

const char *websocket_agreement_parameters(const struct websocket_agreement *agreement) {
    return agreement->tells_window ? terms_with_window : terms;
}
