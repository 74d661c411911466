{{- /* Labels, and the small objects that every part has: Services, budgets, accounts. */ -}}

{{- /* list $self COMPONENT: what never changes */ -}}
{{- define "callboard.selector" -}}
app.kubernetes.io/name: callboard
app.kubernetes.io/instance: {{ (index . 0).name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- /* list $self COMPONENT */ -}}
{{- define "callboard.match" -}}
matchLabels:
  {{- include "callboard.selector" . | nindent 2 }}
{{- end -}}

{{- /* list $self NAME COMPONENT [MORE_LABELS [ANNOTATIONS]]: under metadata */ -}}
{{- define "callboard.metadata" -}}
{{- $self := index . 0 -}}
{{- $metadata := $self.spec.metadata -}}
name: {{ index . 1 | quote }}
namespace: {{ $self.namespace | quote }}
labels:
  {{- include "callboard.selector" (list $self (index . 2)) | nindent 2 }}
  app.kubernetes.io/version: {{ $self.root.Chart.AppVersion | quote }}
  app.kubernetes.io/part-of: callboard
  app.kubernetes.io/managed-by: {{ $self.root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" $self.root.Chart.Name $self.root.Chart.Version | replace "+" "_" }}
  {{- $labels := deepCopy $metadata.labels -}}
  {{- if gt (len .) 3 }}{{ include "callboard.merge" (list $labels (index . 3)) }}{{ end -}}
  {{- with $labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := deepCopy $metadata.annotations -}}
{{- if gt (len .) 4 }}{{ include "callboard.merge" (list $annotations (index . 4)) }}{{ end -}}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* list $self NAME COMPONENT IS_HEADLESS PORTS, a port: dict "name" "redis" "port" 6379 "appProtocol" "tcp". Peers must
     find each other before they are ready, and a failing one must be found, too. */ -}}
{{- define "callboard.service" -}}
{{- $self := index . 0 -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "callboard.metadata" (list $self (index . 1) (index . 2)) | nindent 2 }}
spec:
  {{- if index . 3 }}
  clusterIP: None
  publishNotReadyAddresses: true
  {{- else }}
  type: ClusterIP
  {{- end }}
  selector:
    {{- include "callboard.selector" (list $self (index . 2)) | nindent 4 }}
  ports:
    {{- range index . 4 }}
    - name: {{ .name }}
      appProtocol: {{ .appProtocol }}
      protocol: TCP
      port: {{ .port }}
      targetPort: {{ .name }}
    {{- end }}
{{- end -}}

{{- /* list $self COMPONENT MAX_UNAVAILABLE. A pod that crashes over and over must not keep a node from being drained. */ -}}
{{- define "callboard.budget" -}}
{{- $self := index . 0 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "callboard.metadata" (list $self (include "callboard.name" (list $self (index . 1))) (index . 1)) | nindent 2 }}
spec:
  maxUnavailable: {{ index . 2 }}
  {{- if ge $self.minor 27 }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  {{- end }}
  selector:
    {{- include "callboard.match" (list $self (index . 1)) | nindent 4 }}
{{- end -}}

{{- /* list $self COMPONENT: an account of its own that may do nothing and has no token */ -}}
{{- define "callboard.serviceAccount" -}}
{{- $self := index . 0 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "callboard.metadata" (list $self (include "callboard.name" (list $self (index . 1))) (index . 1)) | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}
