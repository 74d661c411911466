{{- /* What every pod has: the security context that Pod Security "restricted" asks for, where it may run, how it ends. */ -}}

{{- /* list $self COMPONENT [CHECKSUM]: metadata of a pod's template; without CHECKSUM no configuration rolls it */ -}}
{{- define "callboard.podMetadata" -}}
labels:
  {{- include "callboard.selector" (list (index . 0) (index . 1)) | nindent 2 }}
{{- if gt (len .) 2 }}
annotations:
  callboard.dev/config: {{ index . 2 | quote }}
{{- end }}
{{- end -}}

{{- /* list $self SPREAD TOPOLOGY_KEY COMPONENT: an item of topologySpreadConstraints */ -}}
{{- define "callboard.spread" -}}
- maxSkew: 1
  topologyKey: {{ index . 2 }}
  whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq (index . 1) "required") }}
  labelSelector:
    {{- include "callboard.match" (list (index . 0) (index . 3)) | nindent 4 }}
{{- end -}}

{{- /* list $self OTHER: a broker and a primary of Redis on one node would die together, and with them the continuity of their
     channels. */ -}}
{{- define "callboard.distance" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 50
        podAffinityTerm:
          labelSelector:
            {{- include "callboard.match" . | nindent 12 }}
          topologyKey: kubernetes.io/hostname
{{- end -}}

{{- /* list $self COMPONENT: where its pods may run */ -}}
{{- define "callboard.scheduling" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
{{- $scheduling := $self.spec.scheduling -}}
{{- with $scheduling.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- with $scheduling.runtimeClass }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $scheduling.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $scheduling.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (eq $component "broker") $self.spec.redis.isOurs }}
{{ include "callboard.distance" (list $self "redis") }}
{{- else if eq $component "redis" }}
{{ include "callboard.distance" (list $self "broker") }}
{{- end }}
{{- $isSpread := or (ne $scheduling.spread.node "none") (ne $scheduling.spread.zone "none") }}
{{- if and $isSpread (ne $component "backup") }}{{- /* of which there is one pod at a time */}}
topologySpreadConstraints:
  {{- if ne $scheduling.spread.node "none" }}
  {{- include "callboard.spread" (list $self $scheduling.spread.node "kubernetes.io/hostname" $component) | nindent 2 }}
  {{- end }}
  {{- if ne $scheduling.spread.zone "none" }}
  {{- include "callboard.spread" (list $self $scheduling.spread.zone "topology.kubernetes.io/zone" $component) | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* $self. OpenShift picks users and groups itself. */ -}}
{{- define "callboard.podSecurity" -}}
runAsNonRoot: true
{{- if ne .spec.podSecurity "openshift" }}
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* list $self COMPONENT GRACE_SECONDS: the pod without its containers and volumes */ -}}
{{- define "callboard.podSpec" -}}
{{- $self := index . 0 -}}
serviceAccountName: {{ include "callboard.name" (list $self (index . 1)) | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ index . 2 }}
{{- with $self.spec.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "callboard.podSecurity" $self | nindent 2 }}
{{- with include "callboard.scheduling" (list $self (index . 1)) | trim }}
{{ . }}
{{- end }}
{{- end -}}

{{- /* list $self NAME [IMAGE]: the beginning of a container; without IMAGE it has our own */ -}}
{{- define "callboard.container" -}}
{{- $image := (index . 0).spec.image -}}
name: {{ index . 1 }}
{{- if gt (len .) 2 }}
image: {{ index . 2 | quote }}
imagePullPolicy: IfNotPresent
{{- else }}
image: {{ ternary (printf "%s:%s" $image.repository $image.tag) (printf "%s@%s" $image.repository $image.digest) (eq $image.digest "") | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* dict with cpu and memory: what is not 0 */ -}}
{{- define "callboard.resourceAmounts" -}}
{{- $cpu := include "callboard.thousandths" (.cpu | default "0") -}}
{{- $memory := include "callboard.bytes" (.memory | default "0") -}}
{{- if ne $cpu "0" }}
cpu: {{ include "callboard.cpu" $cpu | quote }}
{{- end }}
{{- if ne $memory "0" }}
memory: {{ include "callboard.memory" $memory | quote }}
{{- end }}
{{- end -}}

{{- /* list $self RESOURCES */ -}}
{{- define "callboard.resources" -}}
{{- $resources := index . 1 -}}
{{- with include "callboard.resourceAmounts" $resources.requests | trim -}}
requests:
  {{- . | nindent 2 }}
{{ end -}}
{{- with include "callboard.resourceAmounts" $resources.limits | trim -}}
limits:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* list (list NAME PORT) … */ -}}
{{- define "callboard.ports" -}}
{{- range $index, $port := . -}}
{{- if $index }}
{{ end -}}
- name: {{ index $port 0 }}
  containerPort: {{ index $port 1 }}
  protocol: TCP
{{- end -}}
{{- end -}}

{{- /* list PATH PORT PERIOD_SECONDS FAILURES */ -}}
{{- define "callboard.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: {{ index . 1 }}
  scheme: HTTP
timeoutSeconds: 3
periodSeconds: {{ index . 2 }}
successThreshold: 1
failureThreshold: {{ index . 3 }}
{{- end -}}

{{- /* list NAME FIELD_PATH: an environment variable from the pod's own fields */ -}}
{{- define "callboard.envOfField" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: {{ index . 1 }}
{{- end -}}

{{- /* list VOLUME CONFIG_MAP */ -}}
{{- define "callboard.configVolume" -}}
- name: {{ index . 0 }}
  configMap:
    name: {{ index . 1 | quote }}
    defaultMode: 420
{{- end -}}

{{- /* list VOLUME SECRET (list KEY FILE KEY FILE …): keys as files, readable by the pod's group only (0440) */ -}}
{{- define "callboard.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 | quote }}
    items:
      {{- range chunk 2 (index . 2) }}
      - key: {{ index . 0 | quote }}
        path: {{ index . 1 | quote }}
      {{- end }}
    defaultMode: 288
{{- end -}}

{{- /* list VOLUME IS_MEMORY SIZE */ -}}
{{- define "callboard.emptyVolume" -}}
- name: {{ index . 0 }}
  emptyDir:
    {{- if index . 1 }}
    medium: Memory
    {{- end }}
    sizeLimit: {{ index . 2 }}
{{- end -}}
