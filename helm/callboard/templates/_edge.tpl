{{- /* What keeps a WebSocket open differs by class; no class is told to stick: any gateway resumes any session. Each prints a map of
     annotations. */ -}}

{{- /* $self: how long a connection may be silent */ -}}
{{- define "callboard.idleSeconds" -}}
{{- div (include "callboard.milliseconds" .spec.edge.idleTimeout | atoi) 1000 -}}
{{- end -}}

{{- /* $self: how long a gateway that ends has connections */ -}}
{{- define "callboard.drainSeconds" -}}
{{- min 3600 (include "callboard.seconds" (add .spec.gateway.drain.propagationMs .spec.gateway.drain.windowMs) | atoi) -}}
{{- end -}}

{{- /* Balancers look for health on the public port: the network policies keep them from the internal one. */ -}}
{{- define "callboard.healthProtocol" -}}
{{- ternary "HTTPS" "HTTP" (ne .spec.gateway.listener.tlsSecret "") -}}
{{- end -}}

{{- define "callboard.ingressAnnotations" -}}
{{- $edge := .spec.edge -}}
{{- $idle := include "callboard.idleSeconds" . -}}
{{- if eq $edge.class "nginx" }}
nginx.ingress.kubernetes.io/proxy-read-timeout: {{ $idle | quote }}
nginx.ingress.kubernetes.io/proxy-send-timeout: {{ $idle | quote }}
{{- if .spec.gateway.listener.tlsSecret }}
nginx.ingress.kubernetes.io/backend-protocol: HTTPS
{{- end }}
{{- else if eq $edge.class "haproxy" }}
haproxy.org/timeout-tunnel: {{ $idle }}s
{{- if .spec.gateway.listener.tlsSecret }}
haproxy.org/server-ssl: "true"
{{- end }}
{{- else if eq $edge.class "alb" }}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ min (atoi $idle) 4000 }}
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ include "callboard.drainSeconds" . }},load_balancing.algorithm.type=least_outstanding_requests
alb.ingress.kubernetes.io/backend-protocol: {{ include "callboard.healthProtocol" . }}
alb.ingress.kubernetes.io/healthcheck-protocol: {{ include "callboard.healthProtocol" . }}
alb.ingress.kubernetes.io/healthcheck-path: /ready
alb.ingress.kubernetes.io/healthcheck-port: traffic-port
{{- end }}
{{- if $edge.tls.issuerRef.name }}
cert-manager.io/{{ ternary "cluster-issuer" "issuer" (eq $edge.tls.issuerRef.kind "ClusterIssuer") }}: {{ $edge.tls.issuerRef.name | quote }}
{{- end }}
{{- end -}}

{{- /* $self: of the public Service. The annotations of edge are the Ingress' or the route's where there is one. */ -}}
{{- define "callboard.publicServiceAnnotations" -}}
{{- $edge := .spec.edge -}}
{{- if eq $edge.kind "loadBalancer" -}}
{{- with $edge.annotations }}{{ toYaml . }}{{ end -}}
{{- else if and (eq $edge.kind "ingress") (eq $edge.class "gce") -}}
cloud.google.com/neg: '{"ingress": true}'
cloud.google.com/backend-config: {{ printf "{\"default\": \"%s\"}" (include "callboard.name" (list . "gateway")) | quote }}
{{- if .spec.gateway.listener.tlsSecret }}
cloud.google.com/app-protocols: '{"websocket": "HTTPS"}'
{{- end }}
{{- end -}}
{{- end -}}

{{- /* list $self HOST: a rule of the Ingress; HOST "": any */ -}}
{{- define "callboard.ingressRule" -}}
- http:
    paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: {{ include "callboard.name" (list (index . 0) "gateway") | quote }}
            port:
              name: websocket
  {{- with index . 1 }}
  host: {{ . | quote }}
  {{- end }}
{{- end -}}
