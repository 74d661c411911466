/* See backend_methods.h. */
#include "broker/backend/backend_methods.h"

static const struct backend_method_list *const lists[] = {
    &backend_publish_methods, &backend_read_methods,  &backend_subscription_methods, &backend_info_methods,
    &backend_session_methods, &backend_batch_methods, &backend_worker_methods,       &backend_lease_methods,
    &backend_kv_methods,      &backend_rpc_methods,
};

const struct backend_method *backend_method_find(struct span name) {
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t j = 0; j < lists[i]->n; j++) {
            if (span_equal_text(name, lists[i]->rows[j].name)) {
                return &lists[i]->rows[j];
            }
        }
    }
    return NULL;
}
