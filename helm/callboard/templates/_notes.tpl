{{- /* What callboard-operator check warns of, as far as values tell it: the same codes and words. Each prints a line with
     its code, or nothing. CB1001 (a field that changes nothing here) is not among them: defaults of the chart are values, too. */ -}}

{{- define "callboard.notesGateway" -}}
{{- $gateway := .spec.gateway -}}
{{- $least := gt (int $gateway.autoscaling.max) 0 | ternary $gateway.autoscaling.min $gateway.replicas -}}
{{- if gt (int64 $gateway.graceSeconds) 600 }}
CB1013 gateway.drain: a node that is drained waits up to {{ $gateway.graceSeconds }}s: close faster with gateway.drain.closeRate
{{- end }}
{{- if and (eq (int $least) 1) (ne .spec.profile "dev") }}
CB1015 gateway.replicas: while the only gateway restarts nobody can connect: use two
{{- end }}
{{- end -}}

{{- define "callboard.notesBroker" -}}
{{- $broker := .spec.broker -}}
{{- $threads := mul $broker.replicas $broker.shardActors -}}
{{- if and (eq (int $broker.replicas) 1) (not (has .spec.profile (list "dev" "small"))) (ne .spec.redis.mode "embedded") }}
CB1002 broker.replicas: while the only broker restarts nothing is published: use two
{{- end }}
{{- if and (ge (int64 $broker.partitions) $threads) (lt (int64 $broker.partitions) (mul 4 $threads)) }}
CB1011 broker.partitions: {{ $broker.partitions }} for {{ $threads }} threads leave little room to grow: use four times as many, the number is fixed for the data
{{- end }}
{{- end -}}

{{- define "callboard.notesRedis" -}}
{{- $redis := .spec.redis -}}
{{- $least := int $redis.minReplicasToWrite -}}
{{- $replicas := dict "sentinel" (sub $redis.replicas 1) "cluster" $redis.cluster.replicasPerShard | dig $redis.mode 0 | int -}}
{{- if and (eq $redis.mode "cluster") (eq $replicas 0) }}
CB1004 redis.cluster.replicasPerShard: a lost pod takes its share of the channels with it: use 1
{{- end }}
{{- if and (eq (int64 $redis.persistence.bytes) 0) (ne .spec.profile "dev") }}
CB1005 redis.persistence.size: nothing outlives the pods: set a size
{{- end }}
{{- if eq $redis.appendfsync "no" }}
CB1006 redis.appendfsync: the kernel decides when writes reach the disk: use everysec or always
{{- end }}
{{- if and .spec.disruption.budgets (gt $least 0) (ge $replicas $least) (gt (int .spec.disruption.redisPods) (int (add 1 (sub $replicas $least)))) }}
CB1007 disruption.redisPods: {{ .spec.disruption.redisPods }} pods may go, and writes need all but {{ sub $replicas $least }}: lower it, or redis.minReplicasToWrite
{{- end }}
{{- if and (gt $least 0) (eq $least $replicas) }}
CB1016 redis.minReplicasToWrite: a primary has as many replicas, so nothing is written while one of them restarts: use one replica more
{{- end }}
{{- end -}}

{{- define "callboard.notesExternal" -}}
{{- $external := .spec.redis.external -}}
{{- if and (eq $external.provider "elasticache") (eq (toString $external.durability) "disabled") }}
CB1010 redis.external.durability: a failover may lose what was acknowledged: use sync where it exists
{{- end }}
{{- if and .spec.networkPolicy.enabled (empty .spec.networkPolicy.to) }}
CB1012 networkPolicy.to: nothing here leads to the external Redis: add its network, [{cidr: …, port: 6379}]
{{- end }}
{{- if eq $external.provider "upstash" }}
CB1014 redis.external.provider: Upstash bills each command, and brokers send some without being asked to
{{- end }}
{{- if not (hasPrefix "rediss" $external.url) }}
CB1017 redis.external: what goes to Redis can be read on the way: set tls.enabled: true, or rediss://
{{- end }}
{{- end -}}

{{- define "callboard.notesEdge" -}}
{{- $edge := .spec.edge -}}
{{- if and (eq $edge.kind "ingress") (eq (toString $edge.class) "nginx") }}
CB1008 edge.class: ingress-nginx gets no fixes since March 2026: use another class or the Gateway API
{{- end }}
{{- $idle := include "callboard.milliseconds" $edge.idleTimeout | atoi -}}
{{- $isGke := list "ingress/gce" "gateway/gke" | has (printf "%s/%s" $edge.kind (toString $edge.class)) -}}
{{- if and $isGke (ne $idle 3600000) (lt $idle 86400000) }}
CB1009 edge.idleTimeout: GKE has no idle timeout: a WebSocket is closed when it is 24h old, whatever stands here: leave it out
{{- end }}
{{- end -}}

{{- define "callboard.notesWarnings" -}}
{{- include "callboard.notesGateway" . -}}
{{- include "callboard.notesBroker" . -}}
{{- if .spec.redis.isOurs }}{{ include "callboard.notesRedis" . }}{{ end -}}
{{- if eq .spec.redis.mode "external" }}{{ include "callboard.notesExternal" . }}{{ end -}}
{{- include "callboard.notesEdge" . -}}
{{- end -}}

{{- /* Keys that the Secret has to have. */ -}}
{{- define "callboard.notesKeys" -}}
{{- $keys := .spec.auth.keys -}}
{{- $needed := list $keys.tokenSecret $keys.internalToken -}}
{{- if .spec.redis.isOurs }}{{ $needed = append $needed $keys.redisPassword }}{{ end -}}
{{- if eq .spec.redis.mode "sentinel" }}{{ $needed = append $needed $keys.sentinelPassword }}{{ end -}}
{{- if and .spec.redis.isOurs .spec.monitoring.exporter }}{{ $needed = append $needed .spec.auth.keys.exporterPassword }}{{ end -}}
{{- join ", " $needed -}}
{{- end -}}

{{- /* Where clients come in. */ -}}
{{- define "callboard.notesUrl" -}}
{{- $edge := .spec.edge -}}
{{- if and (has $edge.kind (list "ingress" "gateway")) $edge.hosts -}}
wss://{{ first $edge.hosts }}/connection/websocket
{{- else -}}
{{ include "callboard.testUrl" . }}{{ if ne $edge.kind "loadBalancer" }} (inside the cluster){{ end }}
{{- end -}}
{{- end -}}
