// Pod Security "restricted", by the admission controller's own evaluator; and beyond it a read-only root, no token, no Secret in the open.
package main

import (
	core "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func securityFits(f *folder, report *report) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		report.add("", "", "%v", err)
		return
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, p := range f.pods {
		for _, result := range evaluator.EvaluatePod(restricted, p.meta, p.spec) {
			if !result.Allowed {
				report.about(p.owner, "Pod Security restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		if p.spec.AutomountServiceAccountToken == nil || *p.spec.AutomountServiceAccountToken {
			report.about(p.owner, "automountServiceAccountToken is not false")
		}
		if p.spec.EnableServiceLinks == nil || *p.spec.EnableServiceLinks {
			report.about(p.owner, "enableServiceLinks is not false: other Services would stand in the environment")
		}
		for _, container := range p.containers() {
			if context := container.SecurityContext; context == nil || context.ReadOnlyRootFilesystem == nil || !*context.ReadOnlyRootFilesystem {
				report.about(p.owner, "container %s: readOnlyRootFilesystem is not true", container.Name)
			}
		}
	}
	for _, o := range f.objects {
		if secret, is := o.Object.(*core.Secret); is && len(secret.Data)+len(secret.StringData) > 0 {
			report.about(o, "a Secret with its values")
		}
	}
}
