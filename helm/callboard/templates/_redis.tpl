{{/* Redis and Sentinel: StatefulSets whose servers run inside callboard-agent, which an init container copies into the
     pod. Redis and Sentinel differ in their files, ports, and what is kept. The same as operator/render/render_redis.c. */}}

{{- define "callboard.redisPeers" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
{{- $count := index . 2 -}}
{{- $port := index . 3 -}}
{{- printf "%s-{0..%d}.%s:%d" (include "callboard.name" (list $self $component)) (sub $count 1)
      (include "callboard.host" (list $self (include "callboard.podsName" (list $self $component)))) $port -}}
{{- end -}}

{{/* What the agent is told. (list $self MODE) */}}
{{- define "callboard.redisEnvironment" -}}
{{- $self := index . 0 -}}
{{- $spec := $self.spec -}}
{{- range list (list "POD_NAME" "metadata.name") (list "POD_NAMESPACE" "metadata.namespace") (list "POD_IP" "status.podIP") }}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: {{ index . 1 }}
{{- end }}
- name: CALLBOARD_AGENT_MODE
  value: {{ index . 1 }}
- name: CALLBOARD_AGENT_PEERS
  value: {{ include "callboard.redisPeers" (list $self "redis" $spec.redis.pods 6379) | quote }}
{{- if eq $spec.redis.mode "cluster" }}
- name: CALLBOARD_AGENT_SHARDS
  value: {{ $spec.redis.cluster.shards | quote }}
{{- end }}
{{- if eq $spec.redis.mode "sentinel" }}
- name: CALLBOARD_AGENT_SENTINELS
  value: {{ include "callboard.redisPeers" (list $self "sentinel" $spec.redis.sentinel.replicas 26379) | quote }}
- name: CALLBOARD_AGENT_MASTER_SET
  value: {{ $spec.redis.sentinel.masterSet | quote }}
- name: CALLBOARD_AGENT_SENTINEL_USER
  value: agent
- name: CALLBOARD_AGENT_SENTINEL_PASSWORD_FILE
  value: /secrets/sentinel-password
- name: CALLBOARD_AGENT_DOWN_AFTER_MS
  value: {{ include "callboard.milliseconds" $spec.redis.sentinel.downAfter | quote }}
{{- end }}
- name: CALLBOARD_AGENT_USER
  value: agent
- name: CALLBOARD_AGENT_PASSWORD_FILE
  value: /secrets/redis-password
- name: CALLBOARD_AGENT_TIMEOUT
  value: "45"
{{- if $spec.tls.isOn }}
- name: CALLBOARD_AGENT_TLS
  value: "true"
- name: CALLBOARD_AGENT_TLS_CA_FILE
  value: /tls/ca.crt
{{- end }}
{{- end -}}

{{/* Start-up has time for what is to be loaded: 50 MiB a second. (list $self COMPONENT) */}}
{{- define "callboard.redisProbes" -}}
{{- $loading := eq (index . 1) "redis" | ternary (div (index . 0).spec.redis.maxmemoryBytes 52428800) 0 -}}
startupProbe:
  {{- include "callboard.probe" (list "/startupz" "probes" 5 (div (add 105 $loading) 5)) | nindent 2 }}
livenessProbe:
  {{- include "callboard.probe" (list "/livez" "probes" 10 6) | nindent 2 }}
readinessProbe:
  {{- include "callboard.probe" (list "/readyz" "probes" 2 2) | nindent 2 }}
{{- end -}}

{{/* The container of the server itself. (list $self COMPONENT) */}}
{{- define "callboard.redisContainer" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
{{- $redis := $self.spec.redis -}}
{{- $isSentinel := eq $component "sentinel" -}}
{{- $modes := dict "standalone" "standalone" "sentinel" "replicated" "cluster" "cluster" -}}
{{ include "callboard.container" (list $self $component $redis.image) }}
command:
  - /agent/callboard-agent
  - run
  - --
  - {{ eq $redis.engine "valkey" | ternary "valkey-server" "redis-server" }}
  - /conf/{{ $component }}.conf
  {{- if $isSentinel }}
  - --sentinel
  {{- end }}
env:
  {{- include "callboard.redisEnvironment" (list $self ($isSentinel | ternary "sentinel" (get $modes $redis.mode))) | trim | nindent 2 }}
ports:
  {{- $ports := list (list $component ($isSentinel | ternary 26379 6379)) }}
  {{- if eq $redis.mode "cluster" }}
  {{- $ports = append $ports (list "bus" 16379) }}
  {{- end }}
  {{- include "callboard.ports" (append $ports (list "probes" 8090)) | nindent 2 }}
resources:
  {{- include "callboard.resources" (list $self ($isSentinel | ternary $redis.sentinel.resources $redis.resources)) | nindent 2 }}
{{ include "callboard.redisProbes" (list $self $component) }}
volumeMounts:
  - name: agent
    mountPath: /agent
    readOnly: true
  - name: templates
    mountPath: /templates
    readOnly: true
  - name: secrets
    mountPath: /secrets
    readOnly: true
  {{- if $self.spec.tls.isOn }}
  - name: tls
    mountPath: /tls
    readOnly: true
  {{- end }}
  - name: conf
    mountPath: /conf
  {{- if not $isSentinel }}
  - name: data
    mountPath: /data
  {{- end }}
{{- end -}}

{{/* The exporter beside each Redis, which asks its own server only; with TLS by the pod's name, as that is what the certificate is
     for. */}}
{{- define "callboard.redisExporter" -}}
{{- $auth := .spec.auth -}}
{{ include "callboard.container" (list . "exporter" .spec.monitoring.exporter) }}
env:
  - name: POD_NAME # before what refers to it
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.name
  - name: REDIS_ADDR
    {{- if .spec.tls.isOn }}
    value: {{ printf "rediss://$(POD_NAME).%s:6379" (include "callboard.host" (list . (include "callboard.podsName" (list . "redis")))) | quote }}
    {{- else }}
    value: redis://127.0.0.1:6379
    {{- end }}
  - name: REDIS_USER
    value: exporter
  - name: REDIS_PASSWORD
    valueFrom:
      secretKeyRef:
        name: {{ $auth.existingSecret | quote }}
        key: {{ $auth.keys.exporterPassword | quote }}
  - name: REDIS_EXPORTER_CONFIG_COMMAND # not asked: it holds passwords
    value: "-"
  - name: REDIS_EXPORTER_WEB_LISTEN_ADDRESS
    value: ":9121"
  {{- if .spec.tls.isOn }}
  - name: REDIS_EXPORTER_TLS_CA_CERT_FILE
    value: /exporter-tls/ca.crt
  {{- end }}
ports:
  {{- include "callboard.ports" (list (list "metrics" 9121)) | nindent 2 }}
resources:
  requests:
    cpu: 50m
    memory: 64Mi
  limits:
    memory: 64Mi
{{- if .spec.tls.isOn }}
volumeMounts:
  - name: exporter-tls
    mountPath: /exporter-tls
    readOnly: true
{{- end }}
{{- end -}}

{{/* Sentinel's file is its memory: it outlives the pod where data do. (list $self COMPONENT) */}}
{{- define "callboard.redisVolumes" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
{{- $spec := $self.spec -}}
{{- $isKept := gt (int64 $spec.redis.persistence.bytes) 0 -}}
{{- $keys := $spec.auth.keys -}}
{{- $secrets := list $keys.redisPassword "redis-password" -}}
{{- if eq $spec.redis.mode "sentinel" -}}
{{- $secrets = concat $secrets (list $keys.sentinelPassword "sentinel-password") -}}
{{- end -}}
{{- $isExported := and (eq $component "redis") $spec.monitoring.exporter -}}
{{- if $isExported -}}
{{- $secrets = concat $secrets (list $keys.exporterPassword "exporter-password") -}}
{{- end -}}
{{ include "callboard.emptyVolume" (list "agent" false "16Mi") }}
{{ include "callboard.configVolume" (list "templates" (include "callboard.name" (list $self $component))) }}
{{ include "callboard.secretVolume" (list "secrets" $spec.auth.existingSecret $secrets) }}
{{- if $spec.tls.isOn }}
{{ include "callboard.secretVolume" (list "tls" $spec.tls.secretName (list "tls.crt" "tls.crt" "tls.key" "tls.key" "ca.crt" "ca.crt")) }}
{{- end }}
{{- if eq $component "redis" }}
{{ include "callboard.emptyVolume" (list "conf" true "1Mi") }}
{{- if not $isKept }}
{{ include "callboard.emptyVolume" (list "data" false "1Gi") }}
{{- end }}
{{- else if not $isKept }}
{{ include "callboard.emptyVolume" (list "conf" false "1Mi") }}
{{- end }}
{{- if and $isExported $spec.tls.isOn }}
{{ include "callboard.secretVolume" (list "exporter-tls" $spec.tls.secretName (list "ca.crt" "ca.crt")) }}
{{- end }}
{{- end -}}

{{/* (list $self VOLUME BYTES) */}}
{{- define "callboard.redisClaims" -}}
{{- $self := index . 0 -}}
{{- $persistence := $self.spec.redis.persistence -}}
volumeClaimTemplates:
  - metadata:
      name: {{ index . 1 }}
    spec:
      accessModes:
        - ReadWriteOnce
      {{- with $persistence.class }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources:
        requests:
          storage: {{ include "callboard.memory" (index . 2) | quote }}
{{- if ge $self.minor 27 }}
persistentVolumeClaimRetentionPolicy:
  whenDeleted: {{ eq $persistence.retention "delete" | ternary "Delete" "Retain" }}
  whenScaled: Retain
{{- end }}
{{- end -}}

{{/* The StatefulSet of either. (list $self COMPONENT REPLICAS CHECKSUM) */}}
{{- define "callboard.redisSet" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
{{- $redis := $self.spec.redis -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "callboard.metadata" (list $self (include "callboard.name" (list $self $component)) $component) | nindent 2 }}
spec:
  replicas: {{ index . 2 }}
  serviceName: {{ include "callboard.podsName" (list $self $component) }}
  podManagementPolicy: Parallel # ready is who knows the others
  minReadySeconds: 5
  revisionHistoryLimit: 10
  selector:
    {{- include "callboard.match" (list $self $component) | nindent 4 }}
  updateStrategy:
    type: RollingUpdate
  template:
    metadata:
      {{- include "callboard.podMetadata" (list $self $component (index . 3)) | nindent 6 }}
    spec:
      {{- include "callboard.podSpec" (list $self $component 90) | nindent 6 }}
      initContainers:
        - {{- include "callboard.container" (list $self "agent") | nindent 10 }}
          command:
            - /usr/bin/callboard-agent
            - install
            - /agent
          volumeMounts:
            - name: agent
              mountPath: /agent
      containers:
        - {{- include "callboard.redisContainer" (list $self $component) | nindent 10 }}
        {{- if and (eq $component "redis") $self.spec.monitoring.exporter }}
        - {{- include "callboard.redisExporter" $self | nindent 10 }}
        {{- end }}
      volumes:
        {{- include "callboard.redisVolumes" (list $self $component) | nindent 8 }}
  {{- if gt (int64 $redis.persistence.bytes) 0 }}
  {{- $isRedis := eq $component "redis" }}
  {{- include "callboard.redisClaims" (list $self ($isRedis | ternary "data" "conf") ($isRedis | ternary $redis.persistence.bytes 1073741824)) | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* All objects of either but the ConfigMap. (list $self COMPONENT PORT REPLICAS CHECKSUM) */}}
{{- define "callboard.redisObjects" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
{{- $replicas := index . 3 -}}
{{- $disruption := $self.spec.disruption -}}
{{- $ports := list (dict "name" $component "port" (index . 2) "appProtocol" "tcp") -}}
---
{{ include "callboard.serviceAccount" (list $self $component) }}
---
{{ include "callboard.service" (list $self (include "callboard.podsName" (list $self $component)) $component true $ports) }}
---
{{ include "callboard.service" (list $self (include "callboard.name" (list $self $component)) $component false $ports) }}
---
{{ include "callboard.redisSet" (list $self $component $replicas (index . 4)) }}
{{- /* a lone pod with one would block every drain */}}
{{- if and $disruption.budgets (gt (int $disruption.redisPods) 0) (gt (int $replicas) 1) }}
---
{{ include "callboard.budget" (list $self $component $disruption.redisPods) }}
{{- end }}
{{- end -}}
