// Package systems knows the runner systems: how to recognise each, what its components are, which container is the main one,
// its thresholds and its probes. To add a system, add one file with a [System] in it, and nothing else.
package systems

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
)

// Label and annotation keys of our own, which any object may carry.
const (
	// LabelIgnore set to "true" hides an object from the board.
	LabelIgnore = "trackside.dev/ignore"
	// LabelRunner names the runner that an object belongs to, and LabelComponent the part of it.
	LabelRunner    = "trackside.dev/runner"
	LabelComponent = "trackside.dev/component"
	// LabelWorkload set to "true" marks a pod as work that the runner carries, not a part of it.
	LabelWorkload = "trackside.dev/workload"

	// AnnotationMain names a pod's main container; the first one is it otherwise.
	AnnotationMain = "trackside.dev/main-container"
	// AnnotationProbePath and AnnotationProbePort declare an HTTP probe: a path, and a port that defaults to the main container's first.
	AnnotationProbePath = "trackside.dev/probe-path"
	AnnotationProbePort = "trackside.dev/probe-port"
	// The thresholds: a duration such as 90s, and two counts.
	AnnotationStartGrace  = "trackside.dev/start-grace"
	AnnotationInitRetries = "trackside.dev/init-retries"
	AnnotationRestarts    = "trackside.dev/restarts"
	// What a runner offers to a workload that looks for a place: cluster or organization/<name>; k=v,k=v; a,b; and the most that one
	// workload may ask for, as in cpu=8,memory=32Gi,gpu=1.
	AnnotationScope        = "trackside.dev/scope"
	AnnotationLabels       = "trackside.dev/labels"
	AnnotationCapabilities = "trackside.dev/capabilities"
	AnnotationRoom         = "trackside.dev/room"
)

// Object is what a system sees of a Kubernetes object: never the environment, but for the variables in KeepEnv.
type Object struct {
	// Kind is Deployment, StatefulSet, CronJob, Pod, or that of one of the system's watches.
	Kind, Namespace, Name string
	Labels, Annotations   map[string]string
	UID                   types.UID
	// Created is by the cluster's clock; Deleting says that its deletion has begun.
	Created  time.Time
	Deleting bool
	// Spec is the pod's, or the pod template's; nil for an object of a watch.
	Spec *corev1.PodSpec
	// Custom is what is kept of an object of a watch: its spec and status, as JSON decodes them. Other objects have none.
	Custom map[string]any
}

// Claim says where an object belongs.
type Claim struct {
	// Namespace and Runner name the runner. A blank Runner joins the object to the runner whose Carries is Namespace.
	Namespace, Runner string
	// Component names the part of the runner the object is; blank for work.
	Component string
	// Carries is the namespace in which this runner's work stands, where the work does not name its runner.
	Carries string
	// Replicas says that each replica of the object, a StatefulSet, is a runner of its own that bears its pod's name. Runner is the
	// StatefulSet's name then, or the pod's own.
	Replicas bool
}

// Thresholds say how much a runner may struggle before that is a failure; each must be exceeded.
type Thresholds struct {
	// StartGrace is counted from the pod's creation.
	StartGrace time.Duration
	// InitRetries and Restarts count restarts of an init container and of the main container.
	InitRetries, Restarts int32
}

// DefaultThresholds are those of the operators' guides: agyn's orchestrator uses the same three figures.
var DefaultThresholds = Thresholds{StartGrace: time.Minute, InitRetries: 3, Restarts: 3}

// Probe is an HTTP GET that tells whether a component works.
type Probe struct {
	// Path begins with a slash; Port is 1 to 65535.
	Path string
	Port int32
}

// System is one runner system. Every function is pure.
type System struct {
	// Name stands in references and URLs; Title is for people; LooksFor says in words what is looked for.
	Name, Title, LooksFor string
	// Claim recognises an object; false when it is not this system's.
	Claim func(Object) (Claim, bool)
	// Main names the main container of a pod of a component (blank for work).
	Main func(pod Object, component string) string
	// Probe is the HTTP probe of a component; false when it has none.
	Probe func(pod Object, component string) (Probe, bool)
	// RunnerVersion is the runner's own version as an object of it says; blank: it follows from the components.
	RunnerVersion func(Object) string
	// Version is a component's version as its object says; blank: the tag or digest of its main image.
	Version func(Object) string
	// Labels are the keys of the labels that the functions above read; no other survives on a pod in the cache.
	Labels []string
	// Annotations are the keys of the annotations that they read, beside our own.
	Annotations []string
	// KeepEnv names the environment variables that Claim reads. No other survives; none of them may hold a secret.
	KeepEnv []string
	// Watches are the resources it reads beside those that every system reads. Claim is asked about them as well.
	Watches []Watch
	// Switch is how its runners are taken out of service; nil: by scaling their Deployments and StatefulSets to 0 and suspending their
	// CronJobs.
	Switch *Switch
	// Assess adds what only this system knows to a runner that the general rules have looked at.
	Assess func(*View)
	// Manifest is how a new runner of it is written; nil where it cannot be.
	Manifest *Manifest
}

var registry []*System

// register adds a system; a file of this package calls it in a var declaration, so that the file is all there is to add.
func register(s System) *System {
	registry = append(registry, &s)
	slices.SortFunc(registry, func(a, b *System) int { return cmp.Compare(a.Name, b.Name) })
	return &s
}

// All lists the systems by name.
func All() []*System { return registry }

// Names lists the names of the systems.
func Names() []string {
	names := make([]string, len(registry))
	for i, s := range registry {
		names[i] = s.Name
	}
	return names
}

