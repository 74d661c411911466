/* See ctl_doctor_parts.h: ports that others connect to, and the backend API by a request. Where programs were named
 * with --broker or --gateway, the settings' own addresses are those of other machines and are left alone. */
#include "tools/ctl_doctor_parts.h"

#include "base/curve_keys.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <stdio.h>

enum { ENDPOINT_MAX = 300, ERROR_SIZE = 512 };
static const char BACKEND_DEFAULT[] = "tcp://127.0.0.1:7710";

/* ---- ports ---- */

static bool check_port(struct doctor *self, const char *endpoint, const char *setting) {
    char error[ERROR_SIZE];
    if (ctl_can_connect(endpoint, error, sizeof error)) {
        doctor_add(self, DOCTOR_PORT_BROKER, FINDING_FINE, endpoint, "%s can be reached", setting);
        return true;
    }
    doctor_add(self, DOCTOR_PORT_BROKER, FINDING_ERROR, endpoint, "%s cannot be reached: %s", setting, error);
    doctor_mend(self, "is the broker running there, does broker.endpoint say this port, and does the network let it "
                      "through?");
    return false;
}

/* As the gateway links: with its keys, or without. */
static void check_handshake(struct doctor *self, const struct gateway_config *config, const char *endpoint) {
    struct curve_keys own = {.public_text = ""};
    struct curve_keys broker = {.public_text = ""};
    char error[ERROR_SIZE];
    bool with_keys = config->curve_key_file[0] != '\0';
    if (with_keys && (!curve_keys_read(config->curve_key_file, true, &own, error, sizeof error) ||
                      !doctor_read_broker_key(config, &broker, error, sizeof error))) {
        return; /* told by keys.pair */
    }
    switch (doctor_shake_hands(endpoint, with_keys ? &own : NULL, broker.public_text)) {
    case DOCTOR_HANDSHAKE_DONE:
        doctor_add(self, DOCTOR_PORT_HANDSHAKE, FINDING_FINE, endpoint, "it takes a link %s",
                   with_keys ? "with the gateway's keys" : "without keys");
        break;
    case DOCTOR_HANDSHAKE_NOT_ALLOWED:
        doctor_add(self, DOCTOR_PORT_HANDSHAKE, FINDING_ERROR, endpoint, "it does not allow the gateway's key");
        doctor_mend(self, "copy %s.pub into the brokers' broker.curve_allowed_dir", config->curve_key_file);
        break;
    case DOCTOR_HANDSHAKE_BROKEN_OFF:
    case DOCTOR_HANDSHAKE_SILENT:
        doctor_add(self, DOCTOR_PORT_HANDSHAKE, FINDING_ERROR, endpoint,
                   "it can be reached, but the handshake %s comes to nothing",
                   with_keys ? "with the gateway's keys" : "without keys");
        doctor_mend(self, with_keys
                              ? "is brokers.curve_broker_key the public key of that broker (broker.curve_key_file), "
                                "and is it a broker's port?"
                              : "does that broker ask for keys (then set brokers.curve_key_file and "
                                "brokers.curve_broker_key), and is it a broker's port?");
        break;
    }
    curve_keys_wipe(&own);
}

static void check_public(struct doctor *self, const struct gateway_config *config) {
    char base[ENDPOINT_MAX];
    struct ctl_page page;
    bool is_v6 = strchr(config->http_address, ':') != NULL;
    if (config->http_port == 0) {
        return; /* any free one: nobody can know it here */
    }
    snprintf(base, sizeof base, "http://%s%s%s:%lld", is_v6 ? "[" : "", config->http_address, is_v6 ? "]" : "",
             (long long) config->http_port);
    ctl_page_get(&page, base, "/health", "");
    if (page.status == 200) {
        doctor_add(self, DOCTOR_PORT_PUBLIC, FINDING_FINE, base, "it answers");
    } else if (page.status == 0) {
        doctor_add(self, DOCTOR_PORT_PUBLIC, FINDING_ERROR, base, "the public port does not answer: %s", page.error);
        doctor_mend(self, "is the gateway running, with http.address and http.port as here?");
    } else {
        doctor_add(self, DOCTOR_PORT_PUBLIC, FINDING_ERROR, base, "the public port answers /health with %u",
                   page.status);
        doctor_mend(self, "look at gateway.health; where it is fine, another program has this port");
    }
    ctl_page_finish(&page);
}

