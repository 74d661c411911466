// The kinds that objects may be of, with the Go types that their own APIs are written in. What is of no kind here is refused: a new one
// needs its type first.
package main

import (
	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

var kinds = map[string]func() meta.Object{
	"v1 ConfigMap":                                  func() meta.Object { return &core.ConfigMap{} },
	"v1 PersistentVolumeClaim":                      func() meta.Object { return &core.PersistentVolumeClaim{} },
	"v1 Pod":                                        func() meta.Object { return &core.Pod{} },
	"v1 Secret":                                     func() meta.Object { return &core.Secret{} },
	"v1 Service":                                    func() meta.Object { return &core.Service{} },
	"v1 ServiceAccount":                             func() meta.Object { return &core.ServiceAccount{} },
	"apps/v1 Deployment":                            func() meta.Object { return &apps.Deployment{} },
	"apps/v1 StatefulSet":                           func() meta.Object { return &apps.StatefulSet{} },
	"batch/v1 CronJob":                              func() meta.Object { return &batch.CronJob{} },
	"batch/v1 Job":                                  func() meta.Object { return &batch.Job{} },
	"autoscaling/v2 HorizontalPodAutoscaler":        func() meta.Object { return &autoscaling.HorizontalPodAutoscaler{} },
	"networking.k8s.io/v1 Ingress":                  func() meta.Object { return &networking.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":            func() meta.Object { return &networking.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":                 func() meta.Object { return &policy.PodDisruptionBudget{} },
	"rbac.authorization.k8s.io/v1 Role":             func() meta.Object { return &rbac.Role{} },
	"rbac.authorization.k8s.io/v1 RoleBinding":      func() meta.Object { return &rbac.RoleBinding{} },
	"monitoring.coreos.com/v1 PodMonitor":           func() meta.Object { return &monitoring.PodMonitor{} },
	"monitoring.coreos.com/v1 ServiceMonitor":       func() meta.Object { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule":       func() meta.Object { return &monitoring.PrometheusRule{} },
	"cert-manager.io/v1 Certificate":                func() meta.Object { return &certmanager.Certificate{} },
	"cert-manager.io/v1 Issuer":                     func() meta.Object { return &certmanager.Issuer{} },
	"gateway.networking.k8s.io/v1 HTTPRoute":        func() meta.Object { return &gateway.HTTPRoute{} },
	"keda.sh/v1alpha1 ScaledObject":                 func() meta.Object { return &scaledObject{} },
	"cloud.google.com/v1 BackendConfig":             func() meta.Object { return &backendConfig{} },
	"networking.gke.io/v1 GCPBackendPolicy":         func() meta.Object { return &backendPolicy{} },
	"networking.gke.io/v1 HealthCheckPolicy":        func() meta.Object { return &healthCheckPolicy{} },
	"kustomize.config.k8s.io/v1beta1 Kustomization": func() meta.Object { return &kustomization{} },
}
