{{/* redis.conf, sentinel.conf and users.acl as templates for callboard-agent: what differs between pods and what is
     secret is a place like ${pod-ip} that it fills, so one ConfigMap serves all pods and holds no secret. Defaults,
     then the user's own lines, then ours: of two lines the last one counts. The same as
     operator/render/render_redis_files.c. */}}

{{/* The listener of both. (list $self PORT) */}}
{{- define "callboard.redisListener" -}}
{{- $self := index . 0 -}}
{{- $port := index . 1 -}}
bind * -::*
protected-mode no
{{- if $self.spec.tls.isOn }}
port 0
tls-port {{ $port }}
tls-cert-file /tls/tls.crt
tls-key-file /tls/tls.key
tls-ca-cert-file /tls/ca.crt
tls-auth-clients no
tls-replication yes
{{- else }}
port {{ $port }}
{{- end }}
{{- end -}}

{{/* What the user's lines may change. */}}
{{- define "callboard.redisDefaults" -}}
tcp-backlog 4096
tcp-keepalive 60
timeout 0
latency-monitor-threshold 50
disable-thp yes
oom-score-adj no
maxmemory-clients 10%
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 512mb 128mb 60
client-output-buffer-limit pubsub 256mb 64mb 60
lazyfree-lazy-eviction yes
lazyfree-lazy-expire yes
lazyfree-lazy-server-del yes
lazyfree-lazy-user-del yes
repl-backlog-size 64mb
repl-diskless-sync yes
repl-diskless-sync-delay 0
{{- if gt (int64 .spec.redis.persistence.bytes) 0 }}
aof-use-rdb-preamble yes
aof-load-truncated yes
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 256mb
{{- end }}
{{- end -}}

{{- define "callboard.redisPersistence" -}}
save ""
{{- if eq (int64 .spec.redis.persistence.bytes) 0 }}
appendonly no
{{- else }}
appendonly yes
appendfsync {{ .spec.redis.appendfsync }}
{{- end }}
{{- end -}}

{{- define "callboard.redisMemory" -}}
{{- with .spec.redis.maxmemoryBytes -}}
maxmemory {{ . }}
{{ end -}}
maxmemory-policy noeviction
stream-node-max-bytes {{ include "callboard.bytes" (.spec.redis.streamNodeMaxBytes | toString) }}
{{- end -}}

{{- define "callboard.redisReplication" -}}
masteruser agent
masterauth ${secret:redis-password}
{{- with .spec.redis.minReplicasToWrite }}
min-replicas-to-write {{ . }}
min-replicas-max-lag {{ div (add (include "callboard.milliseconds" $.spec.redis.minReplicasMaxLag | int64) 999) 1000 }}
{{- end }}
{{- if eq .spec.redis.mode "sentinel" }}
replica-announce-ip ${pod-fqdn}
replica-announce-port 6379
{{- end }}
{{- end -}}

{{- define "callboard.redisCluster" -}}
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout {{ include "callboard.milliseconds" .spec.redis.cluster.nodeTimeout }}
cluster-announce-ip ${pod-ip}
cluster-require-full-coverage no
cluster-allow-replica-migration no
cluster-allow-pubsubshard-when-down yes
{{- if eq .spec.redis.cluster.announce "hostname" }}
cluster-announce-hostname ${pod-fqdn}
cluster-preferred-endpoint-type hostname
{{- end }}
{{- if .spec.tls.isOn }}
tls-cluster yes
{{- end }}
{{- if and (eq .spec.redis.engine "valkey") (ge (.spec.redis.version | splitList "." | first | atoi) 9) }}
shutdown-on-sigterm failover
{{- end }}
{{- end -}}

