package systems

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What the objects of every manifest have in common: nothing runs as root, every container is bounded, a disruption budget stands
// beside what may have one replica, and an account has no more rights than its system needs.

const managedByTrackside = "trackside"

// plan is a runner being written: where it stands and what its objects are called.
type plan struct {
	v               Values
	namespace, name string
	labels          map[string]string
}

// newPlan is a plan with the recommended labels; the version is that of an image, blank where it names none.
func newPlan(v Values, app, version string) plan {
	labels := map[string]string{nameLabel: app, instanceLabel: v.Text("name"), managedByLabel: managedByTrackside}
	if version != "" && len(version) <= 63 {
		labels[versionLabel] = version
	}
	return plan{v: v, namespace: v.Text("namespace"), name: v.Text("name"), labels: labels}
}

func (p plan) meta(name string, more map[string]string) metav1.ObjectMeta {
	labels := maps.Clone(p.labels)
	maps.Copy(labels, more)
	return metav1.ObjectMeta{Namespace: p.namespace, Name: name, Labels: labels}
}

func typed(group, kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: group, Kind: kind} }

// pod hardens a pod's spec.
func (p plan) pod(account string, containers ...corev1.Container) corev1.PodSpec {
	user, yes, no := int64(p.v.Number("user")), true, false
	return corev1.PodSpec{
		ServiceAccountName: account, AutomountServiceAccountToken: &no, EnableServiceLinks: &no, Containers: containers,
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
	}
}

// withAPI lets a pod speak to the API server as its account.
func withAPI(s corev1.PodSpec) corev1.PodSpec {
	yes := true
	s.AutomountServiceAccountToken = &yes
	return s
}

// confined is the security context of every container.
func confined() *corev1.SecurityContext {
	no := false
	return &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
}

// sized are the resources that the form asks for.
func (p plan) sized() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: p.v.Quantity("cpuRequest"), corev1.ResourceMemory: p.v.Quantity("memoryRequest")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: p.v.Quantity("cpuLimit"), corev1.ResourceMemory: p.v.Quantity("memoryLimit")},
	}
}

// fixed are resources that no form asks for.
func fixed(cpuRequest, cpuLimit, memoryRequest, memoryLimit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpuRequest), corev1.ResourceMemory: resource.MustParse(memoryRequest)},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpuLimit), corev1.ResourceMemory: resource.MustParse(memoryLimit)},
	}
}

// deployment makes one whose pods bear the selector's labels beside the common ones.
func (p plan) deployment(name string, replicas int32, selector map[string]string, spec corev1.PodSpec) *appsv1.Deployment {
	return &appsv1.Deployment{TypeMeta: typed("apps/v1", "Deployment"), ObjectMeta: p.meta(name, selector), Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: selector},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.meta("", selector).Labels}, Spec: spec}}}
}

// budget guards the pods of a selector: the only one is not taken away by a drain, of several one at a time.
func (p plan) budget(name string, replicas int32, selector map[string]string) *policyv1.PodDisruptionBudget {
	one := intstr.FromInt32(1)
	spec := policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: selector}}
	if replicas > 1 {
		spec.MaxUnavailable = &one
	} else {
		spec.MinAvailable = &one
	}
	return &policyv1.PodDisruptionBudget{TypeMeta: typed("policy/v1", "PodDisruptionBudget"), ObjectMeta: p.meta(name, nil), Spec: spec}
}

func (p plan) account(name string) *corev1.ServiceAccount {
	no := false
	return &corev1.ServiceAccount{TypeMeta: typed("v1", "ServiceAccount"), ObjectMeta: p.meta(name, nil), AutomountServiceAccountToken: &no}
}

// rule is verbs on resources of one API group.
func rule(group string, verbs []string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

// role makes a role in a namespace, which is not always the runner's own, and binds an account of the runner's namespace to it.
func (p plan) role(namespace, name, account string, rules ...rbacv1.PolicyRule) (*rbacv1.Role, *rbacv1.RoleBinding) {
	meta := p.meta(name, nil)
	meta.Namespace = namespace
	return &rbacv1.Role{TypeMeta: typed("rbac.authorization.k8s.io/v1", "Role"), ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{TypeMeta: typed("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: meta,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: p.namespace, Name: account}}}
}

func (p plan) service(name string, headless bool, selector map[string]string, ports ...corev1.ServicePort) *corev1.Service {
	s := &corev1.Service{TypeMeta: typed("v1", "Service"), ObjectMeta: p.meta(name, nil), Spec: corev1.ServiceSpec{Selector: selector, Ports: ports}}
	if headless {
		s.Spec.ClusterIP = corev1.ClusterIPNone
	}
	return s
}

func (p plan) config(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: typed("v1", "ConfigMap"), ObjectMeta: p.meta(name, nil), Data: data}
}

// httpProbe asks by HTTP. The figures are in the order of the Kubernetes documentation: initial delay, period, timeout, failures.
func httpProbe(path string, port int32, delay, period, timeout, failures int32) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}},
		InitialDelaySeconds: delay, PeriodSeconds: period, TimeoutSeconds: timeout, FailureThreshold: failures}
}

// execProbe runs a command, with the figures in the same order.
func execProbe(command []string, delay, period, timeout, failures int32) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}},
		InitialDelaySeconds: delay, PeriodSeconds: period, TimeoutSeconds: timeout, FailureThreshold: failures}
}

// processRuns is for programs without any address to ask: it fails when the container's first process is stopped, traced or a zombie,
// which is little, and more than nothing. It needs a shell and grep in the image.
var processRuns = []string{"sh", "-c", `grep -q "^State:[[:space:]]*[RSDI]" /proc/1/status`}

func env(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }

func envSecret(name, secret, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key}}}
}

func envField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func secretVolume(name, secret string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}
}

func configVolume(name, config string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: config}}}}
}

// scratch is room for files that live as long as the pod, with a bound.
func scratch(name, size string) corev1.Volume {
	limit := resource.MustParse(size)
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}}
}

func mount(name, path string, readOnly bool) corev1.VolumeMount {
	return corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: readOnly}
}

func port(name string, number int32) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: number}
}

func servicePort(name string, number, target int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromInt32(target)}
}

// alike sets what all containers of a pod have in common.
func alike(s corev1.PodSpec) corev1.PodSpec {
	for i := range s.InitContainers {
		s.InitContainers[i].SecurityContext = confined()
	}
	for i := range s.Containers {
		s.Containers[i].SecurityContext = confined()
	}
	return s
}
