/* Prints docs/config.md from the settings tables, so that the reference says what the programs do:
 *   print_config_docs > docs/config.md
 * The test tools.config_docs compares both. */
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <stdio.h>

int main(void) {
    static const struct config_table *const tables[] = {&gateway_config_table, &broker_config_table};
    struct buffer out;
    buffer_init(&out, 0);
    config_print_markdown(tables, sizeof tables / sizeof tables[0], &out);
    bool is_written = fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    buffer_finish(&out);
    return is_written ? 0 : 1;
}
