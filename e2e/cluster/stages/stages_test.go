package stages

import (
	"strings"
	"testing"

	kwok "sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/yaml"
)

// guards says what keeps each of KWOK's Stages away, and how.
var guards = map[string]struct {
	key      string
	operator kwok.SelectorOperator
}{
	"node-initialize": {NotReady, kwok.SelectorOpDoesNotExist}, "node-heartbeat-with-lease": {NotReady, kwok.SelectorOpDoesNotExist},
	"pod-ready": {Incident, kwok.SelectorOpDoesNotExist}, "pod-complete": {Incident, kwok.SelectorOpDoesNotExist},
	"pod-delete": {"deletionGracePeriodSeconds", kwok.SelectorOpNotIn},
}

func TestStockStagesAreGuarded(t *testing.T) {
	documents, err := Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split(documents, "\n---\n") {
		var stage kwok.Stage
		if err := yaml.Unmarshal([]byte(text), &stage); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		guard, stock := guards[stage.Name]
		delete(guards, stage.Name)
		if !stock {
			continue
		}
		last := stage.Spec.Selector.MatchExpressions[len(stage.Spec.Selector.MatchExpressions)-1]
		if !strings.Contains(last.Key, guard.key) || last.Operator != guard.operator {
			t.Errorf("%s is guarded by %q %s, not by %s", stage.Name, last.Key, last.Operator, guard.key)
		}
	}
	for name := range guards {
		t.Errorf("the Stage %s is missing", name)
	}
}

func TestReadyPodsLookAsAKubeletWritesThem(t *testing.T) {
	documents, err := Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"containerID:", "imageID:", "PodReadyToStartContainers", "started: true", "observedGeneration:"} {
		before, _, _ := strings.Cut(documents, "name: pod-complete")
		if !strings.Contains(before, part) {
			t.Errorf("pod-ready writes no %s", part)
		}
	}
}
