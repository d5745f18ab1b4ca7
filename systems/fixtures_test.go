package systems_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"trackside/systems"
)

// fixture is one object of the fleet that the end-to-end tests run against.
type fixture struct {
	file   string
	object systems.Object
	// pod is one of the pods that the object makes, as far as its labels go; the object itself when it is a pod.
	pod systems.Object
}

// fixtures reads the objects of one folder of the fleet that a board looks at.
func fixtures(t *testing.T, system string) []fixture {
	t.Helper()
	files, err := filepath.Glob("../e2e/cluster/fleet/" + system + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures of %s: %v", system, err)
	}
	var all []fixture
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
		for {
			doc, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if fx, ok := decode(t, doc); ok {
				fx.file = filepath.Base(f)
				all = append(all, fx)
			}
		}
	}
	return all
}

func decode(t *testing.T, doc []byte) (fixture, bool) {
	t.Helper()
	var kind metav1.TypeMeta
	into := func(o any) {
		t.Helper()
		if err := yaml.Unmarshal(doc, o); err != nil {
			t.Fatal(err)
		}
	}
	into(&kind)
	switch kind.Kind {
	case "Deployment":
		var d appsv1.Deployment
		into(&d)
		return made("Deployment", &d.ObjectMeta, &d.Spec.Template), true
	case "StatefulSet":
		var d appsv1.StatefulSet
		into(&d)
		return made("StatefulSet", &d.ObjectMeta, &d.Spec.Template), true
	case "CronJob":
		var d batchv1.CronJob
		into(&d)
		return made("CronJob", &d.ObjectMeta, &d.Spec.JobTemplate.Spec.Template), true
	case "Pod":
		var p corev1.Pod
		into(&p)
		o := object("Pod", &p.ObjectMeta, &p.Spec)
		return fixture{object: o, pod: o}, true
	}
	return fixture{}, false
}

func made(kind string, m *metav1.ObjectMeta, template *corev1.PodTemplateSpec) fixture {
	pod := template.ObjectMeta.DeepCopy()
	pod.Namespace, pod.Name = m.Namespace, m.Name+"-abcde"
	return fixture{object: object(kind, m, &template.Spec), pod: object("Pod", pod, &template.Spec)}
}

func object(kind string, m *metav1.ObjectMeta, spec *corev1.PodSpec) systems.Object {
	return systems.Object{Kind: kind, Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, Annotations: m.Annotations, Spec: spec}
}
