package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"trackside/handlers"
	"trackside/store"
)

// The shapes are those that Kubiya's public clients decode: kubiyabot/cli internal/kubiya (types.go, client.go) and internal/controlplane,
// kubiyabot/sdk-py kubiya/resources/services/runners.py, kubiyabot/workflow_sdk kubiya_workflow_sdk/client.py and
// terraform-provider-kubiya internal/clients/runners.go. What is the board's own stands beside.

// KubiyaHealth is a health in a list: four strings.
type KubiyaHealth struct {
	Status  string `json:"status" description:"ok, or what else it is; unknown while its cluster does not answer."`
	Health  string `json:"health" description:"true, false, degraded or unknown: a string; blank, as the status is, for a part that the runner does not have."`
	Error   string `json:"error" description:"Why it is not well; blank while it is."`
	Version string `json:"version"`
}

// KubiyaRunner is a runner as Kubiya's clients list it, of whatever system. A runner whose name another has too is named in full, as
// cluster/system/namespace/name, so that what the list names can be asked for.
type KubiyaRunner struct {
	Name                string       `json:"name"`
	WSSURL              string       `json:"wss_url"`
	TaskID              string       `json:"task_id"`
	ManagedBy           string       `json:"managed_by"`
	Description         string       `json:"description"`
	AuthenticationType  string       `json:"authentication_type"`
	Version             int          `json:"version" enum:"[0,2]" description:"The generation: 0 is v1, 2 is v2."`
	RunnerType          string       `json:"runner_type" description:"The runner's system."`
	GatewayURL          string       `json:"gateway_url"`
	Namespace           string       `json:"namespace"`
	KubernetesNamespace string       `json:"kubernetes_namespace"`
	Subject             string       `json:"subject"`
	UserKeyID           string       `json:"user_key_id"`
	RunnerHealth        KubiyaHealth `json:"runner_health"`
	ToolManagerHealth   KubiyaHealth `json:"tool_manager_health"`
	AgentManagerHealth  KubiyaHealth `json:"agent_manager_health"`

	// What the second control plane's clients read.
	Status   string         `json:"status"`
	LastSeen time.Time      `json:"last_seen,omitzero" description:"When the runner's cluster was last heard."`
	Metadata KubiyaMetadata `json:"metadata"`

	// What is the board's own.
	Health       string    `json:"health" enum:"unhealthy,degraded,unknown,healthy" description:"The board's own word, of when it was last true."`
	Reason       string    `json:"reason,omitempty"`
	Why          string    `json:"why"`
	Since        time.Time `json:"since,omitzero"`
	Stale        string    `json:"stale,omitempty"`
	Release      string    `json:"release,omitempty" description:"The version that runs."`
	Requested    string    `json:"requested"`
	Observed     string    `json:"observed"`
	FindingCount int       `json:"finding_count"`
	Path         string    `json:"path"`
}

// KubiyaMetadata tells where a runner is.
type KubiyaMetadata struct {
	Cluster   string `json:"cluster"`
	System    string `json:"system"`
	Namespace string `json:"namespace"`
	Name      string `json:"name" description:"The runner's own name, also where it is named in full."`
}

// KubiyaCheck is one part of a health call.
type KubiyaCheck struct {
	Name     string         `json:"name"`
	Status   string         `json:"status"`
	Version  string         `json:"version"`
	Error    string         `json:"error"`
	Metadata KubiyaRevision `json:"metadata"`
}

// KubiyaRevision is what a part was built from, as far as the board knows.
type KubiyaRevision struct {
	GitSHA  string `json:"git_sha"`
	Release string `json:"release"`
}

// KubiyaHealthCall is the answer to a health call. Health is a string, as theirs is.
type KubiyaHealthCall struct {
	Health  string        `json:"health" enum:"true,false,degraded,unknown"`
	Status  string        `json:"status"`
	Time    time.Time     `json:"time" description:"When the runner's cluster was last heard."`
	Version string        `json:"version"`
	Error   string        `json:"error"`
	Checks  []KubiyaCheck `json:"checks"`

	// What the second control plane's clients read.
	Healthy bool   `json:"healthy"`
	Message string `json:"message"`

	Verdict Verdict `json:"verdict" description:"The board's own word, of when it was last true."`
	Stale   string  `json:"stale,omitempty"`
	Path    string  `json:"path"`
}

// KubiyaURL is where a manifest can be applied from.
type KubiyaURL struct {
	URL string `json:"url"`
}

// KubiyaDetail describes one runner.
type KubiyaDetail struct {
	KubiyaRunner
	Detail Detail `json:"detail" description:"All that the board knows of it."`
}

