// Who means whom: every selector means pods that the folder makes, and a workload's means its own.
package main

import (
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func selectorsFit(f *folder, report *report) {
	for _, p := range f.pods {
		ownSelectorFits(f, p, report)
		for _, constraint := range p.spec.TopologySpreadConstraints {
			meansSomeone(f, p.owner, "topologySpreadConstraints", constraint.LabelSelector, report)
		}
		for _, selector := range affinitySelectors(p.spec.Affinity) {
			meansSomeone(f, p.owner, "affinity", selector, report)
		}
	}
	for _, o := range f.objects {
		switch typed := o.Object.(type) {
		case *core.Service:
			if len(typed.Spec.Selector) > 0 && len(f.podsOfService(typed)) == 0 {
				report.about(o, "spec.selector means no pod of this folder")
			}
		case *policy.PodDisruptionBudget:
			meansSomeone(f, o, "spec.selector", typed.Spec.Selector, report)
			budgetFits(o, typed, report)
		case *networking.NetworkPolicy:
			meansSomeone(f, o, "spec.podSelector", &typed.Spec.PodSelector, report)
		case *monitoring.PodMonitor:
			meansSomeone(f, o, "spec.selector", &typed.Spec.Selector, report)
		}
	}
}

func meansSomeone(f *folder, o *object, where string, selector *meta.LabelSelector, report *report) {
	if selector == nil {
		report.about(o, "%s: there is no selector", where)
	} else if _, err := meta.LabelSelectorAsSelector(selector); err != nil {
		report.about(o, "%s: %v", where, err)
	} else if len(f.selectedBy(selector)) == 0 {
		report.about(o, "%s means no pod of this folder: %s", where, meta.FormatLabelSelector(selector))
	}
}

// A workload that means another's pods as well fights over them.
func ownSelectorFits(f *folder, p *pod, report *report) {
	if p.selector == nil {
		if p.standing {
			report.about(p.owner, "spec.selector: there is none")
		}
		return
	}
	selector, err := meta.LabelSelectorAsSelector(p.selector)
	if err != nil {
		report.about(p.owner, "spec.selector: %v", err)
		return
	}
	if !selector.Matches(labels.Set(p.meta.Labels)) {
		report.about(p.owner, "spec.selector %s does not match its own template's labels", selector)
	}
	for _, other := range f.podsOf(selector) {
		if other != p {
			report.about(p.owner, "spec.selector means the pods of %s, too", other.owner.id())
		}
	}
}

func affinitySelectors(affinity *core.Affinity) []*meta.LabelSelector {
	var selectors []*meta.LabelSelector
	if affinity == nil || affinity.PodAntiAffinity == nil {
		return nil
	}
	for _, term := range affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		selectors = append(selectors, term.LabelSelector)
	}
	for _, term := range affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		selectors = append(selectors, term.PodAffinityTerm.LabelSelector)
	}
	return selectors
}

func budgetFits(o *object, budget *policy.PodDisruptionBudget, report *report) {
	if (budget.Spec.MinAvailable == nil) == (budget.Spec.MaxUnavailable == nil) {
		report.about(o, "spec: one of minAvailable and maxUnavailable is needed")
	} else if most := budget.Spec.MaxUnavailable; most != nil && most.String() != "" && (most.String() == "0" || most.String() == "0%") {
		report.about(o, "spec.maxUnavailable: none may go, so nodes cannot be drained")
	}
}

// A StatefulSet's pods have names under its headless Service.
func workloadsFit(f *folder, report *report) {
	for _, o := range f.objects {
		set, is := o.Object.(*apps.StatefulSet)
		if !is {
			continue
		}
		found := f.byID["Service/"+set.Spec.ServiceName]
		if found == nil {
			report.about(o, "spec.serviceName: there is no Service/%s", set.Spec.ServiceName)
			continue
		}
		service := found.Object.(*core.Service)
		if service.Spec.ClusterIP != core.ClusterIPNone {
			report.about(o, "spec.serviceName: Service/%s is not headless", set.Spec.ServiceName)
		}
		if !service.Spec.PublishNotReadyAddresses {
			report.about(o, "spec.serviceName: Service/%s does not publish pods that are not ready: peers could not find each other", set.Spec.ServiceName)
		}
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(set.Spec.Template.Labels)) {
			report.about(o, "spec.serviceName: Service/%s does not mean its pods", set.Spec.ServiceName)
		}
	}
}
