package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// publications are the metrics of the loop.
type publications struct {
	took    prometheus.Histogram
	changes prometheus.Counter
}

func newPublications(r prometheus.Registerer) *publications {
	p := &publications{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "trackside_publish_seconds", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 12),
			Help: "Time to observe, apply, record and publish one change."}),
		changes: prometheus.NewCounter(prometheus.CounterOpts{Name: "trackside_runner_changes_total", Help: "Runners published as changed."}),
	}
	r.MustRegister(p.took, p.changes)
	return p
}

func (p *publications) observe(took time.Duration, changes int) {
	p.took.Observe(took.Seconds())
	p.changes.Add(float64(changes))
}
