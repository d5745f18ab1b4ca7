package fleet

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	standardNodes = 8   // one lost leaves most of the fleet alone
	podsPerNode   = 200 // of the 250 a node holds: room for roll-outs
	simulated     = "kwok.x-k8s.io/node"
)

// EnsureNodes creates the simulated nodes node-0 to node-(n-1) that are not there.
func EnsureNodes(ctx context.Context, client kubernetes.Interface, n int) error {
	return parallel(ctx, n, func(ctx context.Context, i int) error {
		_, err := client.CoreV1().Nodes().Create(ctx, node(i), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating node-%d: %w", i, err)
		}
		return nil
	})
}

// ensureSimulated adds nodes to a cluster of simulated ones; to any other it adds none.
func ensureSimulated(ctx context.Context, client kubernetes.Interface, n int) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	for _, node := range nodes.Items {
		if node.Annotations[simulated] == "" {
			return nil
		}
	}
	return EnsureNodes(ctx, client, n)
}

func node(i int) *corev1.Node {
	name := fmt.Sprintf("node-%d", i)
	// Small enough that a few pods more or less count in the scheduler's eyes, which then spreads them.
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("16Gi"),
		corev1.ResourcePods: resource.MustParse("250"), corev1.ResourceEphemeralStorage: resource.MustParse("900Gi"),
	}
	labels := map[string]string{
		"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "type": "kwok",
		"node-role.kubernetes.io/worker": "", "topology.kubernetes.io/zone": fmt.Sprintf("zone-%c", 'a'+i%3),
	}
	if i%2 == 0 { // half of them have gVisor
		labels["cloud.google.com/gke-sandbox"] = "true"
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: labels,
			Annotations: map[string]string{simulated: "fake"},
		},
		// Not a loopback address: the API server proxies to none. The pod network leads it to kwok.
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.250.%d.%d", i/250, i%250+1)},
				{Type: corev1.NodeHostName, Address: name}, // with one of the two missing, kwok would drop the other
			},
			Allocatable: room, Capacity: room,
		},
	}
}
