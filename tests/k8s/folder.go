// What a folder's objects are to each other: found by kind and name, and the pods that they make.
package main

import (
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A pod as some object's template makes it.
type pod struct {
	owner    *object
	selector *meta.LabelSelector // of the owner; nil: it has none
	meta     *meta.ObjectMeta
	spec     *core.PodSpec
	claims   []core.PersistentVolumeClaim // a StatefulSet's
	standing bool                         // it stays, so Services, budgets, policies may mean it
}

type folder struct {
	objects []*object
	byID    map[string]*object
	pods    []*pod
	given   given // what others make
}

func newFolder(objects []*object, given given) *folder {
	f := &folder{objects: objects, byID: map[string]*object{}, given: given}
	for _, o := range objects {
		f.byID[o.id()] = o
		switch typed := o.Object.(type) {
		case *apps.Deployment:
			f.add(&pod{owner: o, selector: typed.Spec.Selector, standing: true}, &typed.Spec.Template)
		case *apps.StatefulSet:
			f.add(&pod{owner: o, selector: typed.Spec.Selector, claims: typed.Spec.VolumeClaimTemplates, standing: true}, &typed.Spec.Template)
		case *batch.Job:
			f.add(&pod{owner: o}, &typed.Spec.Template)
		case *batch.CronJob:
			f.add(&pod{owner: o}, &typed.Spec.JobTemplate.Spec.Template)
		case *core.Pod:
			f.pods = append(f.pods, &pod{owner: o, meta: &typed.ObjectMeta, spec: &typed.Spec})
		}
	}
	return f
}

func (f *folder) add(p *pod, template *core.PodTemplateSpec) {
	p.meta, p.spec = &template.ObjectMeta, &template.Spec
	f.pods = append(f.pods, p)
}

func (f *folder) podsOf(selector labels.Selector) []*pod {
	var found []*pod
	for _, p := range f.pods {
		if selector.Matches(labels.Set(p.meta.Labels)) {
			found = append(found, p)
		}
	}
	return found
}

func (f *folder) selectedBy(selector *meta.LabelSelector) []*pod {
	converted, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	return f.podsOf(converted)
}

func (f *folder) podsOfService(service *core.Service) []*pod {
	return f.podsOf(labels.SelectorFromSet(service.Spec.Selector))
}

// All of them: those that begin, and those that stay.
func (p *pod) containers() []*core.Container {
	var all []*core.Container
	for i := range p.spec.InitContainers {
		all = append(all, &p.spec.InitContainers[i])
	}
	for i := range p.spec.Containers {
		all = append(all, &p.spec.Containers[i])
	}
	return all
}

func (p *pod) portNamed(name string) *core.ContainerPort {
	for _, container := range p.containers() {
		for i, port := range container.Ports {
			if port.Name == name {
				return &container.Ports[i]
			}
		}
	}
	return nil
}

func (p *pod) portNumbered(number int32) *core.ContainerPort {
	for _, container := range p.containers() {
		for i, port := range container.Ports {
			if port.ContainerPort == number {
				return &container.Ports[i]
			}
		}
	}
	return nil
}
