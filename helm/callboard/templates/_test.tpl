{{- /* helm test: callboardctl selftest in a pod of our own image, with the gateways' configuration and the secret that tokens are
     signed with. */ -}}

{{- /* $self, a namespace: does a client get through there, from the first publication to the last? */ -}}
{{- define "callboard.testIsFit" -}}
{{- $namespace := index . 1 -}}
{{- $keeps := and (gt (int ($namespace.history_size | default 0)) 0) (not (has (toString ($namespace.history_ttl | default "0")) (list "0" "0s"))) -}}
{{- $publishes := or (index . 0).spec.test.serviceSecret (and (or $namespace.allow_publish_for_client $namespace.allow_publish_for_subscriber) (not $namespace.publish_proxy_enabled)) -}}
{{- $isPlain := not (or (eq (toString $namespace.publication_data_format) "binary") $namespace.channel_regex $namespace.subscribe_proxy_enabled) -}}
{{- if and $keeps $publishes $isPlain }}true{{ end -}}
{{- end -}}

{{- /* $self: test.channel, else one of the first namespace that is fit; "" where there is none. */ -}}
{{- define "callboard.testChannel" -}}
{{- $self := . -}}
{{- $channel := .spec.test.channel | default "" -}}
{{- range .spec.broker.namespaces -}}
  {{- if and (eq $channel "") (include "callboard.testIsFit" (list $self .)) -}}
    {{- $channel = printf "%s:selftest" .name -}}
  {{- end -}}
{{- end -}}
{{- $channel -}}
{{- end -}}

{{- define "callboard.testUrl" -}}
{{- $scheme := empty .spec.gateway.listener.tlsSecret | ternary "ws" "wss" -}}
{{- printf "%s://%s:%d/connection/websocket" $scheme (include "callboard.host" (list . (include "callboard.name" (list . "gateway")))) (eq $scheme "wss" | ternary 443 80) -}}
{{- end -}}

{{- define "callboard.testCommand" -}}
- /usr/bin/callboardctl
- selftest
- --config
- /etc/callboard/config/gateway.yaml
- --url
- {{ include "callboard.testUrl" . | quote }}
{{- if .spec.gateway.listener.tlsSecret }}
- --insecure # the certificate is for the name that clients use, not for the Service's
{{- end }}
- --wait
- 60s
- --timeout
- "15000"
{{- if .spec.test.serviceSecret }}
- --backend
- --endpoint
- {{ printf "tcp://%s:%d" (include "callboard.host" (list . (include "callboard.name" (list . "broker")))) .spec.broker.ports.backend | quote }}
- --curve-key
- /etc/callboard/service/service.key
- --curve-broker-key
- /etc/callboard/curve/broker.key.pub
{{- end }}
- {{ include "callboard.testChannel" . | quote }}
{{- end -}}

{{- define "callboard.testVolumes" -}}
{{- $spec := .spec -}}
{{ include "callboard.configVolume" (list "config" (include "callboard.name" (list . "gateway"))) }}
{{ include "callboard.secretVolume" (list "auth" $spec.auth.existingSecret (list $spec.auth.keys.tokenSecret "token-secret" $spec.auth.keys.internalToken "internal-token")) }}
{{- with $spec.test.serviceSecret }}
{{ include "callboard.secretVolume" (list "curve" $spec.broker.curve.secretName (list "broker.key.pub" "broker.key.pub")) }}
{{ include "callboard.secretVolume" (list "service" . (list "service.key" "service.key")) }}
{{- end }}
{{- end -}}

{{- /* $self: as other pods, but with the account that every namespace has, and wherever there is room. */ -}}
{{- define "callboard.testPodSpec" -}}
{{- $pod := include "callboard.podSpec" (list . "test" 5) | fromYaml -}}
{{- toYaml (omit $pod "serviceAccountName" "topologySpreadConstraints") -}}
{{- end -}}

{{- /* list $self COMPONENT PORT: for as long as the test lasts its pod may reach them. */ -}}
{{- define "callboard.testIngress" -}}
{{- $self := index . 0 -}}
{{- $component := index . 1 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "callboard.metadata" (list $self (include "callboard.name" (list $self (printf "test-%s" $component))) "test" dict (include "callboard.testHook" "-1" | fromYaml)) | nindent 2 }}
spec:
  podSelector:
    {{- include "callboard.match" (list $self $component) | nindent 4 }}
  policyTypes:
    - Ingress
  ingress:
    - from:
        - podSelector:
            {{- include "callboard.match" (list $self "test") | nindent 12 }}
      ports:
        - protocol: TCP
          port: {{ index . 2 }}
{{- end -}}

{{- /* WEIGHT: annotations of a hook */ -}}
{{- define "callboard.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation{{ if ne . "0" }},hook-succeeded,hook-failed{{ end }}
{{- end -}}
