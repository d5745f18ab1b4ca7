package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"trackside/e2e/kubiyaclient"
	"trackside/e2e/rig"
	"trackside/handlers/api"
	"trackside/store"
)

// ask decodes what a board answers a program.
func ask[T any](t *testing.T, b *rig.Board, path string) (out T, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+path, nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return out, fmt.Errorf("%s: %s", path, res.Status)
	}
	return out, json.NewDecoder(res.Body).Decode(&out)
}

// TestAPIOfTheFleet asks the shared board, which shows the standard fleet, as Kubiya's clients do, and compares with its page.
func TestAPIOfTheFleet(t *testing.T) {
	t.Parallel()
	b := shared(t)
	c := kubiyaclient.Client{Base: b.URL, Key: token(t, b, "viewer")}
	rig.Eventually(t, 30*time.Second, "the list, the report and the health calls agree", func() error {
		runners, err := c.List(t.Context())
		if err != nil {
			return err
		}
		report, err := ask[api.Report](t, b, "/api/report")
		if err != nil {
			return err
		}
		list, err := ask[api.Runners](t, b, "/runners.json")
		if err != nil {
			return err
		}
		sum := report.Healthy + report.Degraded + report.Unhealthy + report.Unknown + report.Disabled
		if n := len(runners); n == 0 || n != report.Total || n != sum || n != len(list.Runners) {
			return fmt.Errorf("%d runners in the list, %d in the report, %d by health, %d in the fleet's list", len(runners), report.Total, sum, len(list.Runners))
		}
		return nil
	})
	all, err := c.Healths(t.Context())
	must(t, err)
	kubiya := 0
	for name, h := range all {
		if h.Health == "" || h.Status == "" || h.Time == "" {
			t.Errorf("%s: %+v", name, h)
		}
	}
	runners, err := c.List(t.Context())
	must(t, err)
	for _, r := range runners {
		if r.RunnerType == "kubiya" && r.ToolManagerHealth.Version != "" {
			kubiya++
		}
	}
	if kubiya == 0 {
		t.Error("no runner of Kubiya tells of its tool-manager")
	}
	if _, err := c.Health(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "404: ") || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown name: %v", err)
	}
	p := open(t, b, "/?health=unhealthy,degraded")
	href, err := p.Locator("#export a").First().GetAttribute("href")
	must(t, err)
	list, err := ask[api.Runners](t, b, href)
	must(t, err)
	rig.Eventually(t, 15*time.Second, "the page shows the runners of its JSON", func() error {
		if list, err = ask[api.Runners](t, b, href); err != nil {
			return err
		}
		n, err := p.Locator("#rows tr").Count()
		if err == nil && n != len(list.Runners) {
			err = fmt.Errorf("%d rows, %d in %s", n, len(list.Runners), href)
		}
		return err
	})
}

// token makes an API token on the board's page.
func token(t *testing.T, b *rig.Board, role string) string {
	t.Helper()
	p := open(t, b, "/tokens")
	must(t, p.Locator("input[name=name]").Fill(t.Name()))
	_, err := p.Locator("select[name=role]").SelectOption(playwright.SelectOptionValues{Values: &[]string{role}})
	must(t, err)
	must(t, p.GetByText("Make a token").Click())
	return text(t, p.Locator("#made"))
}

// Kubiya's calls that change something: a link to a runner's manifest, which changes nothing in the cluster, and a deletion.
func TestKubiyaCallsOnARealRunner(t *testing.T) {
	f := newRunner(t, cluster, "", "called", "60s")
	b := scoped(t, cluster, f.ns)
	c := kubiyaclient.Client{Base: b.URL, Key: token(t, b, "operator")}
	rig.Eventually(t, 20*time.Second, "it is healthy", func() error {
		h, err := c.Health(t.Context(), "called")
		if err == nil && h.Health != "true" {
			err = fmt.Errorf("%+v", h)
		}
		return err
	})
	for what, link := range map[string]func(context.Context, string) (string, error){"POST": c.Manifest, "GET": c.GetManifest} {
		address, err := link(t.Context(), "called")
		must(t, err)
		if res, body := fetch(t, address); res.StatusCode != http.StatusOK || !strings.Contains(body, "kind: Deployment") || !strings.Contains(body, "called-agent") {
			t.Errorf("%s: %s answers %d: %.200s", what, address, res.StatusCode, body)
		}
	}
	if _, err := c.Manifest(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "404: ") {
		t.Errorf("the manifest of nobody: %v", err)
	}
	looker := kubiyaclient.Client{Base: b.URL, Key: token(t, b, "viewer")}
	if err := looker.Delete(t.Context(), "called"); err == nil || !strings.Contains(err.Error(), "403: ") {
		t.Errorf("a viewer deletes: %v", err)
	}
	must(t, c.Delete(t.Context(), "called"))
	rig.Eventually(t, switching, "it is gone", func() error {
		if _, err := c.Describe(t.Context(), "called"); err == nil || !strings.Contains(err.Error(), "404: ") {
			return fmt.Errorf("described: %w", err)
		}
		return nil
	})
}

func fetch(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

// transitions follows a board's stream as a program does, from after an id on, until it has seen n or the stream ends.
func transitions(t *testing.T, b *rig.Board, last string, n int, until time.Duration) (events []api.Event, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), until)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL+"/api/stream", nil)
	must(t, err)
	req.Header.Set("Last-Event-ID", last)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, last
	}
	defer func() { _ = res.Body.Close() }()
	id = last
	kind := ""
	for lines := bufio.NewScanner(res.Body); len(events) < n && lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			var e api.Event
			if kind != "transition" {
				continue
			}
			must(t, json.Unmarshal([]byte(value), &e))
			if strconv.FormatInt(e.ID, 10) != id {
				t.Errorf("the event %d has the id %s", e.ID, id)
			}
			events = append(events, e)
		}
	}
	return events, id
}

// TestStreamSurvivesAKill follows transitions over three kills of the board: none is missing, none comes twice.
func TestStreamSurvivesAKill(t *testing.T) {
	t.Parallel()
	f := newRunner(t, cluster, "", "followed", "2s")
	b := scoped(t, cluster, f.ns)
	rig.Eventually(t, 20*time.Second, "the runner is healthy", func() error {
		d, err := ask[api.Detail](t, b, "/api"+f.ref().Path())
		if err == nil && d.Health != store.Healthy.String() {
			err = fmt.Errorf("it is %s", d.Health)
		}
		return err
	})
	var all []api.Event
	last := "0"
	for i := range 3 {
		f.crash(t, fmt.Sprintf("crash %d", i))
		var events []api.Event
		events, last = transitions(t, b, last, 3, 10*time.Second)
		all = append(all, events...)
		b.Kill()
		b.Start(t)
	}
	page, err := ask[api.Events](t, b, "/api/events?limit=1000")
	must(t, err)
	rest, _ := transitions(t, b, last, int(page.Newest)-len(all), 10*time.Second)
	all = append(all, rest...)
	if len(all) == 0 || int64(len(all)) < page.Newest {
		t.Errorf("%d transitions were seen of %d", len(all), page.Newest)
	}
	for i, e := range all {
		if e.ID != int64(i+1) {
			t.Fatalf("the %dth transition is %d", i+1, e.ID)
		}
	}
	t.Logf("%d transitions over three kills, none missing, none twice", len(all))
}
