package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// AuditConfig says where the audit log is: in the PostgreSQL database of URI if that is set, else in a file in DataDir.
type AuditConfig struct {
	DataDir string // --data-dir
	URI     string // --audit-uri
}

// forgets reports whether everything that is stored ends with the server.
func (c StoreConfig) forgets() bool { return !c.Remote() && c.Datastore == spicedb.Memory }

func (c AuditConfig) validate(store StoreConfig) error {
	switch {
	case c.URI != "" && store.forgets():
		return fmt.Errorf("--audit-uri: the datastore %s is gone when the server ends, and so is the log of what happened in it; it takes no address", store.Datastore)
	case c.URI == "" && c.DataDir == "" && !store.forgets():
		return errors.New("--data-dir: the audit log needs a directory, or --audit-uri")
	}
	return nil
}

// open opens the log to write to. What a store in memory tells is kept in memory.
func (c AuditConfig) open(ctx context.Context, store StoreConfig) (*audit.Log, error) {
	if store.forgets() {
		return audit.OpenMemory(ctx)
	}
	if c.URI != "" {
		log, err := audit.OpenPostgres(ctx, c.URI)
		if err != nil {
			return nil, fmt.Errorf("--audit-uri: %w", oneLine(err))
		}
		return log, nil
	}
	log, err := audit.OpenFile(ctx, c.DataDir)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	return log, nil
}

// ReadAudit opens the log to read it, beside a server or without one. The caller closes it.
func ReadAudit(c AuditConfig) (*audit.Log, error) {
	if c.URI != "" {
		return audit.ReadPostgres(c.URI)
	}
	return audit.ReadFile(c.DataDir)
}

// openAudit opens the log, and returns what begins to follow: it returns when whatever is written from then on is told with
// its origin.
func (s *Server) openAudit(ctx context.Context, engine authz.Engine, metrics *httpapi.Metrics) (*audit.Log, func(context.Context) error, error) {
	log, err := s.config.Audit.open(ctx, s.config.Store)
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func(context.Context) error { return log.Close() })
	follower := audit.NewFollower(audit.Config{Log: log, Source: s.source, Engine: engine, Place: operation.Place, Logger: s.log})
	metrics.Audit(follower.Stats())

	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	s.onClose(func(context.Context) error {
		stop()
		running.Wait()
		return nil
	})
	var once sync.Once
	return log, func(ctx context.Context) error {
		once.Do(func() { running.Go(func() { follower.Run(following) }) })
		return follower.Begun(ctx)
	}, nil
}
