package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// Metrics counts what a server does, in a registry of its own.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	decisions  map[string]prometheus.Counter // by answer
	operations *prometheus.CounterVec
	engine     *prometheus.HistogramVec

	mu     sync.RWMutex
	served map[servedKey]served
}

// servedKey is what requests are counted by.
type servedKey struct {
	route, method string
	status        int
}

// served counts requests. The vectors would give the same, only later.
type served struct {
	requests  prometheus.Counter
	durations prometheus.Observer
}

// NewMetrics returns metrics that have counted nothing.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_http_requests_total", Help: "Requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_http_request_duration_seconds", Help: "How long requests took, by route and method.",
			Buckets: durationBuckets,
		}, []string{"route", "method"}),
		decisions: make(map[string]prometheus.Counter),
		served:    make(map[servedKey]served),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_operations_total", Help: "Product operations by outcome: ok, or the code of the problem.",
		}, []string{"operation", "outcome"}),
		engine: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_engine_duration_seconds",
			Help:    "How long calls of the engine took, by method and outcome: ok, or the code of the error.",
			Buckets: durationBuckets,
		}, []string{"method", "outcome"}),
	}
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_decisions_total", Help: "Decisions by answer.",
	}, []string{"answer"})
	m.registry.MustRegister(m.requests, m.durations, decisions, m.operations, m.engine,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, answer := range []string{allowed, denied, conditional, failed} {
		m.decisions[answer] = decisions.WithLabelValues(answer)
	}
	return m
}

// Register adds what others count.
func (m *Metrics) Register(collectors ...prometheus.Collector) {
	m.registry.MustRegister(collectors...)
}

// Audit counts what is written to the audit log.
func (m *Metrics) Audit(stats *audit.Stats) {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.registry.MustRegister(
		gauge(
			"sluice_audit_following",
			"Whether this server writes the audit log: one of those that share it does.",
			func() float64 {
				if stats.Following() {
					return 1
				}
				return 0
			},
		),
		gauge(
			"sluice_audit_lag_seconds",
			"How long the last change took from the datastore to the audit log; it grows while one is missing there.",
			func() float64 { return stats.Lag().Seconds() },
		),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sluice_audit_gaps_total", Help: "How often what happened since the audit log had stopped could not be known.",
		}, func() float64 { return float64(stats.Gaps()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sluice_audit_unstored_total",
			Help: "Entries of the audit log that could not be stored, and have a placeholder.",
		}, func() float64 { return float64(stats.Unstored()) }),
	)
	for _, kind := range audit.Kinds {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sluice_audit_entries_total", Help: "Entries that this server wrote to the audit log, by kind.",
			ConstLabels: prometheus.Labels{"kind": string(kind)},
		}, func() float64 { return float64(stats.Entries(kind)) }))
	}
}

// durationBuckets reach from a check in memory to the request timeout, in seconds.
var durationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// The answers that decisions are counted by.
const (
	allowed     = "allowed"
	denied      = "denied"
	conditional = "conditional"
	failed      = "error"
)

// Handler serves the metrics in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Only serves the metrics at /metrics, to GET and HEAD, and problem documents elsewhere.
func (m *Metrics) Only() http.Handler {
	metrics := m.Handler()
	return limitHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, code := http.StatusNotFound, authz.CodeNotFound
		switch {
		case r.URL.Path != "/metrics":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			metrics.ServeHTTP(w, r)
			return
		default:
			status, code = http.StatusMethodNotAllowed, authz.CodeMethodNotAllowed
			w.Header().Set("Allow", "GET, HEAD")
		}
		body, id := outerProblem(status, code, "this port answers GET /metrics alone")
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = w.Write(body) // to a client that is gone, if it fails
	}))
}

// ObserveEngine counts one call of an engine's method.
func (m *Metrics) ObserveEngine(method string, d time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(codeOf(err))
	}
	m.engine.WithLabelValues(method, outcome).Observe(d.Seconds())
}

func (m *Metrics) request(route, method string, status int, d time.Duration) {
	key := servedKey{route, method, status}
	m.mu.RLock()
	counted, known := m.served[key]
	m.mu.RUnlock()
	if !known {
		counted = served{
			m.requests.WithLabelValues(route, method, strconv.Itoa(status)), m.durations.WithLabelValues(route, method),
		}
		m.mu.Lock()
		m.served[key] = counted
		m.mu.Unlock()
	}
	counted.requests.Inc()
	counted.durations.Observe(d.Seconds())
}

func (m *Metrics) operation(name, outcome string) { m.operations.WithLabelValues(name, outcome).Inc() }

func (m *Metrics) decision(d authz.Decision, err error) {
	answer := denied
	switch {
	case err != nil:
		answer = failed
	case d.State == authz.Allowed:
		answer = allowed
	case d.State == authz.Conditional:
		answer = conditional
	}
	m.decisions[answer].Inc()
}
