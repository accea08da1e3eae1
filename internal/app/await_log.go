package app

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

const (
	// logPoll is how often a stopping server checks the progress of the audit log. It polls, since another server may
	// write the log.
	logPoll = 20 * time.Millisecond

	// lastRead is the time limit for the last check of the log's progress, after the drain time-out.
	lastRead = time.Second

	// maxNamed is the largest number of requests in the log line about missing changes.
	maxNamed = 10
)

// awaitLog waits until the audit log has every change that this server acknowledged. If ctx ends or the drain
// time-out passes before, awaitLog logs the missing changes.
func (s *Server) awaitLog(ctx context.Context, log *audit.Log) {
	waiting, cancel := context.WithTimeout(ctx, s.config.DrainTimeout)
	defer cancel()
	for {
		if writes, _ := s.acknowledged.Outstanding(); len(writes) == 0 {
			return
		}
		if through, _, err := log.Through(waiting); err == nil && through != "" {
			s.acknowledged.Delivered(through)
			if writes, _ := s.acknowledged.Outstanding(); len(writes) == 0 {
				return
			}
		}
		select {
		case <-time.After(logPoll):
		case <-waiting.Done():
			s.reportMissing(context.WithoutCancel(ctx), log)
			return
		}
	}
}

// reportMissing logs the acknowledged changes that the audit log lacks.
func (s *Server) reportMissing(ctx context.Context, log *audit.Log) {
	ctx, cancel := context.WithTimeout(ctx, lastRead)
	defer cancel()
	through, last, err := log.Through(ctx)
	if err == nil && through != "" {
		s.acknowledged.Delivered(through)
	}
	writes, count := s.acknowledged.Outstanding()
	if len(writes) == 0 {
		return
	}
	fields := []any{
		"missing", count, "oldest", writes[0].At.UTC().Format(time.RFC3339Nano), "newest",
		writes[len(writes)-1].At.UTC().Format(time.RFC3339Nano),
		"requests", requestIDs(writes),
	}
	if err != nil {
		fields = append(fields, "error", err.Error())
	} else {
		fields = append(fields, "last_entry", last.Seq)
	}
	if !s.config.Store.forgets() {
		fields = append(
			fields, "remedy",
			"start a server on the same store within 24 hours, while SpiceDB keeps its history, and before you "+
				"restore or replace the store",
		)
	}
	s.log.ErrorContext(
		ctx, "the server stops before the audit log has all changes that the server acknowledged", fields...,
	)
}

// requestIDs returns the ids of the requests of the first writes. A write from outside Sluice has none.
func requestIDs(writes []spicedb.AcknowledgedWrite) []string {
	var ids []string
	for _, write := range writes {
		id, ok := write.Metadata["request_id"].(string)
		if ok && !slices.Contains(ids, id) {
			if ids = append(ids, id); len(ids) == maxNamed {
				break
			}
		}
	}
	return ids
}
