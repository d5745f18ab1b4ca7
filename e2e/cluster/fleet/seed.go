package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
)

// seeder writes a fleet into a cluster.
type seeder struct {
	client kubernetes.Interface
	custom *custom
	say    func(string, ...any)
	nodes  []string // where pods of a large fleet are put, past the scheduler
}

// workers is how many requests are under way at once.
const workers = 32

// parallel does do(0) to do(n-1) by workers, and stops at the first error.
func parallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var crew sync.WaitGroup
	for range min(workers, n) {
		crew.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	crew.Wait()
	return context.Cause(ctx)
}

// seed creates namespaces and definitions, then components, then workloads and strangers, and waits for all to be Ready.
func (s *seeder) seed(ctx context.Context, runners []*runner, size Size) error {
	if size.Given() {
		if err := s.findNodes(ctx); err != nil {
			return err
		}
	}
	var definitions, customs, objects, pods []runtime.Object
	var namespaces []string
	for _, r := range runners {
		for _, o := range r.objects {
			switch _, isCustom := o.(*unstructured.Unstructured); {
			case o.(metav1.Object).GetNamespace() == "":
				definitions = append(definitions, o)
			case isCustom:
				customs = append(customs, o)
			default:
				objects = append(objects, o)
			}
		}
		namespaces = append(namespaces, r.namespaces()...)
		for _, pod := range r.workloads {
			pods = append(pods, pod)
		}
	}
	ours := slices.Clone(namespaces)
	for n := range size.Foreign {
		pod, err := foreign(n)
		if err != nil {
			return err
		}
		pods = append(pods, pod)
		namespaces = append(namespaces, pod.Namespace)
	}
	if err := s.createNamespaces(ctx, namespaces); err != nil {
		return err
	}
	for _, batch := range [][]runtime.Object{definitions, customs, objects, pods} {
		if err := parallel(ctx, len(batch), func(ctx context.Context, i int) error { return s.create(ctx, batch[i], i) }); err != nil {
			return err
		}
	}
	s.say("%d runners, %d objects and %d pods besides are created; waiting for them to run", len(runners), len(objects), len(pods))
	if err := s.settle(ctx); err != nil {
		return err
	}
	return s.age(ctx, ours, !size.Given())
}

func (s *seeder) findNodes(ctx context.Context) error {
	nodes, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	for _, n := range nodes.Items {
		if n.Annotations[simulated] != "" {
			s.nodes = append(s.nodes, n.Name)
		}
	}
	return nil
}

func (s *seeder) createNamespaces(ctx context.Context, names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	return parallel(ctx, len(names), func(ctx context.Context, i int) error {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names[i]}}
		_, err := s.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: "helm"})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the namespace %s: %w", names[i], err)
		}
		return nil
	})
}

// create creates one object; one that is there already stays as it is. A pod
// is refused until its namespace has a ServiceAccount, which takes a moment.
func (s *seeder) create(ctx context.Context, o runtime.Object, i int) error {
	if pod, ok := o.(*corev1.Pod); ok && len(s.nodes) > 0 {
		pod.Spec.NodeName = s.nodes[i%len(s.nodes)]
	}
	var err error
	for range 300 {
		err = s.createOnce(ctx, o)
		if !apierrors.IsForbidden(err) && !apierrors.IsTooManyRequests(err) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	meta := o.(metav1.Object)
	return fmt.Errorf("creating %T %s/%s: %w", o, meta.GetNamespace(), meta.GetName(), err)
}

func (s *seeder) createOnce(ctx context.Context, o runtime.Object) error {
	var err error
	options := metav1.CreateOptions{FieldManager: "helm"}
	switch o := o.(type) {
	case *appsv1.Deployment:
		_, err = s.client.AppsV1().Deployments(o.Namespace).Create(ctx, o, options)
	case *appsv1.StatefulSet:
		_, err = s.client.AppsV1().StatefulSets(o.Namespace).Create(ctx, o, options)
	case *batchv1.CronJob:
		_, err = s.client.BatchV1().CronJobs(o.Namespace).Create(ctx, o, options)
	case *corev1.Service:
		_, err = s.client.CoreV1().Services(o.Namespace).Create(ctx, o, options)
	case *corev1.ServiceAccount:
		_, err = s.client.CoreV1().ServiceAccounts(o.Namespace).Create(ctx, o, options)
	case *corev1.Pod:
		if err := s.custom.own(ctx, o); err != nil {
			return err
		}
		options.FieldManager = "runner-controller"
		_, err = s.client.CoreV1().Pods(o.Namespace).Create(ctx, o, options)
	default:
		err = s.custom.create(ctx, o)
	}
	return err
}

// settle waits until every Deployment and StatefulSet has its pods Ready and no pod is Pending.
func (s *seeder) settle(ctx context.Context) error {
	var why error
	for deadline := time.Now().Add(15 * time.Minute); time.Now().Before(deadline); {
		if why = s.unsettled(ctx); why == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return fmt.Errorf("waiting for the fleet to run: %w", why)
}

// unsettled says what is not running yet.
func (s *seeder) unsettled(ctx context.Context) error {
	deployments, err := s.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, d := range deployments.Items {
		if d.Status.ReadyReplicas < *d.Spec.Replicas {
			return fmt.Errorf("deployment %s/%s has %d of %d pods Ready", d.Namespace, d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas)
		}
	}
	sets, err := s.client.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, set := range sets.Items {
		if set.Status.ReadyReplicas < *set.Spec.Replicas {
			return fmt.Errorf("stateful set %s/%s has %d of %d pods Ready", set.Namespace, set.Name, set.Status.ReadyReplicas, *set.Spec.Replicas)
		}
	}
	pending, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Pending", Limit: 1})
	if err != nil {
		return err
	}
	if len(pending.Items) > 0 {
		return fmt.Errorf("pod %s/%s is Pending", pending.Items[0].Namespace, pending.Items[0].Name)
	}
	return nil
}

// report says how large the fleet and a pod of it are.
func (s *seeder) report(ctx context.Context, runners []*runner) error {
	var sizes []int
	pods := 0
	for i, r := range runners {
		pods += r.componentPods() + len(r.workloads)
		if i >= 20 {
			continue // twenty runners are sample enough
		}
		names := r.namespaces()
		slices.Sort(names)
		for _, namespace := range slices.Compact(names) {
			list, err := s.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 50})
			if err != nil {
				return fmt.Errorf("measuring the pods of %s: %w", namespace, err)
			}
			for _, pod := range list.Items {
				data, err := json.Marshal(pod)
				if err != nil {
					return fmt.Errorf("measuring the pod %s: %w", pod.Name, err)
				}
				sizes = append(sizes, len(data))
			}
		}
	}
	slices.Sort(sizes)
	s.say("%d runners run in %d pods; a pod is %.1f KB of JSON (%.1f to %.1f)", len(runners), pods,
		kb(sizes[len(sizes)/2]), kb(sizes[0]), kb(sizes[len(sizes)-1]))
	return nil
}

func kb(n int) float64 { return float64(n) / 1000 }
