// Package standin is an HTTP server that answers as a Kubiya-compatible API and as agyn's gateway do, with the faults that such
// servers and what stands before them have.
package standin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Fault is what ails the server.
type Fault string

// The faults.
const (
	None        Fault = ""
	Slow        Fault = "slow"         // no answer before the client gives up
	ServerError Fault = "500"          // 500, with a JSON message
	Denied      Fault = "401"          // the credential is refused
	TooOften    Fault = "429"          // too many requests
	HTML        Fault = "HTML"         // a page of a proxy, with the status 200
	Truncated   Fault = "truncated"    // the JSON ends in the middle, and the connection with it
	WrongTypes  Fault = "wrong types"  // JSON of other types than expected
	Endless     Fault = "endless list" // a list that has no end
)

// Credential is what a client must send: as "UserKey …" to Kubiya's API, as "Bearer …" to agyn's.
const Credential = "standin-credential-4f1c"

// Health is a health as Kubiya's list has it: words, and booleans as strings.
type Health struct {
	Status  string `json:"status"`
	Health  string `json:"health"`
	Error   string `json:"error"`
	Version string `json:"version"`
}

// Runner is one of Kubiya's list.
type Runner struct {
	Name                string `json:"name"`
	Version             int    `json:"version"`
	KubernetesNamespace string `json:"kubernetes_namespace"`
	ManagedBy           string `json:"managed_by"`
	GatewayPassword     string `json:"gateway_password,omitempty"`
	RunnerHealth        Health `json:"runner_health"`
	ToolManagerHealth   Health `json:"tool_manager_health"`
	AgentManagerHealth  Health `json:"agent_manager_health"`
}

// Meta is agyn's: the identity and the times of anything.
type Meta struct {
	ID        string `json:"id"`
	CreatedAt string `json:"createdAt,omitempty"`
	UpdatedAt string `json:"updatedAt,omitempty"`
}

// AgynRunner is one of ListRunners.
type AgynRunner struct {
	Meta           Meta              `json:"meta"`
	Name           string            `json:"name"`
	OrganizationID string            `json:"organizationId,omitempty"`
	Status         string            `json:"status"`
	Labels         map[string]string `json:"labels,omitempty"`
	Capabilities   []string          `json:"capabilities,omitempty"`
}

// Workload is one of ListWorkloads.
type Workload struct {
	Meta           Meta   `json:"meta"`
	RunnerID       string `json:"runnerId"`
	OrganizationID string `json:"organizationId"`
	Status         string `json:"status"`
	InstanceID     string `json:"instanceId"`
	FailureReason  string `json:"failureReason,omitempty"`
	FailureMessage string `json:"failureMessage,omitempty"`
}

// Server is the stand-in. What it knows, and what ails it, may be changed at any time.
type Server struct {
	URL string

	mu        sync.Mutex
	fault     Fault
	unhealthy map[string]Fault // of the health call of one runner
	runners   []Runner
	healths   map[string]any
	agyn      []AgynRunner
	workloads []Workload
	asked     map[string]int
	gone      chan struct{}
}

// Start starts one; it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{unhealthy: map[string]Fault{}, healths: map[string]any{}, asked: map[string]int{}, gone: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v3/runners", s.guard("UserKey", s.list))
	mux.HandleFunc("GET /api/v3/runners/{name}/health", s.guard("UserKey", s.health))
	mux.HandleFunc("POST /agynio.api.gateway.v1.RunnersGateway/{method}", s.guard("Bearer", s.gateway))
	srv := httptest.NewServer(mux)
	s.URL = srv.URL
	t.Cleanup(func() {
		close(s.gone)
		srv.CloseClientConnections()
		srv.Close()
	})
	return s
}

// Break gives the server a fault, or takes it away with None.
func (s *Server) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// BreakHealth gives the health call of one runner a fault.
func (s *Server) BreakHealth(runner string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unhealthy[runner] = f
}

// Kubiya sets what Kubiya's API knows of a runner: its entry in the list, and the answer of its health call.
func (s *Server) Kubiya(r Runner, health any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healths[r.Name] = health
	for i := range s.runners {
		if s.runners[i].Name == r.Name {
			s.runners[i] = r
			return
		}
	}
	s.runners = append(s.runners, r)
}

