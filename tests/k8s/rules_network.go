// Ports from outside to the container, and the policies between.
package main

import (
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func portsFit(f *folder, report *report) {
	for _, p := range f.pods {
		names, numbers := map[string]bool{}, map[string]bool{}
		for _, container := range p.containers() {
			for _, port := range container.Ports {
				number := intstr.FromInt32(port.ContainerPort)
				key := number.String() + "/" + string(port.Protocol)
				if numbers[key] || port.Name != "" && names[port.Name] {
					report.about(p.owner, "port %s %s stands here twice", port.Name, key)
				}
				names[port.Name], numbers[key] = true, true
				if problems := validation.IsValidPortName(port.Name); port.Name != "" && len(problems) > 0 {
					report.about(p.owner, "port %s: %v", port.Name, problems)
				}
			}
		}
	}
	for _, o := range f.objects {
		switch typed := o.Object.(type) {
		case *core.Service:
			servicePortsFit(f, o, typed, report)
		case *monitoring.PodMonitor:
			for _, endpoint := range typed.Spec.PodMetricsEndpoints {
				for _, p := range f.selectedBy(&typed.Spec.Selector) {
					if endpoint.Port == nil || p.portNamed(*endpoint.Port) == nil {
						report.about(o, "podMetricsEndpoints: %s has no port of this name", p.owner.id())
					}
				}
				if authorization := endpoint.Authorization; authorization != nil && authorization.Credentials != nil {
					id := "Secret/" + authorization.Credentials.Name
					if keys, is := f.keysOf(id); !is || !keys[authorization.Credentials.Key] {
						report.about(o, "podMetricsEndpoints: authorization: there is no %s with the key %s", id, authorization.Credentials.Key)
					}
				}
			}
		}
	}
}

func servicePortsFit(f *folder, o *object, service *core.Service, report *report) {
	names := map[string]bool{}
	for _, port := range service.Spec.Ports {
		if names[port.Name] {
			report.about(o, "port %q stands here twice", port.Name)
		}
		names[port.Name] = true
		target := port.TargetPort
		if target == (intstr.IntOrString{}) {
			target = intstr.FromInt32(port.Port)
		}
		for _, p := range f.podsOfService(service) {
			mine := p.portFor(target)
			switch {
			case mine == nil:
				report.about(o, "port %s: targetPort: %s has no port %s", port.Name, p.owner.id(), target.String())
			case port.Protocol != "" && mine.Protocol != "" && port.Protocol != mine.Protocol:
				report.about(o, "port %s is %s, that of %s is %s", port.Name, port.Protocol, p.owner.id(), mine.Protocol)
			case service.Spec.ClusterIP == core.ClusterIPNone && mine.ContainerPort != port.Port:
				report.about(o, "port %s: %d is not %d of the pods, and nothing translates before a headless Service", port.Name, port.Port, mine.ContainerPort)
			}
		}
	}
}

func (p *pod) portFor(target intstr.IntOrString) *core.ContainerPort {
	if target.Type == intstr.String {
		return p.portNamed(target.StrVal)
	}
	return p.portNumbered(target.IntVal)
}

// A port that a policy opens is one that the pods have.
func policiesFit(f *folder, report *report) {
	for _, o := range f.objects {
		policy, is := o.Object.(*networking.NetworkPolicy)
		if !is {
			continue
		}
		mine := f.selectedBy(&policy.Spec.PodSelector)
		for _, rule := range policy.Spec.Ingress {
			policyPortsFit(o, "ingress", mine, rule.Ports, report)
			for _, from := range rule.From {
				f.peerFits(o, from, report)
			}
		}
		for _, rule := range policy.Spec.Egress {
			for _, to := range rule.To {
				if f.peerFits(o, to, report) {
					policyPortsFit(o, "egress", f.selectedBy(to.PodSelector), rule.Ports, report)
				}
			}
		}
	}
}

// true: it means pods of this folder alone.
func (f *folder) peerFits(o *object, peer networking.NetworkPolicyPeer, report *report) bool {
	if peer.PodSelector == nil || peer.NamespaceSelector != nil || peer.PodSelector.MatchLabels["app.kubernetes.io/name"] != "callboard" {
		return false
	}
	meansSomeone(f, o, "peer", peer.PodSelector, report)
	return true
}

func policyPortsFit(o *object, direction string, pods []*pod, ports []networking.NetworkPolicyPort, report *report) {
	for _, port := range ports {
		for _, p := range pods {
			if port.Port != nil && port.EndPort == nil && p.portFor(*port.Port) == nil {
				report.about(o, "%s: %s has no port %s", direction, p.owner.id(), port.Port.String())
			}
		}
	}
}

// What stands before the gateways names a Service of the folder, and a port of it.
func edgeFits(f *folder, report *report) {
	for _, o := range f.objects {
		switch typed := o.Object.(type) {
		case *networking.Ingress:
			for _, rule := range typed.Spec.Rules {
				for _, path := range rule.HTTP.Paths {
					f.backendFits(o, path.Backend.Service.Name, path.Backend.Service.Port.Name, path.Backend.Service.Port.Number, report)
				}
			}
			for _, tls := range typed.Spec.TLS {
				_, isGiven := f.keysOf("Secret/" + tls.SecretName)
				if typed.Annotations["cert-manager.io/issuer"] == "" && typed.Annotations["cert-manager.io/cluster-issuer"] == "" && !isGiven {
					report.about(o, "tls: there is no Secret/%s, and nobody is said to make it", tls.SecretName)
				}
			}
		case *gateway.HTTPRoute:
			for _, rule := range typed.Spec.Rules {
				for _, backend := range rule.BackendRefs {
					if backend.Port == nil {
						report.about(o, "backendRefs: a Service needs a port")
					} else {
						f.backendFits(o, string(backend.Name), "", int32(*backend.Port), report)
					}
				}
			}
		case *backendPolicy:
			if f.byID["Service/"+typed.Spec.TargetRef.Name] == nil {
				report.about(o, "targetRef: there is no Service/%s", typed.Spec.TargetRef.Name)
			}
		}
	}
}

func (f *folder) backendFits(o *object, name, portName string, port int32, report *report) {
	found := f.byID["Service/"+name]
	if found == nil {
		report.about(o, "backend: there is no Service/%s", name)
		return
	}
	for _, mine := range found.Object.(*core.Service).Spec.Ports {
		if portName != "" && mine.Name == portName || portName == "" && mine.Port == port {
			return
		}
	}
	report.about(o, "backend: Service/%s has no port %s%d", name, portName, port)
}
