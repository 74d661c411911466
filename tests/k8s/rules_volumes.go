// Volumes: each is mounted, each mount has one, and what they come from is there with its keys.
package main

import (
	"path"
	"sort"

	core "k8s.io/api/core/v1"
)

func volumesFit(f *folder, report *report) {
	for _, p := range f.pods {
		volumes, used := map[string]bool{}, map[string]bool{}
		for _, volume := range p.spec.Volumes {
			if volumes[volume.Name] {
				report.about(p.owner, "volume %s stands here twice", volume.Name)
			}
			volumes[volume.Name] = true
		}
		for _, claim := range p.claims {
			if volumes[claim.Name] {
				report.about(p.owner, "volumeClaimTemplate %s hides the volume of this name", claim.Name)
			}
			volumes[claim.Name] = true
		}
		names := map[string]bool{}
		for _, container := range p.containers() {
			if names[container.Name] {
				report.about(p.owner, "container %s stands here twice", container.Name)
			}
			names[container.Name] = true
			mountsFit(p, container, volumes, used, report)
		}
		for name := range volumes {
			if !used[name] {
				report.about(p.owner, "volume %s is mounted nowhere", name)
			}
		}
	}
}

func mountsFit(p *pod, container *core.Container, volumes, used map[string]bool, report *report) {
	paths := map[string]bool{}
	for _, mount := range container.VolumeMounts {
		if !volumes[mount.Name] {
			report.about(p.owner, "container %s: volumeMounts: there is no volume %s", container.Name, mount.Name)
		}
		used[mount.Name] = true
		if !path.IsAbs(mount.MountPath) || path.Clean(mount.MountPath) != mount.MountPath {
			report.about(p.owner, "container %s: mountPath %s is no clean absolute path", container.Name, mount.MountPath)
		}
		if paths[mount.MountPath] {
			report.about(p.owner, "container %s: mountPath %s stands here twice", container.Name, mount.MountPath)
		}
		paths[mount.MountPath] = true
	}
}

// The keys of a ConfigMap of the folder, or of what is given; false: there is neither.
func (f *folder) keysOf(id string) (map[string]bool, bool) {
	if o := f.byID[id]; o != nil {
		keys := map[string]bool{}
		switch typed := o.Object.(type) {
		case *core.ConfigMap:
			for key := range typed.Data {
				keys[key] = true
			}
			for key := range typed.BinaryData {
				keys[key] = true
			}
		case *core.Secret:
			for key := range typed.Data {
				keys[key] = true
			}
			for key := range typed.StringData {
				keys[key] = true
			}
		}
		return keys, true
	}
	keys, is := f.given[id]
	return keys, is
}

func (f *folder) keyIsThere(p *pod, where, id, key string, optional bool, report *report) {
	keys, is := f.keysOf(id)
	if !is && !optional {
		report.about(p.owner, "%s: there is no %s, and nobody is said to make it", where, id)
	} else if is && key != "" && !keys[key] && !optional {
		report.about(p.owner, "%s: %s has no key %q, but %v", where, id, key, sortedKeys(keys))
	}
}

func sortedKeys(set map[string]bool) []string {
	keys := []string{}
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func referencesFit(f *folder, report *report) {
	for _, p := range f.pods {
		if name := p.spec.ServiceAccountName; name != "" && f.byID["ServiceAccount/"+name] == nil {
			report.about(p.owner, "serviceAccountName: there is no ServiceAccount/%s", name)
		}
		for _, volume := range p.spec.Volumes {
			f.sourceFits(p, &volume, report)
		}
	}
}

func (f *folder) sourceFits(p *pod, volume *core.Volume, report *report) {
	where := "volume " + volume.Name
	items := func(id string, items []core.KeyToPath, optional bool) {
		f.keyIsThere(p, where, id, "", optional, report)
		for _, item := range items {
			f.keyIsThere(p, where, id, item.Key, optional, report)
		}
	}
	is := func(flag *bool) bool { return flag != nil && *flag }
	if source := volume.ConfigMap; source != nil {
		items("ConfigMap/"+source.Name, source.Items, is(source.Optional))
	}
	if source := volume.Secret; source != nil {
		items("Secret/"+source.SecretName, source.Items, is(source.Optional))
	}
	if volume.Projected != nil {
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil {
				items("ConfigMap/"+source.ConfigMap.Name, source.ConfigMap.Items, is(source.ConfigMap.Optional))
			}
			if source.Secret != nil {
				items("Secret/"+source.Secret.Name, source.Secret.Items, is(source.Secret.Optional))
			}
		}
	}
	if source := volume.PersistentVolumeClaim; source != nil && f.byID["PersistentVolumeClaim/"+source.ClaimName] == nil && f.given["PersistentVolumeClaim/"+source.ClaimName] == nil {
		report.about(p.owner, "%s: there is no PersistentVolumeClaim/%s, and nobody is said to make it", where, source.ClaimName)
	}
}
