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

// openReplica puts a replica in front of the engine, unless it is switched off, and begins to follow what is stored.
func (s *Server) openReplica(ctx context.Context, engine *spicedb.Client, metrics *httpapi.Metrics) authz.Engine {
	if s.config.Replica.Mode == Off {
		return engine
	}
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_replica_answers_total",
		Help: "Answers by method, by who gave them and, where it was not the replica, why.",
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

// replicaMetrics are what a replica holds and has done.
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
		gauge("sluice_replica_answering", "Whether the replica answers what it can: 1 or 0.", func(s replica.Stats) float64 {
			if s.Answering {
				return 1
			}
			return 0
		}),
		gauge(
			"sluice_replica_lag_seconds", "Since when what the replica holds is known to have been the newest.",
			func(s replica.Stats) float64 { return s.Lag.Seconds() },
		),
		gauge(
			"sluice_replica_relationships", "Relationships that the replica holds.",
			func(s replica.Stats) float64 { return float64(s.Relationships) },
		),
		gauge(
			"sluice_replica_bytes", "Bytes of memory that they take, roughly.",
			func(s replica.Stats) float64 { return float64(s.Bytes) },
		),
		counter(
			"sluice_replica_changes_total", "Changes that the replica has followed.",
			func(s replica.Stats) uint64 { return s.Changes },
		),
		counter(
			"sluice_replica_watch_lost_total", "How often SpiceDB's Watch broke off.",
			func(s replica.Stats) uint64 { return s.Lost },
		),
		counter(
			"sluice_replica_verifications_total", "Answers of the replica that SpiceDB was asked as well.",
			func(s replica.Stats) uint64 { return s.Verified },
		),
		counter(
			"sluice_replica_differences_total",
			"Verified answers that were not SpiceDB's; the first takes the replica out of service.",
			func(s replica.Stats) uint64 { return s.Differences },
		),
	}
}
