{{- /* What every template begins with. A deployment as its values ask for it, with all that they leave open filled in:

         {{- $self := dict "root" $ -}}
         {{- include "callboard.load" $self -}}
         {{- $spec := $self.spec -}}

     Values are never read otherwise: a field that is not set has the default of its profile (profiles/), or follows
     from others (_derive.tpl), as in a spec of callboard-operator. */ -}}

{{- /* list MAP MORE: MORE into MAP. Maps are merged, everything else is replaced, nulls say nothing. (Sprig's own
     merge would take false, 0 and "" for nothing, too.) */ -}}
{{- define "callboard.merge" -}}
{{- $map := index . 0 -}}
{{- range $key, $value := index . 1 -}}
  {{- if kindIs "invalid" $value -}}
  {{- else if and (kindIs "map" $value) (kindIs "map" (get $map $key)) -}}
    {{- include "callboard.merge" (list (get $map $key) $value) -}}
  {{- else -}}
    {{- $_ := set $map $key $value -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* Helm reads numbers as floats, and prints 1000000 as 1e+06: whole ones become integers. */ -}}
{{- define "callboard.whole" -}}
{{- $in := . -}}
{{- if kindIs "map" . -}}
  {{- range $key, $value := . -}}
    {{- if and (kindIs "float64" $value) (eq (float64 (int64 $value)) $value) -}}
      {{- $_ := set $in $key (int64 $value) -}}
    {{- else -}}
      {{- include "callboard.whole" $value -}}
    {{- end -}}
  {{- end -}}
{{- else if kindIs "slice" . -}}
  {{- range . -}}
    {{- include "callboard.whole" . -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* dict "root" $: adds spec, name, namespace, minor (of Kubernetes 1.x). */ -}}
{{- define "callboard.load" -}}
{{- $root := .root -}}
{{- $given := deepCopy $root.Values -}}
{{- $spec := $root.Files.Get (printf "profiles/%s.yaml" $given.profile) | fromYaml -}}
{{- include "callboard.merge" (list $spec $given) -}}
{{- include "callboard.whole" $spec -}}
{{- $name := $spec.metadata.name | default $root.Release.Name -}}
{{- if gt (len $name) 40 -}}
  {{- fail (printf "the release's name %s has more than 40 characters: the longest name of an object would be too long for a StatefulSet; take a shorter one, or set metadata.name" $name) -}}
{{- end -}}
{{- $version := $spec.kubernetes.version | default $root.Capabilities.KubeVersion.Version -}}
{{- $_ := set . "spec" $spec -}}
{{- $_ := set . "name" $name -}}
{{- $_ := set . "namespace" $root.Release.Namespace -}}
{{- $_ := set . "minor" (regexReplaceAll "^v?[0-9]+[.]([0-9]+).*$" $version "${1}" | atoi) -}}
{{- include "callboard.derive" . -}}
{{- end -}}
