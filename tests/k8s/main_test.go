// Mistakes planted in the examples of k8s/: each is found, with these words, and nothing else is.
package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const examples = "../../k8s"

var planted = []struct{ file, old, new, wanted string }{
	// What the types know.
	{"ha-sentinel/deployment-chat-gateway.yaml", "minReadySeconds:", "minReadySecond:", `unknown field "spec.minReadySecond"`},
	{"ha-sentinel/deployment-chat-gateway.yaml", "minReadySeconds: 10", `minReadySeconds: "10"`, "cannot unmarshal string"},
	{"ha-sentinel/deployment-chat-gateway.yaml", "minReadySeconds: 10", "minReadySeconds: 10\n  minReadySeconds: 11", "already set in map"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "storage: 8Gi", "storage: 8GB", "quantities must match"},
	{"ha-sentinel/statefulset-chat-redis.yaml", `value: "45"`, "value: 45", "cannot unmarshal number"},
	{"ha-sentinel/service-chat-redis.yaml", "kind: Service", "kind: Servce", `has no kind "Servce"`},
	{"external-gateway-api/httproute-chat-gateway.yaml", "hostnames:", "hosts:", `unknown field "spec.hosts"`},
	{"external-gateway-api/scaledobject-chat-gateway.yaml", `threshold: "13000"`, "threshold: 13000", "cannot unmarshal number"},
	{"elasticache-alb/podmonitor-shop-broker.yaml", "podMetricsEndpoints:", "endpoints:", `unknown field "spec.endpoints"`},
	// Names.
	{"ha-sentinel/service-chat-redis.yaml", "name: chat-redis", "name: 1-redis", "metadata.name"},
	{"dev/statefulset-callboard-broker.yaml", "name: callboard-broker\n  labels", "name: callboard-broker-" + strings.Repeat("x", 36) + "\n  labels", "has 53 characters"},
	{"dev/serviceaccount-callboard-broker.yaml", "name: callboard-broker", "name: callboard-gateway", "stands here twice"},
	{"ha-sentinel/service-chat-redis.yaml", "namespace: chat", "namespace: chats", "objects in 2 namespaces"},
	{"ha-sentinel/service-chat-redis.yaml", "app.kubernetes.io/version: 0.1.0", "app.kubernetes.io/version: 0.1+0", "label app.kubernetes.io/version"},
	{"dev/kustomization.yaml", "- service-callboard-gateway.yaml\n", "", "service-callboard-gateway.yaml is left out"},
	{"dev/kustomization.yaml", "- service-callboard-gateway.yaml\n", "- service-callboard-gateway.yaml\n- service.yaml\n", "service.yaml is not there"},
	// Who means whom.
	{"ha-sentinel/deployment-chat-gateway.yaml", "app.kubernetes.io/component: gateway\n      annotations", "app.kubernetes.io/component: door\n      annotations", "does not match its own template's labels"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "      app.kubernetes.io/component: redis\n  updateStrategy", "  updateStrategy", "means the pods of"},
	{"ha-sentinel/poddisruptionbudget-chat-redis.yaml", "      app.kubernetes.io/component: redis", "      app.kubernetes.io/component: rediss", "spec.selector means no pod"},
	{"ha-sentinel/poddisruptionbudget-chat-redis.yaml", "maxUnavailable: 1", "maxUnavailable: 0", "nodes cannot be drained"},
	{"ha-sentinel/networkpolicy-chat-redis.yaml", "      app.kubernetes.io/component: redis\n  policyTypes", "      app.kubernetes.io/component: rediss\n  policyTypes", "spec.podSelector means no pod"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "component: broker", "component: brokers", "affinity means no pod"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "serviceName: chat-redis-pods", "serviceName: chat-redis", "is not headless"},
	{"ha-sentinel/service-chat-redis-pods.yaml", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", "does not publish pods"},
	{"ha-sentinel/service-chat-redis.yaml", "    app.kubernetes.io/component: redis\n  ports", "    app.kubernetes.io/component: rediss\n  ports", "spec.selector means no pod"},
	// What is mounted and referred to.
	{"ha-sentinel/statefulset-chat-redis.yaml", "- name: conf\n          mountPath: /conf", "- name: config\n          mountPath: /conf", "there is no volume config"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "mountPath: /conf", "mountPath: /data", "mountPath /data stands here twice"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "name: data\n    spec", "name: datas\n    spec", "there is no volume data"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "configMap:\n          name: chat-redis", "configMap:\n          name: chat-rediss", "there is no ConfigMap/chat-rediss"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "secretName: chat-auth", "secretName: chat-auths", "there is no Secret/chat-auths"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "- key: redis-password\n", "- key: redis-pasword\n", `has no key "redis-pasword"`},
	{"ha-sentinel/statefulset-chat-redis.yaml", "serviceAccountName: chat-redis", "serviceAccountName: chat-rediss", "there is no ServiceAccount/chat-rediss"},
	{"ha-sentinel/configmap-chat-broker.yaml", "/etc/callboard/auth/redis-password", "/etc/callboard/auth/redis-pasword", "names /etc/callboard/auth/redis-pasword"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "/secrets/sentinel-password", "/secrets/password", "names /secrets/password"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "fieldPath: status.podIP", "fieldPath: status.podIp", "a pod has no field"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "- name: POD_IP", "- name: POD_NAME", "env POD_NAME stands here twice"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "value: replicated", "value: $(MODE)", "$(MODE) is not set before"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "limits:\n            memory: 4Gi", "limits:\n            memory: 3Gi", "asks for 4Gi memory and may have 3Gi"},
	// Ports.
	{"ha-sentinel/service-chat-redis.yaml", "targetPort: redis", "targetPort: rediss", "has no port rediss"},
	{"ha-sentinel/service-chat-redis-pods.yaml", "port: 6379", "port: 6380", "nothing translates before a headless Service"},
	{"ha-sentinel/service-chat-redis.yaml", "protocol: TCP", "protocol: UDP", "is UDP, that of"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "path: /livez\n            port: probes", "path: /livez\n            port: probe", "livenessProbe: the container has no port probe"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "- name: probes\n          containerPort: 8090", "- name: probes\n          containerPort: 6379", "stands here twice"},
	{"ha-sentinel/networkpolicy-chat-redis.yaml", "    ports:\n    - protocol: TCP\n      port: 6379\n  egress", "    ports:\n    - protocol: TCP\n      port: 6380\n  egress", "has no port 6380"},
	{"elasticache-alb/podmonitor-shop-broker.yaml", "port: internal", "port: metrics", "has no port of this name"},
	{"elasticache-alb/ingress-shop-gateway.yaml", "name: websocket", "name: web", "Service/shop-gateway has no port web"},
	{"ha-sentinel/ingress-chat-gateway.yaml", "name: chat-gateway\n            port", "name: chat-gate\n            port", "there is no Service/chat-gate"},
	{"external-gateway-api/httproute-chat-gateway.yaml", "port: 443", "port: 80", "Service/chat-gateway has no port 80"},
	// Scaling.
	{"elasticache-alb/deployment-shop-gateway.yaml", "spec:\n  minReadySeconds", "spec:\n  replicas: 3\n  minReadySeconds", "each apply would take back"},
	{"external-gateway-api/scaledobject-chat-gateway.yaml", "scaleTargetRef:\n    name: chat-gateway", "scaleTargetRef:\n    name: chat-gate", "there is no Deployment/chat-gate"},
	// Pod Security.
	{"ha-sentinel/statefulset-chat-redis.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot != true"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "        image: redis:7.2\n        imagePullPolicy: IfNotPresent\n        securityContext:\n          allowPrivilegeEscalation: false", "        image: redis:7.2\n        imagePullPolicy: IfNotPresent\n        securityContext:\n          allowPrivilegeEscalation: true", "allowPrivilegeEscalation != false"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "emptyDir:\n          sizeLimit: 16Mi", "hostPath:\n          path: /agent", "restricted volume types"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem is not true"},
	{"ha-sentinel/statefulset-chat-redis.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken is not false"},
}

// An example as it is, or with one of its files otherwise.
func lookAt(t *testing.T, example, changed string, change func(string) string) []string {
	t.Helper()
	found, beside := &report{}, given{}
	beside.addSecrets(filepath.Join(os.Getenv("K8S_SECRETS"), example+".yaml"), found) // which ./check has made
	if err := beside.addList("given/" + example + ".txt"); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(examples, example, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no example %s: %v", example, err)
	}
	var objects []*object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) == changed {
			text = []byte(change(string(text)))
		}
		objects = append(objects, decodeText(file, text, found)...)
	}
	judge(newFolder(objects, beside), found)
	return found.sorted()
}

func TestExamplesFit(t *testing.T) {
	specs, _ := filepath.Glob(filepath.Join(examples, "specs", "*.yaml"))
	for _, spec := range specs {
		example := strings.TrimSuffix(filepath.Base(spec), ".yaml")
		for _, line := range lookAt(t, example, "", nil) {
			t.Error(line)
		}
	}
}

func TestPlantedMistakesAreFound(t *testing.T) {
	for _, mistake := range planted {
		example, file := filepath.Split(mistake.file)
		lines := lookAt(t, filepath.Clean(example), file, func(text string) string {
			if !strings.Contains(text, mistake.old) {
				t.Fatalf("%s does not hold %q", mistake.file, mistake.old)
			}
			return strings.Replace(text, mistake.old, mistake.new, 1)
		})
		if all := strings.Join(lines, "\n"); !strings.Contains(all, mistake.wanted) {
			t.Errorf("%s: %q in place of %q is not found as %q, but:\n%s", mistake.file, mistake.new, mistake.old, mistake.wanted, all)
		}
	}
}
