{{- /* Names of objects and hosts: in one place, because configurations, policies and notes must say the same. */ -}}

{{- /* list $self COMPONENT: shop-gateway */ -}}
{{- define "callboard.name" -}}
{{- printf "%s-%s" (index . 0).name (index . 1) -}}
{{- end -}}

{{- /* list $self COMPONENT: the headless Service, shop-broker-pods */ -}}
{{- define "callboard.podsName" -}}
{{- printf "%s-%s-pods" (index . 0).name (index . 1) -}}
{{- end -}}

{{- /* list $self SERVICE */ -}}
{{- define "callboard.host" -}}
{{- $self := index . 0 -}}
{{- printf "%s.%s.svc.%s" (index . 1) $self.namespace $self.spec.kubernetes.clusterDomain -}}
{{- end -}}

{{- /* list $self COMPONENT ORDINAL */ -}}
{{- define "callboard.podHost" -}}
{{- $self := index . 0 -}}
{{- $service := include "callboard.podsName" (list $self (index . 1)) -}}
{{- printf "%s-%d.%s" (include "callboard.name" (list $self (index . 1))) (int64 (index . 2)) (include "callboard.host" (list $self $service)) -}}
{{- end -}}

{{- /* list $self GROUP/VERSION: has the cluster this API? "true" where nothing is known. */ -}}
{{- define "callboard.hasApi" -}}
{{- $apis := (index . 0).spec.kubernetes.apis -}}
{{- if or (empty $apis) (has (index . 1) $apis) }}true{{ end -}}
{{- end -}}
