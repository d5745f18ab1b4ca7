package web

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"trackside/handlers/live"
	"trackside/store"
)

// metrics are the server's. Every label has few values: clusters, routes, classes of status, healths; never a runner or a pod.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	render   *prometheus.HistogramVec
	publish  prometheus.Histogram
}

func newMetrics(reg *prometheus.Registry, version string, l *store.Live) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{registry: reg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trackside_http_requests_total",
			Help: "Requests answered, by route and class of status; a stream counts at its end."}, []string{"route", "class"}),
		render: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "trackside_render_seconds",
			Help: "Time to render a change (patch) or a whole page (full) for a stream.", Buckets: prometheus.ExponentialBuckets(25e-6, 4, 8)}, []string{"what"}),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "trackside_publish_to_frame_seconds",
			Help: "Time from a snapshot being made until its frames were in the viewers' queues.", Buckets: prometheus.ExponentialBuckets(100e-6, 4, 8)}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "trackside_build_info", Help: "1, with the program's version.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()}})
	build.Set(1)
	for _, c := range []prometheus.Collector{m.requests, m.render, m.publish, build, fleet{l},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		// A registry that was handed in may have the process's own metrics already.
		_ = reg.Register(c)
	}
	return m
}

func (m *metrics) rendered(what string, took time.Duration) {
	m.render.WithLabelValues(what).Observe(took.Seconds())
}

func (m *metrics) published(took time.Duration) { m.publish.Observe(took.Seconds()) }

// request counts one. The route is the pattern and not the path; an address without one is "none".
func (m *metrics) request(route string, status int) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
}

// watch exports the streams' counts.
func (m *metrics) watch(stats func() live.Stats) {
	gauge := func(name, help string, f func(live.Stats) int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(f(stats())) }))
	}
	counter := func(name, help string, f func(live.Stats) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(f(stats())) }))
	}
	gauge("trackside_viewers", "Open streams.", func(s live.Stats) int { return s.Viewers })
	gauge("trackside_views", "Distinct views: pages and filters.", func(s live.Stats) int { return s.Views })
	gauge("trackside_views_idle", "Views nobody looks at now.", func(s live.Stats) int { return s.Idle })
	counter("trackside_stream_frames_total", "Frames written to viewers.", func(s live.Stats) uint64 { return s.Frames })
	counter("trackside_stream_bytes_total", "Bytes written to viewers, compressed.", func(s live.Stats) uint64 { return s.Bytes })
	counter("trackside_stream_polls_total", "Streams that ended after one page because their browser held enough.", func(s live.Stats) uint64 { return s.Polls })
	counter("trackside_stream_dropped_total", "Viewers cut off for taking nothing.", func(s live.Stats) uint64 { return s.Dropped })
	counter("trackside_stream_lagged_total", "Times a viewer fell behind and was sent the whole page.", func(s live.Stats) uint64 { return s.Lagged })
	counter("trackside_stream_refused_total", "Streams refused because every view was taken.", func(s live.Stats) uint64 { return s.Refused })
}

// fleet reads what the board shows when it is asked.
type fleet struct{ live *store.Live }

var (
	dataAge = prometheus.NewDesc("trackside_data_age_seconds", "Time since the cluster's source last answered.", []string{"cluster"}, nil)
	runners = prometheus.NewDesc("trackside_runners", "Runners shown, by health; disabled ones apart.", []string{"health"}, nil)
	rev     = prometheus.NewDesc("trackside_snapshot_revision", "Revision of the newest snapshot.", nil, nil)
)

// Describe implements prometheus.Collector.
func (f fleet) Describe(ch chan<- *prometheus.Desc) {
	ch <- dataAge
	ch <- runners
	ch <- rev
}

// Collect implements prometheus.Collector.
func (f fleet) Collect(ch chan<- prometheus.Metric) {
	s, now := f.live.Current(), time.Now()
	ages := map[string]time.Duration{}
	for i := range s.Sources {
		src := &s.Sources[i]
		heard, ok := f.live.Heard(src.Cluster)
		if !ok {
			heard = src.Heard
		}
		ages[src.Cluster] = max(ages[src.Cluster], now.Sub(heard))
	}
	for cluster, age := range ages {
		ch <- prometheus.MustNewConstMetric(dataAge, prometheus.GaugeValue, age.Seconds(), cluster)
	}
	t := s.Totals()
	for _, h := range store.Healths() {
		ch <- prometheus.MustNewConstMetric(runners, prometheus.GaugeValue, float64(t.Health(h)), h.String())
	}
	ch <- prometheus.MustNewConstMetric(runners, prometheus.GaugeValue, float64(t.Disabled), "disabled")
	ch <- prometheus.MustNewConstMetric(rev, prometheus.CounterValue, float64(s.Rev))
}

// opsRoutes are for machines: whether the program lives, whether it has something true to show, and how it is doing.
func (s *Server) opsRoutes(m *metrics) http.Handler {
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, status int, text string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text + "\n"))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case s.draining.Load():
			say(w, http.StatusServiceUnavailable, "shutting down")
		case s.opts.Ready != nil && !s.opts.Ready():
			say(w, http.StatusServiceUnavailable, "no source has answered yet")
		default:
			say(w, http.StatusOK, "ready")
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