// Agyn sets what agyn's gateway knows.
func (s *Server) Agyn(runners []AgynRunner, workloads []Workload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agyn, s.workloads = runners, workloads
}

// Asked is how often a path was asked for.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// guard checks the credential, and answers with the fault if there is one.
func (s *Server) guard(scheme string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		fault := s.fault
		s.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != scheme+" "+Credential:
			say(w, http.StatusUnauthorized, map[string]any{"code": "unauthenticated", "message": "the credential is unknown"})
		case fault != None:
			s.ail(w, r, fault)
		default:
			next(w, r)
		}
	}
}

func say(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// ail answers as a server with that fault does.
func (s *Server) ail(w http.ResponseWriter, r *http.Request, f Fault) {
	switch f {
	case Slow:
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-s.gone:
		}
	case ServerError:
		say(w, http.StatusInternalServerError, map[string]any{"code": "internal", "message": "the database is away"})
	case Denied:
		say(w, http.StatusUnauthorized, map[string]any{"code": "unauthenticated", "message": "the credential has expired"})
	case TooOften:
		w.Header().Set("Retry-After", "60")
		say(w, http.StatusTooManyRequests, map[string]any{"message": "slow down"})
	case HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title><form method=post>…</form>")
	case Truncated:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, `[{"name":"runner-eu","runner_health":{"sta`)
	case WrongTypes:
		say(w, http.StatusOK, 42)
	case Endless:
		s.endless(w, r)
	case None:
	}
}

// endless writes a list that does not end: in one answer to Kubiya's clients, page after page to agyn's.
func (s *Server) endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		var body struct{ PageToken string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		n, _ := strconv.Atoi(body.PageToken)
		say(w, http.StatusOK, map[string]any{"runners": []AgynRunner{{Meta: Meta{ID: strconv.Itoa(n)}, Name: fmt.Sprintf("bogus-%d", n)}}, "nextPageToken": strconv.Itoa(n + 1)})
		return
	}
	_, _ = io.WriteString(w, "[")
	for n := 0; r.Context().Err() == nil; n++ {
		if _, err := fmt.Fprintf(w, `{"name":"bogus-%d"},`, n); err != nil {
			return
		}
	}
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	say(w, http.StatusOK, append([]Runner{}, s.runners...))
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h, ok := s.healths[r.PathValue("name")]
	fault := s.unhealthy[r.PathValue("name")]
	s.mu.Unlock()
	switch {
	case fault != None:
		s.ail(w, r, fault)
	case !ok:
		say(w, http.StatusNotFound, map[string]any{"error": "no such runner"})
	default:
		say(w, http.StatusOK, h)
	}
}

// gateway answers the two methods that are asked for, as Connect does.
func (s *Server) gateway(w http.ResponseWriter, r *http.Request) {
	var body struct {
		OrganizationID string `json:"organizationId"`
		Filter         struct{ StatusIn []string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Connect-Protocol-Version") != "1" {
		say(w, http.StatusBadRequest, map[string]any{"code": "invalid_argument", "message": "not a Connect request"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch method := r.PathValue("method"); {
	case method == "ListRunners":
		out := []AgynRunner{}
		for _, x := range s.agyn {
			if body.OrganizationID == "" || x.OrganizationID == body.OrganizationID {
				out = append(out, x)
			}
		}
		say(w, http.StatusOK, map[string]any{"runners": out})
	case method == "ListWorkloads" && body.OrganizationID != "":
		out := []Workload{}
		for _, x := range s.workloads {
			if x.OrganizationID == body.OrganizationID && strings.Contains(strings.Join(body.Filter.StatusIn, " "), x.Status) {
				out = append(out, x)
			}
		}
		say(w, http.StatusOK, map[string]any{"workloads": out})
	case method == "ListWorkloads":
		say(w, http.StatusBadRequest, map[string]any{"code": "invalid_argument", "message": "organization_id is required"})
	default:
		say(w, http.StatusNotFound, map[string]any{"code": "unimplemented"})
	}
}
