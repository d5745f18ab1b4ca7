package fleet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// read decodes the objects of one fixture.
func read(file string) ([]runtime.Object, error) {
	data, err := fixtures.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the fixture %s: %w", file, err)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var out []runtime.Object
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the fixture %s: %w", file, err)
		}
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
		if runtime.IsNotRegisteredError(err) { // a custom resource, or its definition
			custom := &unstructured.Unstructured{}
			err = yaml.Unmarshal(text, &custom.Object)
			o = custom
		}
		if err != nil {
			return nil, fmt.Errorf("decoding the fixture %s: %w", file, err)
		}
		out = append(out, o)
	}
}

// podTemplate is the pod an object makes, or is: its metadata and its spec.
func podTemplate(o runtime.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec
	case *appsv1.StatefulSet:
		return &o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template.ObjectMeta, &o.Spec.JobTemplate.Spec.Template.Spec
	case *corev1.Pod:
		return &o.ObjectMeta, &o.Spec
	}
	return nil, nil
}

// replicas is how many pods an object keeps running.
func replicas(o runtime.Object) int {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return int(*o.Spec.Replicas)
	case *appsv1.StatefulSet:
		return int(*o.Spec.Replicas)
	case *corev1.Pod:
		return 1
	}
	return 0
}

// componentPods is how many pods the runner's components are.
func (r *runner) componentPods() int {
	n := 0
	for _, o := range r.objects {
		n += replicas(o)
	}
	return n
}

// renaming gives a fixture's object other names. Namespaces are replaced where
// they are the whole value, names wherever they occur in one.
type renaming struct {
	exact map[string]string
	parts []string // old, new, old, new…
}

func (r renaming) text(s string) string {
	if to, ok := r.exact[s]; ok {
		return to
	}
	return strings.NewReplacer(r.parts...).Replace(s)
}

func (r renaming) values(m map[string]string) {
	for key, value := range m {
		m[key] = r.text(value)
	}
}

func (r renaming) object(o runtime.Object) {
	meta := o.(metav1.Object)
	meta.SetName(r.text(meta.GetName()))
	meta.SetNamespace(r.text(meta.GetNamespace()))
	r.values(meta.GetLabels())
	switch o := o.(type) {
	case *appsv1.Deployment:
		r.values(o.Spec.Selector.MatchLabels)
	case *appsv1.StatefulSet:
		r.values(o.Spec.Selector.MatchLabels)
		o.Spec.ServiceName = r.text(o.Spec.ServiceName)
	case *corev1.Service:
		r.values(o.Spec.Selector)
	}
	template, spec := podTemplate(o)
	if spec == nil {
		return
	}
	if _, bare := o.(*corev1.Pod); !bare { // a pod's labels are its template's
		r.values(template.Labels)
	}
	spec.ServiceAccountName = r.text(spec.ServiceAccountName)
	for i := range spec.Containers {
		spec.Containers[i].Name = r.text(spec.Containers[i].Name)
		for j := range spec.Containers[i].Env {
			spec.Containers[i].Env[j].Value = r.text(spec.Containers[i].Env[j].Value)
		}
	}
}

var lastNumber = regexp.MustCompile(`^(.*?)(\d+)(\D*)$`)

// age takes the first container's image back by some versions, as far as there are any.
func age(o runtime.Object, behind int) {
	_, spec := podTemplate(o)
	if spec == nil || behind == 0 {
		return
	}
	image := &spec.Containers[0].Image
	*image = Bump(*image, -behind)
}

// Bump changes the last number of an image's tag, down to nought at the least.
// A tag without a version, such as runner_v2 or latest, stays as it is.
func Bump(image string, by int) string {
	name, tag, ok := cutTag(image)
	if !ok || !strings.Contains(tag, ".") {
		return image
	}
	found := lastNumber.FindStringSubmatch(tag)
	if found == nil {
		return image
	}
	digits := found[2]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return image
	}
	return fmt.Sprintf("%s:%s%d%s", name, found[1], max(0, n+by), found[3])
}

// cutTag parts an image into its name and tag; a registry's port is no tag.
func cutTag(image string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") {
		return image, "", false
	}
	return image[:i], image[i+1:], true
}

func merge(into, from map[string]string) map[string]string {
	if into == nil {
		into = map[string]string{}
	}
	maps.Copy(into, from)
	return into
}

// WithTag is an image with another tag.
func WithTag(image, tag string) string {
	name, _, _ := cutTag(image)
	return name + ":" + tag
}
