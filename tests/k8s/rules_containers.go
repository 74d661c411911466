// Containers: their environment, the files that their configurations name, their probes, what they ask for.
package main

import (
	"path"
	"regexp"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What the downward API has for a variable.
var podFields = regexp.MustCompile(`^(metadata\.(name|namespace|uid|(labels|annotations)\['[^']+'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$`)

var variable = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)

func environmentFits(f *folder, report *report) {
	for _, p := range f.pods {
		for _, container := range p.containers() {
			set := map[string]bool{}
			for _, item := range container.Env {
				if set[item.Name] {
					report.about(p.owner, "container %s: env %s stands here twice", container.Name, item.Name)
				}
				namedVariablesAreSet(p, container, "env "+item.Name, item.Value, set, report)
				set[item.Name] = true
				f.variableFits(p, container, &item, report)
			}
			for _, word := range append(append([]string{}, container.Command...), container.Args...) {
				namedVariablesAreSet(p, container, "command", word, set, report)
			}
			for _, from := range container.EnvFrom {
				if from.SecretRef != nil {
					f.keyIsThere(p, "envFrom", "Secret/"+from.SecretRef.Name, "", from.SecretRef.Optional != nil && *from.SecretRef.Optional, report)
				}
			}
			resourcesFit(p, container, report)
		}
	}
}

func namedVariablesAreSet(p *pod, container *core.Container, where, text string, set map[string]bool, report *report) {
	for _, match := range variable.FindAllStringSubmatch(text, -1) {
		if !set[match[1]] {
			report.about(p.owner, "container %s: %s: %s is not set before", container.Name, where, match[0])
		}
	}
}

func (f *folder) variableFits(p *pod, container *core.Container, item *core.EnvVar, report *report) {
	where := "container " + container.Name + ": env " + item.Name
	if problems := validation.IsEnvVarName(item.Name); len(problems) > 0 {
		report.about(p.owner, "%s: %v", where, problems)
	}
	if item.ValueFrom == nil {
		return
	}
	if item.Value != "" {
		report.about(p.owner, "%s: both value and valueFrom", where)
	}
	if field := item.ValueFrom.FieldRef; field != nil && !podFields.MatchString(field.FieldPath) {
		report.about(p.owner, "%s: a pod has no field %s to take", where, field.FieldPath)
	}
	if key := item.ValueFrom.SecretKeyRef; key != nil {
		f.keyIsThere(p, where, "Secret/"+key.Name, key.Key, key.Optional != nil && *key.Optional, report)
	}
	if key := item.ValueFrom.ConfigMapKeyRef; key != nil {
		f.keyIsThere(p, where, "ConfigMap/"+key.Name, key.Key, key.Optional != nil && *key.Optional, report)
	}
}

func resourcesFit(p *pod, container *core.Container, report *report) {
	for name, asked := range container.Resources.Requests {
		if most, is := container.Resources.Limits[name]; is && asked.Cmp(most) > 0 {
			report.about(p.owner, "container %s: asks for %s %s and may have %s", container.Name, asked.String(), name, most.String())
		}
	}
}

// Absolute paths in commands, environment and mounted configurations: what lies in a mounted Secret or ConfigMap is one of its files.
var absolutePath = regexp.MustCompile(`(^|[\s"'=,\[])(/[A-Za-z0-9_.\-]+(?:/[A-Za-z0-9_.\-]+)*)`)

func pathsFit(f *folder, report *report) {
	for _, p := range f.pods {
		for _, container := range p.containers() {
			texts := append(append([]string{}, container.Command...), container.Args...)
			for _, item := range container.Env {
				texts = append(texts, item.Value)
			}
			files := map[string]map[string]bool{} // mount path → what is in it
			for _, mount := range container.VolumeMounts {
				contents, config, is := f.contentsOf(p, mount.Name)
				if is {
					files[mount.MountPath] = contents
				}
				texts = append(texts, config...)
			}
			for _, text := range texts {
				for _, match := range absolutePath.FindAllStringSubmatch(text, -1) {
					fileIsMounted(p, container, match[2], files, report)
				}
			}
		}
	}
}

func fileIsMounted(p *pod, container *core.Container, name string, files map[string]map[string]bool, report *report) {
	for mount, contents := range files {
		rest, below := strings.CutPrefix(name, mount+"/")
		if below && !contents[path.Clean(rest)] {
			report.about(p.owner, "container %s names %s; mounted there are %v", container.Name, name, sortedKeys(contents))
		}
	}
}

// The files and folders of a volume, and, of a ConfigMap, its texts. false: it is no volume of files that others made.
func (f *folder) contentsOf(p *pod, name string) (map[string]bool, []string, bool) {
	for _, volume := range p.spec.Volumes {
		if volume.Name != name {
			continue
		}
		id, items := "", []core.KeyToPath(nil)
		if volume.ConfigMap != nil {
			id, items = "ConfigMap/"+volume.ConfigMap.Name, volume.ConfigMap.Items
		} else if volume.Secret != nil {
			id, items = "Secret/"+volume.Secret.SecretName, volume.Secret.Items
		} else {
			return nil, nil, false
		}
		contents := map[string]bool{}
		for _, item := range items {
			for part := item.Path; part != "."; part = path.Dir(part) {
				contents[part] = true
			}
		}
		keys, is := f.keysOf(id)
		if len(items) == 0 {
			contents = keys
		}
		var texts []string
		if o := f.byID[id]; o != nil && volume.ConfigMap != nil {
			for _, text := range o.Object.(*core.ConfigMap).Data {
				texts = append(texts, text)
			}
		}
		return contents, texts, is || len(items) > 0
	}
	return nil, nil, false
}

func probesFit(f *folder, report *report) {
	for _, p := range f.pods {
		for _, container := range p.containers() {
			for name, probe := range map[string]*core.Probe{"startupProbe": container.StartupProbe, "livenessProbe": container.LivenessProbe, "readinessProbe": container.ReadinessProbe} {
				if probe == nil {
					continue
				}
				if get := probe.HTTPGet; get != nil && !isPortOf(container, get.Port) {
					report.about(p.owner, "container %s: %s: the container has no port %s", container.Name, name, get.Port.String())
				}
				if socket := probe.TCPSocket; socket != nil && !isPortOf(container, socket.Port) {
					report.about(p.owner, "container %s: %s: the container has no port %s", container.Name, name, socket.Port.String())
				}
			}
		}
	}
}

func isPortOf(container *core.Container, port intstr.IntOrString) bool {
	for _, mine := range container.Ports {
		if port.Type == intstr.String && mine.Name == port.StrVal || port.Type == intstr.Int && mine.ContainerPort == port.IntVal {
			return true
		}
	}
	return false
}