// Recognise returns the system an object belongs to and its place there. Our own labels win: a team that says what its runner is
// called is right.
func Recognise(o Object) (*System, Claim, bool) {
	if o.Labels[LabelIgnore] == "true" {
		return nil, Claim{}, false
	}
	if c, ok := Labelled.Claim(o); ok {
		return Labelled, c, true
	}
	for _, s := range registry {
		if c, ok := s.Claim(o); ok {
			return s, c, true
		}
	}
	return nil, Claim{}, false
}

// Keeps reports whether some system reads that environment variable.
func Keeps(env string) bool {
	return slices.ContainsFunc(registry, func(s *System) bool { return slices.Contains(s.KeepEnv, env) })
}

// KeepsLabel reports whether some system, or the board itself, reads that label.
func KeepsLabel(key string) bool {
	return key == LabelIgnore || slices.ContainsFunc(registry, func(s *System) bool { return slices.Contains(s.Labels, key) })
}

// KeepsAnnotation reports whether some system, or the board itself, reads that annotation.
func KeepsAnnotation(key string) bool {
	return strings.HasPrefix(key, "trackside.dev/") || slices.ContainsFunc(registry, func(s *System) bool { return slices.Contains(s.Annotations, key) })
}

// MainContainer names the main container of a pod.
func (s *System) MainContainer(pod Object, component string) string {
	if n := pod.Annotations[AnnotationMain]; n != "" && hasContainer(pod.Spec, n) {
		return n
	}
	if s != nil && s.Main != nil {
		if n := s.Main(pod, component); hasContainer(pod.Spec, n) {
			return n
		}
	}
	if pod.Spec == nil || len(pod.Spec.Containers) == 0 {
		return ""
	}
	return pod.Spec.Containers[0].Name
}

func hasContainer(spec *corev1.PodSpec, name string) bool {
	return spec != nil && slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == name })
}

// ProbeOf is the HTTP probe of a component: what the annotations declare, else what the system knows. An annotation that is
// wrong is an error, which the board shows on the component.
func (s *System) ProbeOf(pod Object, component string) (Probe, bool, error) {
	path := pod.Annotations[AnnotationProbePath]
	if path == "" {
		if s != nil && s.Probe != nil {
			p, ok := s.Probe(pod, component)
			return p, ok, nil
		}
		return Probe{}, false, nil
	}
	if !fitPath(path) {
		return Probe{}, false, fmt.Errorf("%w: annotation %s must be a plain path that begins with one slash, and is %q", store.ErrInvalid, AnnotationProbePath, store.Clean(path, 80))
	}
	port, err := probePort(pod, s.MainContainer(pod, component))
	return Probe{path, port}, err == nil, err
}

// fitPath reports whether an annotation, or what a form was given, is a path that asks the pod and nobody else: behind a proxy that
// resolves "..", one that climbs would ask the API server itself. It also stands in sentences, so it holds nothing that a sentence may not.
func fitPath(path string) bool {
	u, err := url.ParseRequestURI(path)
	return err == nil && path[0] == '/' && !strings.HasPrefix(path, "//") && len(path) <= 1024 &&
		!strings.ContainsAny(path, " #") && store.Clean(path, len(path)) == path && !slices.Contains(strings.Split(u.Path, "/"), "..")
}

func probePort(pod Object, main string) (int32, error) {
	if v := pod.Annotations[AnnotationProbePort]; v != "" {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil || n == 0 {
			return 0, fmt.Errorf("%w: annotation %s must be a port from 1 to 65535, and is %q", store.ErrInvalid, AnnotationProbePort, store.Clean(v, 40))
		}
		return int32(n), nil
	}
	if pod.Spec != nil {
		for _, c := range pod.Spec.Containers {
			if c.Name == main && len(c.Ports) > 0 {
				return c.Ports[0].ContainerPort, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: annotation %s is set, but container %s declares no port and there is no annotation %s", store.ErrInvalid, AnnotationProbePath, main, AnnotationProbePort)
}

// ThresholdsOf are the thresholds of a pod: the defaults, or what its annotations say. A value that cannot be read leaves the default.
func ThresholdsOf(annotations map[string]string) Thresholds {
	t := DefaultThresholds
	if d, err := time.ParseDuration(annotations[AnnotationStartGrace]); err == nil && d >= 0 && d <= 24*time.Hour {
		t.StartGrace = d
	}
	t.InitRetries = count(annotations[AnnotationInitRetries], t.InitRetries)
	t.Restarts = count(annotations[AnnotationRestarts], t.Restarts)
	return t
}

func count(s string, otherwise int32) int32 {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return int32(n)
	}
	return otherwise
}

// VersionOf is a component's version: what the system reads, else the tag or the digest of the main image.
func (s *System) VersionOf(o Object, component string) string {
	if s != nil && s.Version != nil {
		if v := s.Version(o); v != "" {
			return store.NormalizeVersion(store.Clean(v, 64))
		}
	}
	return ImageVersion(Image(o.Spec, s.MainContainer(o, component)))
}

// Image is the image of a container as its spec names it.
func Image(spec *corev1.PodSpec, container string) string {
	if spec == nil {
		return ""
	}
	for i := range spec.Containers {
		if spec.Containers[i].Name == container {
			return spec.Containers[i].Image
		}
	}
	return ""
}

// ImageVersion is the version an image reference names: its tag, else the first twelve digits of its digest, else blank.
func ImageVersion(image string) string {
	name, digest, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return store.NormalizeVersion(store.Clean(name[i+1:], 64))
	}
	if _, hex, ok := strings.Cut(digest, ":"); ok {
		hex = hex[:min(12, len(hex))]
		return hex[:len(hex)-len(strings.TrimLeft(hex, "0123456789abcdef"))]
	}
	return ""
}
