/* What bench signs tokens with, from the configuration of the server that it loads. */
#include "tools/ctl.h"
#include "tools/ctl_bench_options.h"

#include "base/memory.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <stdio.h>

enum { CONFIG_FILE_MAX = 256 * 1024 };

/* The file may be a gateway's or the appliance's, so the broker's keys are known too. */
int bench_options_read_config(const char *file, struct bench_options *self) {
    struct gateway_config gateway = {.id = NULL};
    struct broker_config broker = {.id = NULL};
    struct config_part parts[] = {{&gateway_config_table, &gateway}, {&broker_config_table, &broker}};
    struct buffer text = BUFFER_EMPTY;
    struct buffer errors = BUFFER_EMPTY;
    const char *reason;
    int result = CTL_USAGE;
    if (!config_read_file(file, CONFIG_FILE_MAX, &text, &reason)) {
        fprintf(stderr, "callboardctl bench: cannot read %s: %s\n", file, reason);
        buffer_finish(&text);
        return CTL_USAGE;
    }
    struct config_source source = {.file_name = file, .file_text = buffer_span(&text)};
    if (!config_read(parts, 2, &source, &errors)) {
        fwrite(errors.data, 1, errors.size, stderr);
    } else if (gateway.token.secret[0] == '\0') {
        fprintf(stderr, "callboardctl bench: %s has neither token.secret nor token.secret_file\n", file);
    } else {
        buffer_append_text(&self->secret, gateway.token.secret);
        self->plan.algorithm = (int) gateway.token.algorithm;
        self->audience = memory_strdup(gateway.token.audience);
        self->issuer = memory_strdup(gateway.token.issuer);
        result = CTL_DONE;
    }
    config_finish(parts, 2);
    buffer_finish(&errors);
    buffer_finish(&text);
    return result;
}
