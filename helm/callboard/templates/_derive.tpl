{{- /* What follows from other fields where it is not set: the chart's side of operator/spec/spec_derive.c. One template a
     section; each writes into the spec that callboard.load copied. */ -}}

{{- define "callboard.derive" -}}
{{- range list .spec.gateway.resources .spec.broker.resources .spec.redis.resources .spec.redis.sentinel.resources -}}
  {{- if not .limits.memory -}}
    {{- $_ := set .limits "memory" .requests.memory -}}
  {{- end -}}
{{- end -}}
{{- include "callboard.deriveGateway" . -}}
{{- include "callboard.deriveSecrets" . -}}
{{- include "callboard.deriveRedis" . -}}
{{- include "callboard.deriveExternal" .spec.redis.external -}}
{{- end -}}

{{- define "callboard.deriveGateway" -}}
{{- $gateway := .spec.gateway -}}
{{- $drain := $gateway.drain -}}
{{- if gt $gateway.autoscaling.max 0 -}}
  {{- if .root.Values.gateway.replicas -}}
    {{- fail "gateway.replicas and gateway.autoscaling.max exclude each other: the autoscaler decides how many gateways there are; leave one of them out" -}}
  {{- end -}}
  {{- $_ := unset $gateway "replicas" -}}
{{- end -}}
{{- if not $gateway.autoscaling.connectionsPerPod -}}
  {{- $_ := set $gateway.autoscaling "connectionsPerPod" (max 1 (include "callboard.share" (list $gateway.connectionsMax 65) | atoi)) -}}
{{- end -}}
{{- $propagation := include "callboard.milliseconds" $drain.propagation | atoi -}}
{{- $window := include "callboard.milliseconds" ($drain.window | default "0") | atoi -}}
{{- if eq $window 0 -}}
  {{- $window = max 20000 (mul 1000 (div (sub (add $gateway.connectionsMax $drain.closeRate) 1) $drain.closeRate)) -}}
{{- end -}}
{{- $grace := include "callboard.milliseconds" ($drain.grace | default "0") | atoi -}}
{{- if eq $grace 0 -}}
  {{- $grace = add $propagation $window 20000 -}}
{{- end -}}
{{- $_ := set $drain "propagationMs" $propagation -}}
{{- $_ := set $drain "windowMs" $window -}}
{{- $_ := set $gateway "graceSeconds" (include "callboard.seconds" $grace | atoi) -}}
{{- $listener := first $gateway.listeners | default (dict "port" 8000) -}}
{{- $_ := set $gateway "listener" (dict "port" $listener.port "tlsSecret" (dig "tls" "secretName" "" $listener)) -}}
{{- end -}}

{{- define "callboard.deriveSecrets" -}}
{{- $spec := .spec -}}
{{- if not $spec.auth.existingSecret -}}
  {{- $_ := set $spec.auth "existingSecret" (printf "%s-auth" .name) -}}
{{- end -}}
{{- if not $spec.broker.curve.secretName -}}
  {{- $_ := set $spec.broker.curve "secretName" (printf "%s-curve" .name) -}}
{{- end -}}
{{- $isOn := or (ne $spec.tls.secretName "") (ne $spec.tls.issuerRef.name "") -}}
{{- if and $isOn (eq $spec.tls.secretName "") -}}
  {{- $_ := set $spec.tls "secretName" (printf "%s-redis-tls" .name) -}}
{{- end -}}
{{- $_ := set $spec.tls "isOn" $isOn -}}
{{- end -}}

{{- /* maxmemory from the limit, where there is a volume or there is to be one; then the volume from maxmemory. */ -}}
{{- define "callboard.deriveRedis" -}}
{{- $redis := .spec.redis -}}
{{- $isValkey := eq $redis.engine "valkey" -}}
{{- $mib := 1048576 -}}
{{- $gib := 1073741824 -}}
{{- if not $redis.version -}}
  {{- $_ := set $redis "version" (ternary "8.0" "7.2" $isValkey) -}}
{{- end -}}
{{- if not $redis.image -}}
  {{- $_ := set $redis "image" (printf "%s:%s" (ternary "valkey/valkey" "redis" $isValkey) $redis.version) -}}
{{- end -}}
{{- $hasSize := hasKey $redis.persistence "size" -}}
{{- $size := include "callboard.bytes" ($redis.persistence.size | default "0") | atoi -}}
{{- $maxmemory := include "callboard.bytes" ($redis.maxmemory | default "0") | atoi -}}
{{- if eq $maxmemory 0 -}}
  {{- $limit := include "callboard.bytes" $redis.resources.limits.memory -}}
  {{- $share := include "callboard.share" (list $limit (ternary 75 60 (and $hasSize (eq $size 0)))) | atoi -}}
  {{- $maxmemory = mul (div $share $mib) $mib -}}
{{- end -}}
{{- if not $hasSize -}}
  {{- $size = mul (div (sub (add (mul 3 $maxmemory) $gib) 1) $gib) $gib -}}
{{- end -}}
{{- $_ := set $redis "maxmemoryBytes" $maxmemory -}}
{{- $_ := set $redis.persistence "bytes" $size -}}
{{- if not $redis.sentinel.quorum -}}
  {{- $_ := set $redis.sentinel "quorum" (add (div $redis.sentinel.replicas 2) 1) -}}
{{- end -}}
{{- $pods := dict "standalone" 1 "sentinel" $redis.replicas "cluster" (mul $redis.cluster.shards (add 1 $redis.cluster.replicasPerShard)) -}}
{{- $_ := set $redis "isOurs" (hasKey $pods $redis.mode) -}}
{{- $_ := set $redis "pods" (get $pods $redis.mode | default 0) -}}
{{- end -}}

{{- /* url, or endpoint with what is said about it. */ -}}
{{- define "callboard.deriveExternal" -}}
{{- if not .url -}}
  {{- $_ := set . "url" (printf "redis%s%s://%s" (ternary "s" "" .tls.enabled) (ternary "+cluster" "" .clusterMode) .endpoint) -}}
{{- end -}}
{{- end -}}
