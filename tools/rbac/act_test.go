package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
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
	"sigs.k8s.io/yaml"

	"trackside/poller/kube"
	"trackside/store"
)

// What acting on every runner of every system asks for is what is granted for it: no verb less, and none more. Nothing of it is about
// Secrets.
func TestActGrantedIsUsed(t *testing.T) {
	api := newFleetAPI(t)
	c, snap := watchFleet(t, api)
	for r := range snap.Runners() {
		actOnAll(t, c, r)
	}
	used := map[string]bool{}
	for _, q := range api.asked() {
		if verb, _, _ := strings.Cut(q, " "); verb != "watch" {
			used[q] = true
		}
	}
	granted, viewed := map[string]bool{}, map[string]bool{}
	for _, r := range kube.ActRules() {
		grant(granted, r)
	}
	for _, r := range slices.Concat(kube.Rules(), kube.ClusterRules()) {
		grant(viewed, r)
	}
	delete(used, "create authorization.k8s.io/selfsubjectaccessreviews") // everybody's
	for q := range used {
		if viewed[q] && !granted[q] {
			delete(used, q)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(granted)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("granted (-) is not what was asked for (+):\n%s", diff)
	}
	for q := range granted {
		if strings.Contains(q, "secrets") {
			t.Errorf("granted: %s", q)
		}
	}
}

// No manifest that is generated names a Secret.
func TestNoRoleReachesSecrets(t *testing.T) {
	for _, m := range manifests() {
		for _, r := range m.rules {
			if slices.ContainsFunc(r.Resources, func(s string) bool { return s == "*" || strings.HasPrefix(s, "secrets") }) || slices.Contains(r.Verbs, rbacv1.VerbAll) {
				t.Errorf("%s grants %v on %v", m.path, r.Verbs, r.Resources)
			}
		}
	}
}

// watchFleet has a cluster see the fleet.
func watchFleet(t *testing.T, api *fleetAPI) (*kube.Cluster, *store.Snapshot) {
	t.Helper()
	c, err := kube.New(kube.Config{Alias: "test", REST: &rest.Config{Host: api.URL, QPS: 1000, Burst: 1000}, Probes: kube.ProbeOff,
		Log: slog.New(slog.DiscardHandler), Heard: func(string, time.Time) {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	snap := &store.Snapshot{}
	for end := time.After(20 * time.Second); snap.Len() < 10; {
		select {
		case <-end:
			t.Fatalf("only %d runners are seen", snap.Len())
		case <-c.Wake():
			snap, _ = store.Apply(snap, c.Observe(snap, nil, time.Now()), time.Now())
		}
	}
	return c, snap
}

// actOnAll does everything that can be done to a runner. What it cannot is refused, which is not what is tested here.
func actOnAll(t *testing.T, c *kube.Cluster, r *store.Runner) {
	t.Helper()
	do := func(verb store.Verb, target string) {
		a := store.Action{Key: string(verb), Verb: verb, Ref: r.Ref, Target: target, Note: "n", At: time.Now(), Confirm: r.Ref.Name, By: store.Person{Name: "ada"}}
		if _, err := c.Do(t.Context(), a, r); err != nil && verb == store.VerbDelete {
			t.Errorf("%s of %s: %v", verb, r.Ref, err)
		}
	}
	do(store.VerbDisable, "")
	do(store.VerbEnable, "")
	for _, x := range r.Components {
		do(store.VerbRestart, x.Name)
	}
	for _, w := range r.Workloads {
		do(store.VerbDeleteWorkload, w.Namespace+"/"+w.Name)
	}
	do(store.VerbDelete, "")
}

// fleetAPI is as much of an API server as acting takes: the standard fleet's objects, which can be read, changed and deleted.
type fleetAPI struct {
	*httptest.Server
	mu      sync.Mutex
	seen    map[string]bool
	objects map[string]object // by resource, namespace and name
}

func newFleetAPI(t *testing.T) *fleetAPI {
	t.Helper()
	a := &fleetAPI{seen: map[string]bool{}, objects: map[string]object{}}
	files, err := filepath.Glob("../../e2e/cluster/fleet/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(body, []byte("\n---\n")) {
			var o object
			if err := yaml.Unmarshal(doc, &o); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			a.add(o)
		}
	}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.CloseClientConnections)
	return a
}

// plurals are those that "s" does not make.
var plurals = map[string]string{"projectsettings": "projectsettings"}

func (a *fleetAPI) add(o object) {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	m, _ := o["metadata"].(map[string]any)
	if m == nil {
		return
	}
	group := ""
	if g, _, ok := strings.Cut(version, "/"); ok {
		group = g
	}
	resource := strings.ToLower(kind)
	if plurals[resource] == "" {
		resource += "s"
	}
	ns, _ := m["namespace"].(string)
	name, _ := m["name"].(string)
	m["uid"], m["resourceVersion"] = resource+"-"+ns+"-"+name, "1"
	if kind == "Pod" {
		o["status"] = object{"phase": "Running"}
	}
	a.objects[group+"/"+resource+" "+ns+" "+name] = o
}

func (a *fleetAPI) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.seen))
}

