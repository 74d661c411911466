{{/* The brokers' configuration and container. The same as operator/render/render_broker.c and the broker's part of
     render_config.c. */}}

{{/* Hosts of pods with their port, with commas between. (list $self COMPONENT COUNT PORT) */}}
{{- define "callboard.brokerRedisHosts" -}}
{{- $self := index . 0 -}}
{{- $hosts := list -}}
{{- range $ordinal := until (int (index . 2)) -}}
{{- $hosts = append $hosts (printf "%s:%d" (include "callboard.podHost" (list $self (index $ 1) $ordinal)) (index $ 3)) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{- define "callboard.brokerRedisUrl" -}}
{{- $redis := .spec.redis -}}
{{- $scheme := .spec.tls.isOn | ternary "rediss" "redis" -}}
{{- if eq $redis.mode "standalone" -}}
{{- printf "%s://%s:6379" $scheme (include "callboard.host" (list . (include "callboard.name" (list . "redis")))) -}}
{{- else if eq $redis.mode "sentinel" -}}
{{- printf "%s+sentinel://%s/%s" $scheme (include "callboard.brokerRedisHosts" (list . "sentinel" $redis.sentinel.replicas 26379)) $redis.sentinel.masterSet -}}
{{- else if eq $redis.mode "cluster" -}}
{{- /* the others are learnt from three */ -}}
{{- printf "%s+cluster://%s" $scheme (include "callboard.brokerRedisHosts" (list . "redis" (min 3 $redis.cluster.shards) 6379)) -}}
{{- else -}}
{{- $redis.external.url -}}
{{- end -}}
{{- end -}}

{{- define "callboard.brokerRedisConfig" -}}
{{- $redis := .spec.redis -}}
{{- $isExternal := eq $redis.mode "external" -}}
{{- $auth := "/etc/callboard/auth/" -}}
url: {{ include "callboard.brokerRedisUrl" . | quote }}
{{- if $isExternal }}
{{- with $redis.external.auth.user }}
user: {{ . | quote }}
{{- end }}
{{- if $redis.external.auth.secretRef.name }}
password_file: /etc/callboard/redis-auth/redis-password
{{- end }}
{{- if $redis.external.tls.caSecret }}
tls_ca_file: /etc/callboard/redis-tls/ca.crt
{{- end }}
{{- else }}
user: callboard
password_file: {{ $auth }}redis-password
{{- if eq $redis.mode "sentinel" }}
sentinel_user: callboard
sentinel_password_file: {{ $auth }}sentinel-password
{{- end }}
{{- if .spec.tls.isOn }}
tls_ca_file: /etc/callboard/redis-tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* broker.yaml as fields decide it; broker.config and the namespaces come to it. */}}
{{- define "callboard.brokerOwnConfig" -}}
{{- $broker := .spec.broker -}}
broker:
  endpoint: tcp://0.0.0.0:{{ $broker.ports.gateways }}
  partitions: {{ $broker.partitions }}
  shards: {{ $broker.shardActors }}
  curve_key_file: /etc/callboard/curve/broker.key
  curve_allowed_dir: /etc/callboard/curve/gateways
backend:
  endpoint: tcp://0.0.0.0:{{ $broker.ports.backend }}
  pull_endpoint: tcp://0.0.0.0:{{ $broker.ports.backendPull }}
  curve_key_file: /etc/callboard/curve/broker.key
  curve_allowed_dir: /etc/callboard/services
internal:
  {{- include "callboard.internal" $broker.ports.internal | nindent 2 }}
{{- if ne .spec.redis.mode "embedded" }}
redis:
  {{- include "callboard.brokerRedisConfig" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where Redis' authority stands; "" where it speaks no TLS. */}}
{{- define "callboard.brokerRedisCaSecret" -}}
{{- if eq .spec.redis.mode "external" -}}
{{- .spec.redis.external.tls.caSecret -}}
{{- else if and .spec.redis.isOurs .spec.tls.isOn -}}
{{- .spec.tls.secretName -}}
{{- end -}}
{{- end -}}

{{/* Where the password of an external Redis stands; "" where there is none. */}}
{{- define "callboard.brokerRedisAuthSecret" -}}
{{- if eq .spec.redis.mode "external" -}}
{{- .spec.redis.external.auth.secretRef.name -}}
{{- end -}}
{{- end -}}

{{- define "callboard.brokerContainer" -}}
{{- $broker := .spec.broker -}}
{{- $ports := $broker.ports -}}
{{ include "callboard.container" (list . "broker") }}
command: # what needs no restart is taken up when the ConfigMap changes
  - /usr/bin/callboard-broker
  - --config
  - /etc/callboard/config/broker.yaml
  - --watch
env:
  - name: CALLBOARD_BROKER_ID
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.name
ports:
  {{- include "callboard.ports" (list (list "gateways" $ports.gateways) (list "backend" $ports.backend) (list "backend-pull" $ports.backendPull) (list "internal" $ports.internal)) | nindent 2 }}
resources:
  {{- include "callboard.resources" (list . $broker.resources) | nindent 2 }}
startupProbe:
  {{- include "callboard.probe" (list "/health" "internal" 1 60) | nindent 2 }}
livenessProbe:
  {{- include "callboard.probe" (list "/health" "internal" 10 3) | nindent 2 }}
readinessProbe:
  {{- include "callboard.probe" (list "/ready" "internal" 2 2) | nindent 2 }}
volumeMounts:
  {{- $mounts := list "config" "curve" "services" "auth" }}
  {{- if include "callboard.brokerRedisAuthSecret" . }}
  {{- $mounts = append $mounts "redis-auth" }}
  {{- end }}
  {{- if include "callboard.brokerRedisCaSecret" . }}
  {{- $mounts = append $mounts "redis-tls" }}
  {{- end }}
  {{- range $mounts }}
  - name: {{ . }}
    mountPath: /etc/callboard/{{ . }}
    readOnly: true
  {{- end }}
{{- end -}}

{{- define "callboard.brokerVolumes" -}}
{{- $spec := .spec -}}
{{- $keys := $spec.auth.keys -}}
{{- $auth := list $keys.internalToken "internal-token" -}}
{{- if $spec.redis.isOurs -}}
{{- $auth = concat $auth (list $keys.redisPassword "redis-password") -}}
{{- end -}}
{{- if eq $spec.redis.mode "sentinel" -}}
{{- $auth = concat $auth (list $keys.sentinelPassword "sentinel-password") -}}
{{- end -}}
{{ include "callboard.configVolume" (list "config" (include "callboard.name" (list . "broker"))) }}
{{ include "callboard.secretVolume" (list "curve" $spec.broker.curve.secretName (list "broker.key" "broker.key" "gateway.key.pub" "gateways/gateway.pub")) }}
- name: services # their public keys and rights come and go without a restart
  secret:
    secretName: {{ $spec.broker.curve.secretName }}-services
    defaultMode: 288
    optional: true
{{ include "callboard.secretVolume" (list "auth" $spec.auth.existingSecret $auth) }}
{{- with include "callboard.brokerRedisAuthSecret" . }}
{{ include "callboard.secretVolume" (list "redis-auth" . (list $keys.redisPassword "redis-password")) }}
{{- end }}
{{- with include "callboard.brokerRedisCaSecret" . }}
{{ include "callboard.secretVolume" (list "redis-tls" . (list "ca.crt" "ca.crt")) }}
{{- end }}
{{- end -}}
