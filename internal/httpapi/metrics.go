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

// Metrics counts the work of a server, in its own registry.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	decisions  map[string]prometheus.Counter // the counters by the value of the label answer
	operations *prometheus.CounterVec
	engine     *prometheus.HistogramVec

	mu       sync.RWMutex
	counters map[requestLabels]requestCounters
}

// requestLabels are the labels of the metrics of requests.
type requestLabels struct {
	route, method string
	status        int
}

// requestCounters are the metrics of one set of labels. They are stored because looking them up in the vectors is
// slower.
type requestCounters struct {
	requests  prometheus.Counter
	durations prometheus.Observer
}

// NewMetrics returns metrics with all counters at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_http_requests_total", Help: "Requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_http_request_duration_seconds", Help: "Duration of requests by route and method.",
			Buckets: durationBuckets,
		}, []string{"route", "method"}),
		decisions: make(map[string]prometheus.Counter),
		counters:  make(map[requestLabels]requestCounters),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_operations_total", Help: "Product operations by outcome: ok, or the code of the problem.",
		}, []string{"operation", "outcome"}),
		engine: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_engine_duration_seconds",
			Help:    "Duration of engine calls by method and outcome: ok, or the code of the error.",
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

// Register adds collectors of other packages.
func (m *Metrics) Register(collectors ...prometheus.Collector) {
	m.registry.MustRegister(collectors...)
}

// Audit adds the metrics of the audit log.
func (m *Metrics) Audit(stats *audit.Stats) {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.registry.MustRegister(
		gauge(
			"sluice_audit_following",
			"1 if this server writes the audit log, else 0. One of the servers that share a log writes it.",
			func() float64 {
				if stats.Following() {
					return 1
				}
				return 0
			},
		),
		gauge(
			"sluice_audit_lag_seconds",
			"Delay from the last change in the datastore to its entry in the audit log. It grows while an entry is missing.",
			func() float64 { return stats.Lag().Seconds() },
		),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sluice_audit_gaps_total", Help: "How often the audit log could not learn the changes since it had stopped.",
		}, func() float64 { return float64(stats.Gaps()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sluice_audit_unstored_total",
			Help: "Entries of the audit log that could not be stored and were replaced by a placeholder.",
		}, func() float64 { return float64(stats.Unstored()) }),
	)
	for _, kind := range audit.Kinds {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "sluice_audit_entries_total", Help: "Entries that this server wrote to the audit log, by kind.",
			ConstLabels: prometheus.Labels{"kind": string(kind)},
		}, func() float64 { return float64(stats.Entries(kind)) }))
	}
}

// durationBuckets range from a check in memory to the request timeout, in seconds.
var durationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Values of the label answer of decisions.
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

// Only returns a handler that serves only the metrics, for GET and HEAD at /metrics. It answers other requests with
// problem documents.
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
		body, id := outerProblem(status, code, "this port answers only GET /metrics")
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = w.Write(body) // Write fails only if the client disconnected
	}))
}

// ObserveEngine records one call of a method of the engine.
func (m *Metrics) ObserveEngine(method string, d time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(codeOf(err))
	}
	m.engine.WithLabelValues(method, outcome).Observe(d.Seconds())
}

func (m *Metrics) request(route, method string, status int, d time.Duration) {
	key := requestLabels{route, method, status}
	m.mu.RLock()
	counters, known := m.counters[key]
	m.mu.RUnlock()
	if !known {
		counters = requestCounters{
			m.requests.WithLabelValues(route, method, strconv.Itoa(status)), m.durations.WithLabelValues(route, method),
		}
		m.mu.Lock()
		m.counters[key] = counters
		m.mu.Unlock()
	}
	counters.requests.Inc()
	counters.durations.Observe(d.Seconds())
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
