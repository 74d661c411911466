/* See agent_template.h. Failures: a place of an unknown name, a secret that is not there or empty, or that has bytes no
 * password line may have (a line feed in the middle could begin another directive: what is quoted is escaped, and what
 * is hashed is hashed line by line). */
#include "operator/agent/agent_template.h"

#include <stdio.h>

#include <openssl/evp.h>

enum { NAME_MAX_BYTES = 128, ACL_PASSWORDS_MAX = 8, SECRET_MAX = 64 * 1024 };

struct filling {
    struct buffer *out;
    const struct agent_template_values *values;
    char *error;
    size_t error_size;
    unsigned line;
};

static bool fail(struct filling *f, const char *what, const char *name) {
    snprintf(f->error, f->error_size, "line %u: %s%s", f->line, what, name);
    return false;
}

static bool append_digest(struct buffer *out, const EVP_MD *kind, struct span bytes) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes.size == 0 ? "" : (const void *) bytes.data, bytes.size, digest, &size, kind, NULL) != 1) {
        return false;
    }
    for (unsigned i = 0; i < size; i++) {
        buffer_append_format(out, "%02x", digest[i]);
    }
    return true;
}

/* ---- secrets ---- */

static struct span next_line(struct span *rest) {
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    struct span line = span_of(rest->data, end == NULL ? rest->size : (size_t) (end - rest->data));
    size_t taken = end == NULL ? line.size : line.size + 1;
    *rest = span_of(rest->data + taken, rest->size - taken);
    while (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

/* In double quotes, as redis.conf reads them: everything that is not plain is written \xHH. */
static void append_quoted(struct buffer *out, struct span text) {
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F || text.data[i] == '"' || text.data[i] == '\\') {
            buffer_append_format(out, "\\x%02x", text.data[i]);
        } else {
            buffer_append_char(out, (char) text.data[i]);
        }
    }
    buffer_append_char(out, '"');
}

static bool fill_acl(struct filling *f, struct span secret, const char *name) {
    unsigned passwords = 0;
    while (secret.size > 0) {
        struct span line = next_line(&secret);
        if (line.size == 0) {
            continue;
        }
        if (passwords == ACL_PASSWORDS_MAX) {
            return fail(f, "more than 8 passwords in the secret ", name);
        }
        buffer_append_text(f->out, passwords++ == 0 ? "#" : " #");
        if (!append_digest(f->out, EVP_sha256(), line)) {
            return fail(f, "SHA-256 is not to be had for the secret ", name);
        }
    }
    return passwords > 0 || fail(f, "no password in the secret ", name);
}

static bool fill_secret(struct filling *f, const char *name, bool is_acl) {
    struct buffer secret;
    char why[256] = "";
    buffer_init(&secret, SECRET_MAX);
    bool is_filled = false;
    if (!f->values->read_secret(f->values->context, name, &secret, why, sizeof why)) {
        (void) fail(f, why, "");
    } else if (is_acl) {
        is_filled = fill_acl(f, buffer_span(&secret), name);
    } else {
        struct span rest = buffer_span(&secret);
        struct span line = next_line(&rest);
        is_filled = line.size > 0 || fail(f, "an empty first line in the secret ", name);
        append_quoted(f->out, line);
    }
    if (secret.size > 0) {
        explicit_bzero(secret.data, secret.size);
    }
    buffer_finish(&secret);
    return is_filled;
}

/* ---- places ---- */

static bool fill_text(struct filling *f, const char *value, const char *name) {
    if (value == NULL || value[0] == '\0') {
        return fail(f, "nothing was given for ", name);
    }
    for (const char *c = value; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7F || *c == '"' || *c == '\'' || *c == '\\') {
            return fail(f, "white space, quotes or controls in ", name);
        }
    }
    buffer_append_text(f->out, value);
    return true;
}

static bool fill_id(struct filling *f) {
    struct buffer name = BUFFER_EMPTY;
    buffer_append_format(&name, "%s/%s", f->values->pod_namespace, f->values->pod_name);
    bool is_filled = append_digest(f->out, EVP_sha1(), buffer_span(&name));
    buffer_finish(&name);
    return is_filled || fail(f, "SHA-1 is not to be had for ", "sentinel-id");
}

static bool fill_own(struct filling *f) {
    buffer_append_char(f->out, '#');
    return append_digest(f->out, EVP_sha256(), span_of_text(f->values->own_password)) ||
           fail(f, "SHA-256 is not to be had for ", "own-acl");
}

static bool fill_place(struct filling *f, const char *name) {
    if (strncmp(name, "secret:", 7) == 0) {
        return fill_secret(f, name + 7, false);
    }
    if (strncmp(name, "acl:", 4) == 0) {
        return fill_secret(f, name + 4, true);
    }
    if (strcmp(name, "pod-name") == 0) {
        return fill_text(f, f->values->pod_name, name);
    }
    if (strcmp(name, "pod-ip") == 0) {
        return fill_text(f, f->values->pod_ip, name);
    }
    if (strcmp(name, "pod-fqdn") == 0) {
        return fill_text(f, f->values->pod_fqdn, name);
    }
    if (strcmp(name, "ordinal") == 0) {
        return buffer_append_u64_decimal(f->out, f->values->ordinal);
    }
    if (strcmp(name, "own-acl") == 0 && f->values->own_password != NULL) {
        return fill_own(f);
    }
    if (strcmp(name, "sentinel-id") == 0) {
        return f->values->pod_name != NULL ? fill_id(f) : fail(f, "nothing was given for ", "pod-name");
    }
    return fail(
        f, "no such place (pod-name, pod-ip, pod-fqdn, ordinal, sentinel-id, own-acl, secret:NAME, acl:NAME): ", name);
}

/* `text` begins with ${; moves it behind the }. */
static bool fill_next(struct filling *f, struct span *text) {
    char name[NAME_MAX_BYTES];
    const uint8_t *close = memchr(text->data, '}', text->size);
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = close == NULL ? NAME_MAX_BYTES : (size_t) (close - text->data) - 2;
    if (size >= NAME_MAX_BYTES || (end != NULL && end < close)) {
        return fail(f, "a place that begins with ${ and does not end with }", "");
    }
    memcpy(name, text->data + 2, size);
    name[size] = '\0';
    *text = span_of(close + 1, text->size - size - 3);
    return fill_place(f, name);
}

bool agent_template_fill(struct buffer *out, struct span text, const struct agent_template_values *values,
                         char *ret_error, size_t error_size) {
    struct filling f = {.out = out, .values = values, .error = ret_error, .error_size = error_size, .line = 1};
    while (text.size > 0) {
        if (text.size >= 2 && text.data[0] == '$' && text.data[1] == '{') {
            if (!fill_next(&f, &text)) {
                return false;
            }
            continue;
        }
        f.line += text.data[0] == '\n';
        buffer_append_char(out, (char) text.data[0]);
        text = span_of(text.data + 1, text.size - 1);
    }
    return true;
}