// kubiyaHealth words a verdict. While its cluster is silent nobody knows: a green from before would be believed.
func kubiyaHealth(v store.Verdict, version, stale string) KubiyaHealth {
	why := v.Why.Absolute()
	switch {
	case stale != "":
		return KubiyaHealth{store.Unknown.String(), store.Unknown.String(), stale, version}
	case v.Health == store.Healthy:
		return KubiyaHealth{"ok", "true", "", version}
	case v.Health == store.Unknown:
		return KubiyaHealth{store.Unknown.String(), store.Unknown.String(), why, version}
	case v.Health == store.Degraded: // "false" would be read as down
		return KubiyaHealth{store.Degraded.String(), store.Degraded.String(), why, version}
	}
	return KubiyaHealth{v.Health.String(), "false", why, version}
}

// kubiyaState is the health of the whole runner. One that is out of service is neither well nor ill.
func kubiyaState(r *store.Runner, stale string) KubiyaHealth {
	h := kubiyaHealth(r.Verdict, r.Version, stale)
	if stale == "" && r.Observed != store.Enabled {
		return KubiyaHealth{r.Observed.String(), store.Unknown.String(), "", r.Version}
	}
	return h
}

// kubiyaPart is the health of a component; of one that the runner does not have nothing is said.
func kubiyaPart(r *store.Runner, name, stale string) KubiyaHealth {
	if c, ok := r.Component(name); ok {
		return kubiyaHealth(c.Verdict, c.Version, stale)
	}
	return KubiyaHealth{}
}

// factOf is what a system says of a runner; blank where it does not.
func factOf(r *store.Runner, name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value.Absolute()
		}
	}
	return ""
}

// generation is 0 for a runner of v1, and 2 for all that are not known to be.
func generation(r *store.Runner) int {
	if r.Has(store.LegacyV1) || strings.HasPrefix(factOf(r, "Generation"), "v1") {
		return 0
	}
	return 2
}

func (a *API) heard(s shown, cluster string) (last time.Time) {
	if at, ok := a.o.Live.Heard(cluster); ok {
		return at.UTC()
	}
	for i := range s.Sources {
		if s.Sources[i].Cluster == cluster && s.Sources[i].Heard.After(last) {
			last = s.Sources[i].Heard
		}
	}
	return utc(last)
}

func (a *API) kubiyaRunner(s shown, r *store.Runner, name string) KubiyaRunner {
	stale := s.stales[r.Ref.Cluster]
	state := kubiyaState(r, stale)
	v := verdictOf(r.Verdict)
	return KubiyaRunner{Name: name, ManagedBy: factOf(r, "Managed by"), Description: factOf(r, "Description"), AuthenticationType: factOf(r, "Authentication"),
		Version: generation(r), RunnerType: r.Ref.System, Namespace: r.Ref.Namespace, KubernetesNamespace: r.Ref.Namespace,
		RunnerHealth: state, ToolManagerHealth: kubiyaPart(r, "tool-manager", stale), AgentManagerHealth: kubiyaPart(r, "agent-manager", stale),
		Status: state.Status, LastSeen: a.heard(s, r.Ref.Cluster), Metadata: KubiyaMetadata{r.Ref.Cluster, r.Ref.System, r.Ref.Namespace, r.Ref.Name},
		Health: v.Health, Reason: v.Reason, Why: v.Why, Since: v.Since, Stale: stale, Release: r.Version,
		Requested: r.Requested.String(), Observed: r.Observed.String(), FindingCount: s.findingCount(r), Path: r.Ref.Path()}
}

// KubiyaRunners is GET /api/v3/runners and /api/v1/runners: an array of all runners, or of those that the fleet's filter lets through.
func (a *API) KubiyaRunners(c echo.Context) error {
	s := a.shown()
	f, err := a.fleet(c, s.Snapshot)
	if err != nil {
		return err
	}
	namesakes := map[string]int{}
	for r := range s.Runners() {
		namesakes[r.Ref.Name]++
	}
	w := a.respond(c, echo.MIMEApplicationJSON)
	w.text("[")
	for i, r := range s.Select(f) {
		name := r.Ref.Name
		if namesakes[name] > 1 {
			name = r.Ref.Full()
		}
		w.item(i, a.kubiyaRunner(s, r, name))
	}
	w.text("]\n")
	return w.end()
}

const (
	kubiyaV3 = "/api/v3/runners/"
	kubiyaV1 = "/api/v1/runners/"
)

// kubiyaPrefix is what stands before the name: both versions of their API name runners alike.
func kubiyaPrefix(c echo.Context) string {
	if strings.HasPrefix(c.Request().URL.EscapedPath(), kubiyaV1) {
		return kubiyaV1
	}
	return kubiyaV3
}

func (a *API) kubiyaNamed(c echo.Context, suffix string) (shown, *store.Runner, error) {
	s := a.shown()
	r, err := a.named(c, s.Snapshot, kubiyaPrefix(c), suffix)
	return s, r, err
}

