package app

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// openReplica puts the in-memory replica in front of the engine and starts it, unless it is disabled.
func (s *Server) openReplica(ctx context.Context, engine *spicedb.Client, metrics *httpapi.Metrics) authz.Engine {
	if s.config.Replica.Mode == Off {
		return engine
	}
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_replica_answers_total",
		Help: "Answers by method, source and, if the source is not the in-memory replica, reason.",
	}, []string{"method", "source", "reason"})
	own := make(map[string]prometheus.Counter)
	for _, method := range replica.Methods {
		own[method] = answers.WithLabelValues(method, replica.FromReplica, "")
	}
	r := replica.New(engine, engine, replica.Options{
		MaxRelationships: s.config.Replica.MaxRelationships,
		Verify:           s.config.Replica.Verify,
		Observe: func(method, source, reason string) {
			if source == replica.FromReplica {
				own[method].Inc()
				return
			}
			answers.WithLabelValues(method, source, reason).Inc()
		},
		Logger: s.log,
	})
	metrics.Register(answers)
	metrics.Register(replicaMetrics(r)...)

	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { r.Run(following) })
	s.onClose(func(context.Context) error {
		stop()
		running.Wait()
		return nil
	})
	return r
}

// replicaMetrics are the metrics of a replica's content and work.
func replicaMetrics(r *replica.Replica) []prometheus.Collector {
	gauge := func(name, help string, value func(replica.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(r.Stats()) },
		)
	}
	counter := func(name, help string, value func(replica.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(r.Stats())) },
		)
	}
	return []prometheus.Collector{
		gauge("sluice_replica_answering", "Whether the in-memory replica answers: 1 or 0.", func(s replica.Stats) float64 {
			if s.Answering {
				return 1
			}
			return 0
		}),
		gauge(
			"sluice_replica_lag_seconds", "Seconds since the in-memory replica's state was known to be the newest.",
			func(s replica.Stats) float64 { return s.Lag.Seconds() },
		),
		gauge(
			"sluice_replica_relationships", "Relationships in the in-memory replica.",
			func(s replica.Stats) float64 { return float64(s.Relationships) },
		),
		gauge(
			"sluice_replica_bytes", "Approximate bytes of memory of the in-memory replica.",
			func(s replica.Stats) float64 { return float64(s.Bytes) },
		),
		counter(
			"sluice_replica_changes_total", "Changes that the in-memory replica received from SpiceDB's Watch.",
			func(s replica.Stats) uint64 { return s.Changes },
		),
		counter(
			"sluice_replica_watch_lost_total", "Times that SpiceDB's Watch ended.",
			func(s replica.Stats) uint64 { return s.Lost },
		),
		counter(
			"sluice_replica_verifications_total", "Answers of the in-memory replica that were compared with SpiceDB's.",
			func(s replica.Stats) uint64 { return s.Verified },
		),
		counter(
			"sluice_replica_differences_total",
			"Compared answers that differed from SpiceDB's; the first takes the in-memory replica out of service.",
			func(s replica.Stats) uint64 { return s.Differences },
		),
	}
}