{{- define "callboard.redisConf" -}}
{{ include "callboard.redisDefaults" . }}
{{ range $name, $value := .spec.redis.config -}}
{{ $name }} {{ $value }}
{{ end -}}
{{ include "callboard.redisListener" (list . 6379) }}
dir /data
aclfile /conf/users.acl
shutdown-timeout 10
{{ include "callboard.redisPersistence" . }}
{{ include "callboard.redisMemory" . }}
{{ include "callboard.redisReplication" . }}
{{- if eq .spec.redis.mode "cluster" }}
{{ include "callboard.redisCluster" . }}
{{- end }}
{{- end -}}

{{- define "callboard.redisUsers" -}}
user default off resetpass ~* &* +@all
user callboard on ${acl:redis-password} ~cb:* ~{cb}* resetchannels &cb:* -@all +eval +evalsha +get +set +del +hget +hmget +hset +hdel +hgetall +hscan +xadd +xrange +xrevrange +xtrim +pexpire +pttl +sadd +srem +smembers +publish +spublish +subscribe +unsubscribe +ssubscribe +sunsubscribe +wait +time +role +select +info +command|info +client|setname +cluster|slots +cluster|info +config|get +slowlog|get
user agent on ${acl:redis-password} resetchannels -@all +ping +info +role +dbsize +cluster +replicaof +psync +replconf{{ if eq .spec.redis.mode "sentinel" }} +client|pause +client|unpause{{ end }}
user backup on ${acl:redis-password} resetchannels -@all +ping +info +role +dbsize +cluster|info +cluster|nodes +psync +replconf
user operator on ${acl:redis-password} ~cb:* ~{cb}* resetchannels -@all +ping +info +role +dbsize +select +cluster +migrate +restore +restore-asking{{ if eq .spec.redis.mode "sentinel" }} +client|pause +client|unpause{{ end }}
{{- if .spec.tls.isOn }}
user renewal on ${own-acl} resetchannels -@all +ping +config|set
{{- end }}
{{- if eq .spec.redis.mode "sentinel" }}
user sentinel on ${acl:sentinel-password} resetchannels allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill +failover
{{- end }}
{{- if .spec.monitoring.exporter }}
user exporter on ${acl:exporter-password} resetchannels -@all +ping +info +client|setname +slowlog|len +slowlog|get +latency|latest +latency|histogram +cluster|info
{{- end }}
{{- end -}}

{{- define "callboard.sentinelConf" -}}
{{- $sentinel := .spec.redis.sentinel -}}
{{- $set := $sentinel.masterSet -}}
{{ include "callboard.redisListener" (list . 26379) }}
dir /conf
aclfile /conf/users.acl
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip ${pod-fqdn}
sentinel announce-port 26379
sentinel myid ${sentinel-id}
sentinel deny-scripts-reconfig yes
sentinel sentinel-user sentinel
sentinel sentinel-pass ${secret:sentinel-password}
sentinel monitor {{ $set }} {{ include "callboard.podHost" (list . "redis" 0) }} 6379 {{ $sentinel.quorum }}
sentinel auth-user {{ $set }} sentinel
sentinel auth-pass {{ $set }} ${secret:sentinel-password}
sentinel down-after-milliseconds {{ $set }} {{ include "callboard.milliseconds" $sentinel.downAfter }}
sentinel failover-timeout {{ $set }} {{ include "callboard.milliseconds" $sentinel.failoverTimeout }}
sentinel parallel-syncs {{ $set }} 1
sentinel master-reboot-down-after-period {{ $set }} 60000
{{- end -}}

{{- define "callboard.sentinelUsers" -}}
user default off
user callboard on ${acl:sentinel-password} resetchannels &+switch-master &+promoted-slave -@all +sentinel|master +sentinel|get-master-addr-by-name +sentinel|slaves +sentinel|sentinels +sentinel|myid +subscribe +client|setname +ping
user agent on ${acl:sentinel-password} resetchannels -@all +ping +sentinel|master +sentinel|failover +sentinel|ckquorum
user sentinel on ${acl:sentinel-password} allchannels -@all +ping +publish +subscribe +info +sentinel +client|setname
{{- end -}}