void doctor_check_ports(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        if (source->is_redis_only) {
            continue;
        }
        if (source->program == DOCTOR_BROKER && self->brokers.n == 0) {
            check_port(self, source->broker->endpoint, "broker.endpoint");
        }
        for (size_t k = 0; source->program == DOCTOR_GATEWAY && k < source->gateway->brokers.n; k++) {
            const char *endpoint = source->gateway->brokers.texts[k];
            if (check_port(self, endpoint, "brokers.endpoints")) {
                check_handshake(self, source->gateway, endpoint);
            }
        }
        if (source->gateway != NULL && self->gateways.n == 0) {
            check_public(self, source->gateway);
        }
    }
}

/* ---- the backend API ---- */

static void ask_backend(struct doctor *self, const struct backend_client_options *options) {
    char error[ERROR_SIZE];
    backend_client_t *client = backend_client_new(options, error, sizeof error);
    if (client == NULL) {
        doctor_add(self, DOCTOR_BACKEND, FINDING_ERROR, options->endpoint, "%s", error);
        doctor_mend(self, "correct --endpoint, --curve-key or --curve-broker-key (before the command)");
        return;
    }
    struct backend_reply reply;
    switch (backend_client_request(client, "info", SPAN_LITERAL("{}"), NULL, DOCTOR_WAIT_MS, &reply)) {
    case BACKEND_OK:
        doctor_add(self, DOCTOR_BACKEND, FINDING_FINE, options->endpoint, "it answers info");
        break;
    case BACKEND_ERROR:
        doctor_add(self, DOCTOR_BACKEND, FINDING_ERROR, options->endpoint, "info is answered with an error: %.*s",
                   (int) reply.body.size, (const char *) reply.body.data);
        doctor_mend(self, "look at broker.health, and docs/backend-api.md for the code");
        break;
    case BACKEND_TIMEOUT:
        doctor_add(self, DOCTOR_BACKEND, FINDING_ERROR, options->endpoint, "no answer to info in 2 s");
        doctor_mend(self, "is the broker running with this backend.endpoint? Where it asks for CURVE keys, is ours in "
                          "backend.curve_allowed_dir, and --curve-broker-key the right one?");
        break;
    case BACKEND_EVENT:
    case BACKEND_PROTOCOL:
        doctor_add(self, DOCTOR_BACKEND, FINDING_ERROR, options->endpoint,
                   "what answers does not speak the backend API");
        doctor_mend(self, "name backend.endpoint (7710), not broker.endpoint (7700)");
        break;
    }
    backend_client_destroy(&client);
}

/* What listens on every address is asked on the loopback. */
static void reachable_endpoint(const char *endpoint, char *ret_endpoint, size_t size) {
    static const char *const wildcards[] = {"tcp://0.0.0.0:", "tcp://*:"};
    for (size_t i = 0; i < sizeof wildcards / sizeof *wildcards; i++) {
        size_t length = strlen(wildcards[i]);
        if (strncmp(endpoint, wildcards[i], length) == 0) {
            snprintf(ret_endpoint, size, "tcp://127.0.0.1:%s", endpoint + length);
            return;
        }
    }
    snprintf(ret_endpoint, size, "%s", endpoint);
}

static void check_source_backend(struct doctor *self, const struct doctor_source *source) {
    struct backend_client_options options = self->options->client;
    char endpoint[ENDPOINT_MAX];
    const char *key_file = source->broker->backend_curve_key_file;
    bool has_own_key = options.curve_key_file != NULL && options.curve_key_file[0] != '\0';
    reachable_endpoint(source->broker->backend_endpoint, endpoint, sizeof endpoint);
    options.endpoint = endpoint;
    if (key_file[0] != '\0' && !has_own_key) {
        doctor_add(self, DOCTOR_BACKEND, FINDING_UNKNOWN, endpoint, "it asks for CURVE keys, and none is given here");
        doctor_mend(self,
                    "callboardctl --curve-key FILE --curve-broker-key %s.pub doctor …, with a key of "
                    "backend.curve_allowed_dir",
                    key_file);
        return;
    }
    if (key_file[0] == '\0') {
        options.curve_key_file = NULL;
    } else if (options.curve_broker_key == NULL || options.curve_broker_key[0] == '\0') {
        options.curve_broker_key = key_file; /* its public half */
    }
    ask_backend(self, &options);
}

void doctor_check_backend(struct doctor *self) {
    bool is_named = strcmp(self->options->client.endpoint, BACKEND_DEFAULT) != 0;
    if (is_named) {
        ask_backend(self, &self->options->client);
        return;
    }
    for (size_t i = 0; i < self->n_sources && self->brokers.n == 0; i++) {
        const struct doctor_source *source = &self->sources[i];
        if (source->broker != NULL && !source->is_redis_only && source->broker->backend_endpoint[0] != '\0') {
            check_source_backend(self, source);
        }
    }
}
