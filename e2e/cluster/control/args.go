package control

import (
	"fmt"
	"os"

	"trackside/e2e/cluster/stages"
)

// nodeNetwork begins the addresses of nodes. They are not loopback, because
// the API server proxies to no loopback address; podnet leads them to kwok.
const nodeNetwork = "10.250."

const podNetwork = "10.244.0.0/16"

// components are the processes of a cluster, in the order they start.
var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}

// arguments are each component's command line.
func arguments(l layout, s State) map[string][]string {
	return map[string][]string{
		"etcd":                    etcdArguments(l),
		"kube-apiserver":          apiserverArguments(l, s),
		"kube-controller-manager": controllerArguments(l),
		"kube-scheduler": {
			"--kubeconfig=" + l.path("scheduler.kubeconfig"), "--secure-port=0", "--leader-elect=false", "--profiling=false",
			"--kube-api-qps=500", "--kube-api-burst=1000", // the defaults throttle a fleet's start
			"--feature-gates=OpportunisticBatching=false", // it puts small pods one after another on one node
		},
		"kwok": {"--kubeconfig=" + l.path("kwok.kubeconfig"), "--config=" + l.path("kwok.yaml")},
	}
}

func etcdArguments(l layout) []string {
	return []string{
		"--data-dir", l.path("etcd"), "--listen-client-urls", "unix://" + l.socket("etcd"),
		"--advertise-client-urls", "http://127.0.0.111:0", "--listen-peer-urls", "http://127.0.0.1:0",
		"--log-level", "warn", "--quota-backend-bytes", "4294967296",
		"--unsafe-no-fsync", // the data is thrown away; only the machine's own crash could lose it
		"--auto-compaction-mode", "periodic", "--auto-compaction-retention", "5m",
	}
}

func apiserverArguments(l layout, s State) []string {
	return []string{
		"--etcd-servers=unix://" + l.socket("etcd"), "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.Port), "--endpoint-reconciler-type=none",
		"--tls-cert-file=" + l.path("pki", "apiserver.crt"), "--tls-private-key-file=" + l.path("pki", "apiserver.key"),
		"--client-ca-file=" + l.path("pki", "ca.crt"),
		"--kubelet-client-certificate=" + l.path("pki", "kubelet-client.crt"), "--kubelet-client-key=" + l.path("pki", "kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP", // the default asks for names nobody resolves
		"--requestheader-client-ca-file=" + l.path("pki", "front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + l.path("pki", "front-proxy-client.crt"), "--proxy-client-key-file=" + l.path("pki", "front-proxy-client.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + l.path("pki", "sa.pub"),
		"--service-account-signing-key-file=" + l.path("pki", "sa.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--enable-priority-and-fairness=false", "--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
		"--profiling=false", "--shutdown-delay-duration=0s", "--egress-selector-config-file=" + l.path("egress.yaml"),
	}
}

func controllerArguments(l layout) []string {
	return []string{
		"--kubeconfig=" + l.path("kcm.kubeconfig"), "--secure-port=0", "--leader-elect=false", "--profiling=false",
		"--service-account-private-key-file=" + l.path("pki", "sa.key"), "--root-ca-file=" + l.path("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + l.path("pki", "ca.crt"), "--cluster-signing-key-file=" + l.path("pki", "ca.key"),
		"--use-service-account-credentials=true", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--flex-volume-plugin-dir=" + l.path("flexvolume"), // the default lies in /usr
		// Nodes are lost by the node-lost incident alone: an API server frozen for a
		// minute must not, on its return, find all nodes given up.
		"--node-monitor-grace-period=30m", "--node-monitor-period=1s",
		"--controllers=*,-nodeipam,-service-lb-controller,-node-route-controller,-cloud-node-lifecycle-controller",
	}
}

const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %s
`

// The debugging handlers serve logs and exec. CRDs are watched for the same end.
const kwokConfig = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  manageAllNodes: true
  enableDebuggingHandlers: true
  enableProfilingHandler: false
  cidr: %[1]s
  nodeIP: 127.0.0.1
  nodePort: %[2]d
  serverAddress: 127.0.0.1:%[2]d
  tlsCertFile: %[3]s.crt
  tlsPrivateKeyFile: %[3]s.key
  podPlayStageParallelism: 16
  nodePlayStageParallelism: 4
  nodeLeaseParallelism: 4
  nodeLeaseDurationSeconds: 40
  enableCRDs: [Logs, ClusterLogs, Exec, ClusterExec, PortForward, ClusterPortForward]
---
%[4]s`

// writeConfigs writes the files the components read besides keys.
func writeConfigs(l layout, s State) error {
	documents, err := stages.Documents()
	if err != nil {
		return err
	}
	files := map[string]string{
		"egress.yaml": fmt.Sprintf(egressConfig, s.Podnet),
		"kwok.yaml":   fmt.Sprintf(kwokConfig, podNetwork, s.Kubelet, l.path("pki", "kubelet"), documents),
	}
	for name, text := range files {
		if err := os.WriteFile(l.path(name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing a component's configuration: %w", err)
		}
	}
	return nil
}
