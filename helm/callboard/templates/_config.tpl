{{- /* The file gateway.yaml, and what of a configuration rolls pods. What the values' fields decide stands first, then the
     user's own keys, then the namespaces, the same for gateways and brokers. */ -}}

{{- /* list MAP PARTS: the key at the end of this path goes, and maps around it that are empty then */ -}}
{{- define "callboard.drop" -}}
{{- $map := index . 0 -}}
{{- $key := first (index . 1) -}}
{{- $rest := rest (index . 1) -}}
{{- if empty $rest -}}
  {{- $_ := unset $map $key -}}
{{- else if kindIs "map" (get $map $key) -}}
  {{- include "callboard.drop" (list (get $map $key) $rest) -}}
  {{- if empty (get $map $key) -}}
    {{- $_ := unset $map $key -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* list $self CONFIG PROGRAM: the checksum of the keys that a running program does not take up by itself */ -}}
{{- define "callboard.lasting" -}}
{{- $config := deepCopy (index . 1) -}}
{{- $reloaded := (index . 0).root.Files.Get "reloaded.yaml" | fromYaml -}}
{{- range get $reloaded (index . 2) -}}
  {{- include "callboard.drop" (list $config (splitList "." .)) -}}
{{- end -}}
{{- toYaml $config | sha256sum | trunc 16 -}}
{{- end -}}

{{- /* list $self CONFIG OWN: the user's keys and the namespaces into CONFIG */ -}}
{{- define "callboard.addRest" -}}
{{- $config := index . 1 -}}
{{- include "callboard.merge" (list $config (deepCopy (index . 2))) -}}
{{- with (index . 0).spec.broker.namespaces -}}
  {{- $_ := set $config "namespaces" . -}}
{{- end -}}
{{- end -}}

{{- /* PORT: the listener of metrics and health */ -}}
{{- define "callboard.internal" -}}
address: 0.0.0.0
port: {{ . }}
token_file: /etc/callboard/auth/internal-token
{{- end -}}

{{- /* $self */ -}}
{{- define "callboard.gatewayConfig" -}}
{{- $gateway := .spec.gateway -}}
{{- $http := dict "address" "0.0.0.0" "port" $gateway.listener.port -}}
{{- if $gateway.listener.tlsSecret -}}
  {{- $_ := set $http "tls_certificate_file" "/etc/callboard/tls/tls.crt" -}}
  {{- $_ := set $http "tls_key_file" "/etc/callboard/tls/tls.key" -}}
{{- end -}}
{{- with $gateway.allowedOrigins -}}
  {{- $_ := set $http "allowed_origins" . -}}
{{- end -}}
{{- $host := include "callboard.host" (list . (include "callboard.podsName" (list . "broker"))) -}}
{{- $brokers := dict "endpoints" (list (printf "tcp://%s:%d" $host $.spec.broker.ports.gateways)) "curve_key_file" "/etc/callboard/curve/gateway.key" "curve_broker_key" "/etc/callboard/curve/broker.key.pub" -}}
{{- $token := dict "secret_file" "/etc/callboard/auth/token-secret" "audience" .name "issuer" .name -}}
{{- $drain := dict "delay" (include "callboard.duration" $gateway.drain.propagationMs) "window" (include "callboard.duration" $gateway.drain.windowMs) -}}
{{- $client := dict "connections_max" $gateway.connectionsMax -}}
{{- $age := include "callboard.milliseconds" $gateway.maxConnectionAge | atoi -}}
{{- if gt $age 0 -}}
  {{- $_ := set $client "connection_age_max" (include "callboard.duration" $age) -}}
{{- end -}}
{{- $config := dict "http" $http "internal" (include "callboard.internal" 9000 | fromYaml) "brokers" $brokers "token" $token "client" $client "drain" $drain -}}
{{- include "callboard.addRest" (list . $config $gateway.config) -}}
{{- toYaml $config -}}
{{- end -}}
