/* Which keys a changed ConfigMap changes without a restart: the chart leaves them out of the checksum that rolls pods,
 * as `render` does. */
#include "operator/chart/chart_values.h"

#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

static void add_keys(manifest_t *top, const char *program, const struct config_table *table) {
    manifest_t *list = manifest_add_list(top, program);
    for (size_t i = 0; i < table->n_keys; i++) {
        if ((table->keys[i].flags & CONFIG_RELOADABLE) != 0) {
            manifest_append_text(list, table->keys[i].path);
        }
    }
}

manifest_t *chart_reloaded_keys(arena_t *arena) {
    manifest_t *top = manifest_map(arena);
    add_keys(top, "gateway", &gateway_config_table);
    add_keys(top, "broker", &broker_config_table);
    return top;
}
