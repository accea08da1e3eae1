package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// forgets reports whether everything that is stored ends with the server.
func (c StoreConfig) forgets() bool { return !c.Remote() && c.Datastore == spicedb.Memory }

func (c Config) validateAudit() error {
	if c.AuditURI != "" && c.Store.forgets() {
		return fmt.Errorf(
			"--audit-uri: the datastore %s is gone when the server ends, and so is the log of what happened in it",
			c.Store.Datastore,
		)
	}
	if c.Store.DataDir != "" && c.AuditURI != "" && c.Store.Directory() == "" {
		return errors.New("--data-dir: nothing is kept in files, the log being where --audit-uri says")
	}
	return nil
}

// auditLog opens the log to write to. What a store in memory tells is kept in memory.
func (c Config) auditLog(ctx context.Context) (*audit.Log, error) {
	if c.Store.forgets() {
		return audit.OpenMemory(ctx)
	}
	if c.AuditURI != "" {
		log, err := audit.OpenPostgres(ctx, c.AuditURI)
		if err != nil {
			return nil, fmt.Errorf("--audit-uri: %w", oneLine(err))
		}
		return log, nil
	}
	log, err := audit.OpenFile(ctx, cmp.Or(c.Store.DataDir, DefaultDataDir))
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	return log, nil
}

// ReadAudit opens a log to read it, beside a server or without one: in the PostgreSQL database of uri if there is one,
// else in a data directory. The caller closes it.
func ReadAudit(ctx context.Context, dataDir, uri string) (*audit.Log, error) {
	if uri == "" {
		return audit.ReadFile(ctx, cmp.Or(dataDir, DefaultDataDir))
	}
	log, err := audit.ReadPostgres(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("--audit-uri: %w", oneLine(err))
	}
	return log, nil
}

// ExpectedAudit says how what a log stores beside its entries follows from them.
func ExpectedAudit() audit.Expected {
	return audit.Expected{Place: operation.Place, Position: spicedb.ComparePosition}
}

// openAudit opens the log, and returns what begins to follow: it returns when whatever is written from then on is told
// with its origin.
func (s *Server) openAudit(
	ctx context.Context, engine authz.Engine, metrics *httpapi.Metrics,
) (*audit.Log, func(context.Context) error, error) {
	log, err := s.config.auditLog(ctx)
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func(context.Context) error { return log.Close() })
	if s.config.NoAudit {
		return log, func(context.Context) error { return nil }, nil
	}
	follower := audit.NewFollower(audit.Config{
		Log: log, Source: s.source, Engine: engine, Place: operation.Place, Logger: s.log, Stored: s.acknowledged.Delivered,
	})
	metrics.Audit(follower.Stats())

	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	var began atomic.Bool
	s.onClose(func(ctx context.Context) error {
		err := s.stopListening()
		if began.Load() {
			s.awaitLog(ctx, log)
		}
		stop()
		running.Wait()
		return err
	})
	return log, func(ctx context.Context) error {
		if began.CompareAndSwap(false, true) {
			running.Go(func() { follower.Run(following) })
		}
		return follower.WaitForStart(ctx)
	}, nil
}
