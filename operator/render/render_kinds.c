/* A test renders the examples and looks whether a kind is missing here. */
#include "operator/render/render_kinds.h"

static const struct render_kind kinds[] = {
    {"networking.k8s.io/v1", "NetworkPolicy"},
    {"policy/v1", "PodDisruptionBudget"},
    {"v1", "ServiceAccount"},
    {"v1", "ConfigMap"},
    {"v1", "Service"},
    {"apps/v1", "Deployment"},
    {"autoscaling/v2", "HorizontalPodAutoscaler"},
    {"apps/v1", "StatefulSet"},
    {"batch/v1", "CronJob"},
    {"networking.k8s.io/v1", "Ingress"},
    {"cloud.google.com/v1", "BackendConfig"},
    {"cert-manager.io/v1", "Certificate"},
    {"networking.gke.io/v1", "GCPBackendPolicy"},
    {"networking.gke.io/v1", "HealthCheckPolicy"},
    {"gateway.networking.k8s.io/v1", "HTTPRoute"},
    {"monitoring.coreos.com/v1", "PodMonitor"},
    {"monitoring.coreos.com/v1", "PrometheusRule"},
    {"keda.sh/v1alpha1", "ScaledObject"},
};

const struct render_kind *render_kinds(size_t *ret_n) {
    *ret_n = sizeof kinds / sizeof kinds[0];
    return kinds;
}
