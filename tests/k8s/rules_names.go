// Names, labels, namespaces: what the API server or a controller would refuse, and what later breaks.
package main

import (
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The longest name of a StatefulSet: its pods' label controller-revision-hash is the name, a hyphen and ten more, and a label's value ends at 63.
const statefulSetNameMax = 52

func namesFit(f *folder, report *report) {
	seen := map[string]bool{}
	namespaces := map[string]bool{}
	for _, o := range f.objects {
		if o.kind == "Kustomization" {
			continue
		}
		if seen[o.id()] {
			report.about(o, "stands here twice")
		}
		seen[o.id()] = true
		namespaces[o.GetNamespace()] = true
		nameFits(o, report)
		for key, value := range o.GetLabels() {
			if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
				report.about(o, "label %s: %q: %v", key, value, problems)
			}
		}
		for key := range o.GetAnnotations() {
			if problems := validation.IsQualifiedName(key); len(problems) > 0 {
				report.about(o, "annotation %s: %v", key, problems)
			}
		}
	}
	if len(namespaces) > 1 {
		report.add(filepath.Dir(f.objects[0].file), "", "objects in %d namespaces", len(namespaces))
	}
	for _, p := range f.pods {
		for key, value := range p.meta.Labels {
			if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
				report.about(p.owner, "pod label %s: %q: %v", key, value, problems)
			}
		}
	}
}

func nameFits(o *object, report *report) {
	name := o.GetName()
	problems := validation.IsDNS1123Subdomain(name)
	if o.kind == "Service" {
		problems = validation.IsDNS1035Label(name)
	}
	if len(problems) > 0 {
		report.about(o, "metadata.name: %v", problems)
	}
	if len(name) > validation.DNS1123LabelMaxLength {
		report.about(o, "metadata.name has %d characters, 63 are all that names and labels made of it hold", len(name))
	}
	if o.kind == "StatefulSet" && len(name) > statefulSetNameMax {
		report.about(o, "metadata.name has %d characters, its pods' labels hold %d", len(name), statefulSetNameMax)
	}
}

func kustomizeFits(f *folder, report *report) {
	for _, o := range f.objects {
		list, is := o.Object.(*kustomization)
		if !is {
			continue
		}
		for _, resource := range list.Resources {
			if _, err := os.Stat(filepath.Join(filepath.Dir(o.file), resource)); err != nil {
				report.about(o, "resources: %s is not there", resource)
			}
		}
		for _, other := range f.objects {
			if other != o && filepath.Dir(other.file) == filepath.Dir(o.file) && !slices.Contains(list.Resources, filepath.Base(other.file)) {
				report.about(o, "resources: %s is left out", filepath.Base(other.file))
			}
		}
	}
}
