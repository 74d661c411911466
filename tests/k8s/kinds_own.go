// Kinds whose own Go types are too heavy to build here (KEDA's need 600 packages) or are published as no module (Google's): the fields that
// Callboard sets, by their documentation, and no other. tests/cluster holds ScaledObjects to KEDA's own schema.
package main

import (
	autoscaling "k8s.io/api/autoscaling/v2"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// https://keda.sh/docs/latest/reference/scaledobject-spec/
type scaledObject struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		ScaleTargetRef struct {
			APIVersion string `json:"apiVersion,omitempty"`
			Kind       string `json:"kind,omitempty"`
			Name       string `json:"name"`
		} `json:"scaleTargetRef"`
		PollingInterval *int32 `json:"pollingInterval,omitempty"`
		CooldownPeriod  *int32 `json:"cooldownPeriod,omitempty"`
		MinReplicaCount *int32 `json:"minReplicaCount,omitempty"`
		MaxReplicaCount *int32 `json:"maxReplicaCount,omitempty"`
		Advanced        *struct {
			HorizontalPodAutoscalerConfig *struct {
				Name     string                                       `json:"name,omitempty"`
				Behavior *autoscaling.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
			} `json:"horizontalPodAutoscalerConfig,omitempty"`
		} `json:"advanced,omitempty"`
		Triggers []struct {
			Type       string            `json:"type"`
			MetricType string            `json:"metricType,omitempty"`
			Metadata   map[string]string `json:"metadata"` // all of them texts, numbers too
		} `json:"triggers"`
	} `json:"spec"`
}

// https://cloud.google.com/kubernetes-engine/docs/how-to/ingress-configuration
type backendConfig struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		TimeoutSec         *int64       `json:"timeoutSec,omitempty"`
		ConnectionDraining *gkeDraining `json:"connectionDraining,omitempty"`
		HealthCheck        *struct {
			CheckIntervalSec   *int64  `json:"checkIntervalSec,omitempty"`
			TimeoutSec         *int64  `json:"timeoutSec,omitempty"`
			HealthyThreshold   *int64  `json:"healthyThreshold,omitempty"`
			UnhealthyThreshold *int64  `json:"unhealthyThreshold,omitempty"`
			Type               *string `json:"type,omitempty"`
			Port               *int64  `json:"port,omitempty"`
			RequestPath        *string `json:"requestPath,omitempty"`
		} `json:"healthCheck,omitempty"`
	} `json:"spec"`
}

// https://cloud.google.com/kubernetes-engine/docs/how-to/configure-gateway-resources
type backendPolicy struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Default *struct {
			TimeoutSec         *int64       `json:"timeoutSec,omitempty"`
			ConnectionDraining *gkeDraining `json:"connectionDraining,omitempty"`
		} `json:"default,omitempty"`
		TargetRef struct {
			Group string `json:"group"`
			Kind  string `json:"kind"`
			Name  string `json:"name"`
		} `json:"targetRef"`
	} `json:"spec"`
}

type healthCheckPolicy struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Default *struct {
			Config *struct {
				Type             string     `json:"type"`
				HTTPHealthCheck  *gkeHealth `json:"httpHealthCheck,omitempty"`
				HTTPSHealthCheck *gkeHealth `json:"httpsHealthCheck,omitempty"`
			} `json:"config,omitempty"`
		} `json:"default,omitempty"`
		TargetRef struct {
			Group string `json:"group"`
			Kind  string `json:"kind"`
			Name  string `json:"name"`
		} `json:"targetRef"`
	} `json:"spec"`
}

type gkeHealth struct {
	PortSpecification string `json:"portSpecification,omitempty"`
	RequestPath       string `json:"requestPath,omitempty"`
}

type gkeDraining struct {
	DrainingTimeoutSec *int64 `json:"drainingTimeoutSec,omitempty"`
}

type kustomization struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Resources       []string `json:"resources"`
}
