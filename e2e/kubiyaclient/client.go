// Package kubiyaclient is a client of Kubiya's runner API as its public ones are: the calls and the shapes of the command line
// (kubiyabot/cli internal/kubiya), of the Python SDK (kubiyabot/sdk-py) with its five health calls at once, and of the older SDK
// (kubiyabot/workflow_sdk). It shares no code with the board, so that what the two agree on is the protocol.
package kubiyaclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Health is one of the four strings of a health in the list.
type Health struct {
	Status  string `json:"status"`
	Health  string `json:"health"`
	Error   string `json:"error"`
	Version string `json:"version"`
}

// OK is what the command line takes for well: a status of healthy, ok or ready, or a health of healthy, true or ok.
func (h Health) OK() bool {
	return h.Status == "healthy" || h.Status == "ok" || h.Status == "ready" || h.Health == "healthy" || h.Health == "true" || h.Health == "ok"
}

// Runner is an entry of the list.
type Runner struct {
	Name                string `json:"name"`
	WSSURL              string `json:"wss_url"`
	TaskID              string `json:"task_id"`
	ManagedBy           string `json:"managed_by"`
	Description         string `json:"description"`
	AuthenticationType  string `json:"authentication_type"`
	Version             int    `json:"version"`
	RunnerType          string `json:"runner_type"`
	Namespace           string `json:"namespace"`
	KubernetesNamespace string `json:"kubernetes_namespace"`
	Subject             string `json:"subject"`
	UserKeyID           string `json:"user_key_id"`
	RunnerHealth        Health `json:"runner_health"`
	ToolManagerHealth   Health `json:"tool_manager_health"`
	AgentManagerHealth  Health `json:"agent_manager_health"`
	// Status, as the older clients read it.
	Status string `json:"status"`
}

// Generation is how every client words the version.
func (r Runner) Generation() string {
	switch r.Version {
	case 0:
		return "v1"
	case 2:
		return "v2"
	}
	return fmt.Sprintf("v%d", r.Version)
}

// Place is the namespace as the SDK derives it.
func (r Runner) Place() string {
	switch {
	case r.Namespace != "":
		return r.Namespace
	case r.KubernetesNamespace != "":
		return r.KubernetesNamespace
	}
	return "unknown"
}

// Score is the composite of the command line.
func (r Runner) Score() int {
	managers := 0
	for _, h := range []Health{r.ToolManagerHealth, r.AgentManagerHealth} {
		if h.OK() {
			managers++
		}
	}
	switch {
	case r.RunnerHealth.OK() && managers == 2:
		return 100
	case r.RunnerHealth.OK() && managers == 1:
		return 70
	case r.RunnerHealth.OK():
		return 50
	}
	return 0
}

// Status is the answer to a health call.
type Status struct {
	Health  string  `json:"health"`
	Status  string  `json:"status"`
	Time    string  `json:"time"`
	Version string  `json:"version"`
	Checks  []Check `json:"checks"`
}

// Check is one part of it.
type Check struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Version  string `json:"version"`
	Error    string `json:"error"`
	Metadata struct {
		GitSHA  string `json:"git_sha"`
		Release string `json:"release"`
	} `json:"metadata"`
}

// Refused is an answer other than a success.
type Refused struct {
	Status  int
	Message string
	Body    string
}

// Error is the status and what the answer says.
func (r *Refused) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.Message) }

// Client asks one API.
type Client struct {
	// Base is such as https://api.kubiya.ai; Key goes along as Authorization: UserKey, blank for none.
	Base, Key string
}

// List is GET /api/v3/runners.
func (c Client) List(ctx context.Context) (out []Runner, err error) {
	return out, c.call(ctx, http.MethodGet, "/api/v3/runners", nil, &out)
}

// Older is GET /api/v1/runners as workflow_sdk reads it: an array, or an object keyed by name.
func (c Client) Older(ctx context.Context) (map[string]Runner, error) {
	var raw json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/api/v1/runners", nil, &raw); err != nil {
		return nil, err
	}
	byName := map[string]Runner{}
	if json.Unmarshal(raw, &byName) == nil {
		return byName, nil
	}
	var list []Runner
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	for _, r := range list {
		byName[r.Name] = r
	}
	return byName, nil
}

// Health is GET /api/v3/runners/{name}/health. Names are put into the path as they are: so the public clients do.
func (c Client) Health(ctx context.Context, name string) (out Status, err error) {
	return out, c.call(ctx, http.MethodGet, "/api/v3/runners/"+name+"/health", nil, &out)
}

// Describe is GET /api/v1/runners/{name}/describe, as the command line and the SDK call it.
func (c Client) Describe(ctx context.Context, name string) (out Runner, err error) {
	return out, c.call(ctx, http.MethodGet, "/api/v1/runners/"+name+"/describe", nil, &out)
}

// Manifest is POST /api/v3/runners/{name}: the address to apply.
func (c Client) Manifest(ctx context.Context, name string) (string, error) {
	return c.url(ctx, http.MethodPost, "/api/v3/runners/"+name)
}

// GetManifest is GET /api/v1/runners/{name}/manifest, as the command line calls it.
func (c Client) GetManifest(ctx context.Context, name string) (string, error) {
	return c.url(ctx, http.MethodGet, "/api/v1/runners/"+name+"/manifest")
}

func (c Client) url(ctx context.Context, method, path string) (string, error) {
	var out struct {
		URL string `json:"url"`
	}
	err := c.call(ctx, method, path, struct{}{}, &out)
	return out.URL, err
}

// Delete is DELETE /api/v3/runners/{name}.
func (c Client) Delete(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/api/v3/runners/"+name, nil, nil)
}

// Healths asks for the health of every runner of the list, five at once. What fails is not swallowed here: it is returned.
func (c Client) Healths(ctx context.Context) (map[string]Status, error) {
	runners, err := c.List(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	out, errs := map[string]Status{}, []error{}
	slots := make(chan struct{}, 5)
	for _, r := range runners {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			h, err := c.Health(ctx, r.Name)
			mu.Lock()
			defer mu.Unlock()
			out[r.Name], errs = h, append(errs, err)
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

func (c Client) call(ctx context.Context, method, path string, body, out any) error {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, payload)
	if err != nil {
		return err
	}
	if c.Key != "" {
		req.Header.Set("Authorization", "UserKey "+c.Key)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		r := &Refused{Status: res.StatusCode, Body: string(b)}
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(b, &said) // an answer without a message has a status
		r.Message = said.Message
		return r
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}
