{{- /* Who may talk to whom: parts of NetworkPolicies.

         anybody or networkPolicy.from ─▶ gateway ─▶ broker ◀─ services          redis ◀─▶ redis, sentinel ◀─▶ sentinel
                                                     broker ─▶ redis, sentinel    every part ─▶ DNS, UDP and TCP
                                                     backup ─▶ redis

     Kubelet probes need no rule. Internal ports are reached by every pod of the cluster and ask for the bearer token. */ -}}

{{- /* list $self COMPONENT: the policy up to its rules */ -}}
{{- define "callboard.policy" -}}
{{- $self := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "callboard.metadata" (list $self (include "callboard.name" (list $self (index . 1))) (index . 1)) | nindent 2 }}
spec:
  podSelector:
    {{- include "callboard.match" (list $self (index . 1)) | nindent 4 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{- /* list $self "from"|"to" (list COMPONENT …) (list PORT …): a rule */ -}}
{{- define "callboard.parts" -}}
{{- $self := index . 0 -}}
- {{ index . 1 }}:
    {{- range index . 2 }}
    - podSelector:
        {{- include "callboard.match" (list $self .) | nindent 8 }}
    {{- end }}
  ports:
    {{- range index . 3 }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{- /* One peer of networkPolicy.from or .to */ -}}
{{- define "callboard.peer" -}}
{{- if .cidr -}}
- ipBlock:
    cidr: {{ .cidr | quote }}
{{- else -}}
{{- $peer := dict -}}
{{- with .namespaceLabels }}{{ $_ := set $peer "namespaceSelector" (dict "matchLabels" .) }}{{ end -}}
{{- with .podLabels }}{{ $_ := set $peer "podSelector" (dict "matchLabels" .) }}{{ end -}}
{{- list $peer | toYaml -}}
{{- end -}}
{{- end -}}

{{- /* list $self (list PORT …): rules for the peers of networkPolicy.from at these ports; one with a port of its own at that only, if it is among
     them */ -}}
{{- define "callboard.guests" -}}
{{- $ports := index . 1 -}}
{{- range (index . 0).spec.networkPolicy.from }}
{{- $peer := . }}
{{- $own := list }}
{{- range $ports }}
{{- if has ($peer.port | default 0 | int64) (list (int64 0) (int64 .)) }}{{ $own = append $own . }}{{ end }}
{{- end }}
{{- if $own }}
- from:
    {{- include "callboard.peer" $peer | nindent 4 }}
  ports:
    {{- range $own }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* PORT: metrics and health */ -}}
{{- define "callboard.internalRule" -}}
- from:
    - namespaceSelector: {}
  ports:
    - {protocol: TCP, port: {{ . }}}
{{- end -}}

{{- define "callboard.dnsRule" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{- /* $self: to a Redis of ours. An external one stands in networkPolicy.to: only who runs it knows its addresses. */ -}}
{{- define "callboard.wayToRedis" -}}
{{- if .spec.redis.isOurs }}
{{ include "callboard.parts" (list . "to" (list "redis") (list 6379)) }}
{{- if eq .spec.redis.mode "sentinel" }}
{{ include "callboard.parts" (list . "to" (list "sentinel") (list 26379)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* $self: what the values allow beside; a peer's own port narrows it */ -}}
{{- define "callboard.allowed" -}}
{{- range .spec.networkPolicy.to }}
- to:
    {{- include "callboard.peer" . | nindent 4 }}
  {{- with .port }}
  ports:
    - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end }}
{{- end -}}