// address takes a request's path apart.
func address(r *http.Request) (what, ns, name string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	if parts[0] == "apis" {
		group, parts = parts[1], parts[1:]
	}
	parts = parts[2:]
	if len(parts) > 2 && parts[0] == "namespaces" {
		ns, parts = parts[1], parts[2:]
	}
	if len(parts) > 1 {
		name = parts[1]
	}
	return group + "/" + parts[0], ns, name
}

func (a *fleetAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(r.URL.Path, "/readyz") {
		_, _ = w.Write([]byte("ok"))
		return
	}
	if discovery(w, r) {
		return
	}
	what, ns, name := address(r)
	verb := map[string]string{http.MethodPost: "create", http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodGet: "list"}[r.Method]
	if r.Method == http.MethodGet && name != "" {
		verb = "get"
	}
	if r.URL.Query().Get("watch") != "" {
		verb = "watch"
	}
	a.mu.Lock()
	a.seen[verb+" "+what] = true
	a.mu.Unlock()
	a.answer(w, r, verb, what, ns, name)
}

func (a *fleetAPI) answer(w http.ResponseWriter, r *http.Request, verb, what, ns, name string) {
	key := what + " " + ns + " " + name
	a.mu.Lock()
	defer a.mu.Unlock()
	o, ok := a.objects[key]
	switch {
	case verb == "watch" && r.URL.Query().Get("sendInitialEvents") != "":
		refuse(w, http.StatusUnprocessableEntity, "Invalid")
	case verb == "watch":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		a.mu.Unlock()
		<-r.Context().Done()
		a.mu.Lock()
	case verb == "list":
		a.list(w, what, ns)
	case verb == "create":
		var body object
		raw, _ := io.ReadAll(r.Body)
		if json.Unmarshal(raw, &body) != nil { // protobuf
			body = object{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
		}
		body["status"] = object{"allowed": true}
		_ = json.NewEncoder(w).Encode(body)
	case !ok:
		refuse(w, http.StatusNotFound, "NotFound")
	case verb == "delete":
		delete(a.objects, key)
		fallthrough
	default:
		_ = json.NewEncoder(w).Encode(o)
	}
}

func (a *fleetAPI) list(w http.ResponseWriter, what, ns string) {
	items := []object{}
	group, _, _ := strings.Cut(what, "/")
	kind, version := "List", "v1"
	if group != "" {
		version = group + "/v1"
	}
	for _, key := range slices.Sorted(maps.Keys(a.objects)) {
		f := strings.Split(key, " ")
		if f[0] == what && (ns == "" || f[1] == ns) {
			items = append(items, a.objects[key])
			kind, _ = a.objects[key]["kind"].(string)
			kind += "List"
			version, _ = a.objects[key]["apiVersion"].(string)
		}
	}
	if len(items) == 0 {
		if k, _ := objectsOf(what); k != "" {
			kind = k + "List"
		}
	}
	_ = json.NewEncoder(w).Encode(object{"kind": kind, "apiVersion": version, "metadata": object{"resourceVersion": "1"}, "items": items})
}

func refuse(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})
}
