// Autoscalers: what they scale is there, and leaves the number to them.
package main

import (
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
)

func scalingFits(f *folder, report *report) {
	for _, o := range f.objects {
		switch typed := o.Object.(type) {
		case *autoscaling.HorizontalPodAutoscaler:
			target := typed.Spec.ScaleTargetRef
			f.scaledFits(o, target.Kind, target.Name, report)
			if typed.Spec.MinReplicas != nil && *typed.Spec.MinReplicas > typed.Spec.MaxReplicas {
				report.about(o, "minReplicas %d > maxReplicas %d", *typed.Spec.MinReplicas, typed.Spec.MaxReplicas)
			}
		case *scaledObject:
			kind := typed.Spec.ScaleTargetRef.Kind
			if kind == "" {
				kind = "Deployment"
			}
			f.scaledFits(o, kind, typed.Spec.ScaleTargetRef.Name, report)
		}
	}
}

func (f *folder) scaledFits(o *object, kind, name string, report *report) {
	found := f.byID[kind+"/"+name]
	if found == nil {
		report.about(o, "scaleTargetRef: there is no %s/%s", kind, name)
	} else if deployment, is := found.Object.(*apps.Deployment); is && deployment.Spec.Replicas != nil {
		report.about(o, "%s/%s has spec.replicas: each apply would take back what this set", kind, name)
	}
}
