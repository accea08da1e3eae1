package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Metrics counts what a server does, in a registry of its own.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	decisions  *prometheus.CounterVec
	operations *prometheus.CounterVec
	engine     *prometheus.HistogramVec
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
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_decisions_total", Help: "Decisions by answer.",
		}, []string{"answer"}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_operations_total", Help: "Product operations by outcome: ok, or the code of the problem.",
		}, []string{"operation", "outcome"}),
		engine: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_engine_duration_seconds", Help: "How long calls of the engine took, by method and outcome: ok, or the code of the error.",
			Buckets: durationBuckets,
		}, []string{"method", "outcome"}),
	}
	m.registry.MustRegister(m.requests, m.durations, m.decisions, m.operations, m.engine,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, answer := range []string{allowed, denied, conditional, failed} {
		m.decisions.WithLabelValues(answer)
	}
	return m
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

// ObserveEngine counts one call of an engine's method.
func (m *Metrics) ObserveEngine(method string, d time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(codeOf(err))
	}
	m.engine.WithLabelValues(method, outcome).Observe(d.Seconds())
}

func (m *Metrics) request(route, method string, status int, d time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.durations.WithLabelValues(route, method).Observe(d.Seconds())
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
	m.decisions.WithLabelValues(answer).Inc()
}