// KubiyaHealth is GET …/runners/{name}/health.
func (a *API) KubiyaHealth(c echo.Context) error {
	s, r, err := a.kubiyaNamed(c, "health")
	if err != nil {
		return err
	}
	stale := s.stales[r.Ref.Cluster]
	state := kubiyaState(r, stale)
	out := KubiyaHealthCall{Health: state.Health, Status: state.Status, Time: a.heard(s, r.Ref.Cluster), Version: r.Version, Error: state.Error, Checks: []KubiyaCheck{},
		Healthy: state.Health == strconv.FormatBool(true), Message: r.Why.Absolute(), Verdict: verdictOf(r.Verdict), Stale: stale, Path: r.Ref.Path()}
	if stale != "" {
		out.Message = stale
	}
	for i := range r.Components {
		x := &r.Components[i]
		h := kubiyaHealth(x.Verdict, x.Version, stale)
		out.Checks = append(out.Checks, KubiyaCheck{Name: x.Name, Status: h.Status, Version: x.Version, Error: h.Error, Metadata: KubiyaRevision{Release: x.Version}})
	}
	return answer(c, http.StatusOK, out)
}

// KubiyaDescribe is GET …/runners/{name}/describe.
func (a *API) KubiyaDescribe(c echo.Context) error {
	s, r, err := a.kubiyaNamed(c, "describe")
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, KubiyaDetail{a.kubiyaRunner(s, r, r.Ref.Name), s.detail(r)})
}

// KubiyaManifest is POST /api/v3/runners/{name}: it hands out a link to the manifest of a runner that is there. It changes nothing in a
// cluster, and makes no runner: theirs would.
func (a *API) KubiyaManifest(c echo.Context) error { return a.link(c, "") }

// KubiyaGetManifest is GET …/runners/{name}/manifest, for API tokens only: a page of another site can make a browser send a GET.
func (a *API) KubiyaGetManifest(c echo.Context) error {
	if handlers.PersonOf(c).Via != store.ViaToken {
		return fmt.Errorf("%w: a link is made with an API token here; with POST on the runner's own address also without one", store.ErrForbidden)
	}
	return a.link(c, "manifest")
}

func (a *API) link(c echo.Context, suffix string) error {
	_, r, err := a.kubiyaNamed(c, suffix)
	if err != nil {
		return err
	}
	if a.o.Links == nil {
		return fmt.Errorf("%w: this board hands out no manifests", store.ErrForbidden)
	}
	u, err := a.o.Links.LinkToRunner(c, r)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, KubiyaURL{u})
}

// KubiyaDelete is DELETE /api/v3/runners/{name}. That the name stands in the address is its confirmation.
func (a *API) KubiyaDelete(c echo.Context) error {
	s, r, err := a.kubiyaNamed(c, "")
	if err != nil {
		return err
	}
	by := handlers.PersonOf(c)
	act := store.Action{Key: c.Request().Header.Get(keyHeader), Verb: store.VerbDelete, Ref: r.Ref, Incarnation: r.Incarnation, Confirm: r.Ref.Name, By: by, At: time.Now()}
	switch {
	case act.Key != "":
	case r.Incarnation == "": // what is made anew looks the same
		act.Key = rand.Text()
	default: // a request that is sent again is the same action
		sum := sha256.Sum256([]byte(by.Name + "\x00" + r.Ref.String() + "\x00" + r.Incarnation))
		act.Key = madeUp + hex.EncodeToString(sum[:12])
	}
	return a.do(c, http.StatusOK, s.Snapshot, act)
}

// madeUp begins the key of a request that brought none.
const madeUp = "kubiya-delete-"

// do carries an action out and answers with what came of it.
func (a *API) do(c echo.Context, status int, s *store.Snapshot, act store.Action) error {
	if a.o.Actions == nil {
		return errReadOnly
	}
	c.Response().Header().Set(keyHeader, act.Key)
	if err := act.Check(); err != nil {
		return err
	}
	// An action goes on when its caller leaves. One that takes longer than an answer may is answered as under way.
	ctx, cancel := context.WithTimeout(c.Request().Context(), actTime)
	defer cancel()
	out, err := a.o.Actions.Do(ctx, act)
	if err != nil && out.Repeated && strings.HasPrefix(act.Key, madeUp) { // whoever asks again, with no key to change, wants it tried again
		act.Key = rand.Text()
		c.Response().Header().Set(keyHeader, act.Key)
		out, err = a.o.Actions.Do(ctx, act)
	}
	if errors.Is(err, store.ErrNotFound) {
		return noRunner(err, s, act.Ref)
	}
	if err != nil {
		return err
	}
	return answer(c, status, outcomeOf(act, out))
}

// errReadOnly is what every action of a board that changes nothing gets.
var errReadOnly = fmt.Errorf("%w: this board was started with --read-only, so it changes nothing", store.ErrForbidden)
