package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	"trackside/poller/kube"
	"trackside/store"
	"trackside/systems"
)

const deploy = "../../deploy"

// What stands in deploy is what the generator writes, and the same each time.
func TestGenerated(t *testing.T) {
	known := map[string]bool{}
	for _, m := range manifests() {
		known[m.path] = true
		want, err := m.render()
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join(deploy, m.path))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(have)); diff != "" {
			t.Errorf("%s is out of date: run make generate\n%s", m.path, diff)
		}
	}
	// A role written by hand would escape the comparison above.
	err := filepath.WalkDir(deploy, func(path string, _ fs.DirEntry, err error) error {
		body, _ := os.ReadFile(path)
		rel, _ := filepath.Rel(deploy, path)
		if !known[rel] && strings.HasSuffix(path, ".yaml") && bytes.Contains(body, []byte("\nrules:")) {
			t.Errorf("%s holds rules and is not generated", rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is granted is what a running Trackside asks for: no verb less, and none more.
func TestGrantedIsUsed(t *testing.T) {
	granted := map[string]bool{}
	for _, r := range slices.Concat(kube.Rules(), kube.ClusterRules(), kube.ProbeRules(), kube.LogRules()) {
		grant(granted, r)
	}
	api := newAPI(t)
	run(t, api, len(granted))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(granted)), api.asked()); diff != "" {
		t.Errorf("granted (-) is not what was asked for (+):\n%s", diff)
	}
}

func grant(to map[string]bool, r rbacv1.PolicyRule) {
	for _, v := range r.Verbs {
		for _, u := range r.NonResourceURLs {
			to[v+" "+u] = true
		}
		for _, g := range r.APIGroups {
			for _, res := range r.Resources {
				to[v+" "+g+"/"+res] = true
			}
		}
	}
}

// run watches until n different things were asked for, and a little longer.
func run(t *testing.T, api *api, n int) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := kube.New(kube.Config{Alias: "test", REST: &rest.Config{Host: api.URL}, Probes: kube.ProbeAPIProxy, CaptureLogs: true,
		Log: slog.New(slog.DiscardHandler), Heard: func(string, time.Time) {}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	snap := &store.Snapshot{}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-c.Wake():
			snap, _ = store.Apply(snap, c.Observe(snap, nil, time.Now()), time.Now())
		case <-time.After(time.Second):
			if len(api.asked()) >= n {
				cancel()
			}
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// api is as much of an API server as it takes: one Deployment that is labelled as a runner only after its pod, which is not, was listed.
type api struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]bool
}

func newAPI(t *testing.T) *api {
	a := &api{seen: map[string]bool{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.CloseClientConnections)
	return a
}

func (a *api) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.seen))
}

// question words a request as a rule words a grant.
func question(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "readyz" {
		return "get /readyz"
	}
	group := ""
	if parts[0] == "apis" {
		group, parts = parts[1], parts[1:]
	}
	parts = parts[2:] // the prefix and the version
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	verb, resource := "list", parts[0]
	switch {
	case r.Method != http.MethodGet:
		verb = strings.ToLower(r.Method)
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	case len(parts) > 1:
		verb = "get"
	}
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	return verb + " " + group + "/" + resource
}

// discovery answers which resources of a group and version are served: all that some system watches. Everybody may ask that.
func discovery(w http.ResponseWriter, r *http.Request) bool {
	served := []object{}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "apis" && len(parts) != 3 || parts[0] == "api" && len(parts) != 2 || parts[0] == "readyz" {
		return false
	}
	for _, x := range kube.Watches() {
		if gv := strings.Trim(x.Group+"/"+x.Version, "/"); gv == strings.Join(parts[1:], "/") {
			served = append(served, object{"name": x.Resource})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{"kind": "APIResourceList", "apiVersion": "v1", "resources": served})
	return true
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if discovery(w, r) {
		return
	}
	q := question(r)
	a.mu.Lock()
	a.seen[q] = true
	a.mu.Unlock()
	verb, what, _ := strings.Cut(q, " ")
	kind, item := objectsOf(what)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case what == "/readyz", what == "/pods/proxy", what == "/pods/log":
		_, _ = w.Write([]byte("ok"))
	case verb == "get":
		_ = json.NewEncoder(w).Encode(item)
	case verb == "watch" && r.URL.Query().Get("sendInitialEvents") != "":
		// An API server without streaming lists: then list is asked for, which such servers need.
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422})
	case verb == "watch":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		if kind == "Deployment" {
			time.Sleep(300 * time.Millisecond)
			meta := maps.Clone(item["metadata"].(object))
			meta["resourceVersion"], meta["labels"] = "2", object{systems.LabelRunner: "late"}
			meta["annotations"] = object{systems.AnnotationProbePath: "/", systems.AnnotationProbePort: "8080"}
			item = maps.Clone(item)
			item["metadata"] = meta
			_ = json.NewEncoder(w).Encode(object{"type": "MODIFIED", "object": item})
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	case kind == "":
		_ = json.NewEncoder(w).Encode(object{"kind": "List", "apiVersion": apiVersion(what), "metadata": object{"resourceVersion": "1"}, "items": []object{}})
	default:
		items := []object{}
		if item != nil {
			items = append(items, item)
		}
		_ = json.NewEncoder(w).Encode(object{"kind": kind + "List", "apiVersion": apiVersion(what), "metadata": object{"resourceVersion": "1"}, "items": items})
	}
}

type object map[string]any

func apiVersion(what string) string {
	if group, _, _ := strings.Cut(what, "/"); group != "" {
		return group + "/v1"
	}
	return "v1"
}

func objectsOf(what string) (kind string, item object) {
	meta := func(name, ownerKind, owner string) object {
		m := object{"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1"}
		if owner != "" {
			m["ownerReferences"] = []object{{"apiVersion": "apps/v1", "kind": ownerKind, "name": owner, "uid": owner, "controller": true}}
		}
		return m
	}
	begun := time.Now().Format(time.RFC3339)
	template := object{"spec": object{"containers": []object{{"name": "main", "image": "registry.example.com/main:1"}}}}
	switch what {
	case "apps/deployments":
		return "Deployment", object{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": meta("late", "", ""), "spec": object{"replicas": 1, "template": template}}
	case "apps/replicasets":
		return "ReplicaSet", object{"metadata": meta("late-1", "Deployment", "late"), "spec": object{"template": template}}
	case "/pods":
		return "Pod", object{"kind": "Pod", "apiVersion": "v1", "metadata": meta("late-1-x", "ReplicaSet", "late-1"), "spec": template["spec"],
			"status": object{"phase": "Running", "podIP": "192.0.2.1", "containerStatuses": []object{{"name": "main", "restartCount": 9,
				"state": object{"waiting": object{"reason": "CrashLoopBackOff"}}, "lastState": object{"terminated": object{"exitCode": 1, "startedAt": begun, "finishedAt": begun}}}}}}
	}
	return map[string]string{"apps/statefulsets": "StatefulSet", "batch/cronjobs": "CronJob", "batch/jobs": "Job", "/nodes": "Node", "/events": "Event"}[what], nil
}
