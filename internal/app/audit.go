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

// forgets reports whether the stored data is lost when the server ends.
func (c StoreConfig) forgets() bool { return !c.Remote() && c.Datastore == spicedb.Memory }

func (c Config) validateAudit() error {
	if c.AuditURI != "" && c.Store.forgets() {
		return fmt.Errorf(
			"--audit-uri: the datastore %s is lost when the server ends, so its log cannot be kept; leave --audit-uri out",
			c.Store.Datastore,
		)
	}
	if c.Store.DataDir != "" && c.AuditURI != "" && c.Store.Directory() == "" {
		return errors.New("--data-dir: no files are stored, since the audit log is in --audit-uri; leave --data-dir out")
	}
	return nil
}

// auditLog opens the log for writing. For a datastore in memory, the log is in memory too.
func (c Config) auditLog(ctx context.Context) (*audit.Log, error) {
	if c.Store.forgets() {
		return audit.OpenMemory(ctx)
	}
	if c.AuditURI != "" {
		log, err := audit.OpenPostgres(ctx, c.AuditURI)
		if err == nil {
			err = c.refuseForeignCode(ctx, log)
		}
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

// refuseForeignCode closes a log in PostgreSQL and returns an error if it has a trigger or a rule that Sluice did not
// create: PostgreSQL would run it at each write. Other differences of the schema are logged.
func (c Config) refuseForeignCode(ctx context.Context, log *audit.Log) error {
	differences, err := log.Differences(ctx)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	for _, difference := range differences {
		if difference.RunsCode() {
			return errors.Join(fmt.Errorf("%s; see `sluice audit verify`", difference), log.Close())
		}
		if c.Logger != nil {
			c.Logger.ErrorContext(
				ctx, "the audit log's database is not as Sluice created it; see `sluice audit verify`",
				"difference", difference.String(),
			)
		}
	}
	return nil
}

// ReadAudit opens a log for reading; a server may be running. The log is in the PostgreSQL database of uri, or in a
// data directory if uri is empty. The caller closes it.
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

// ExpectedAudit returns the rules with which audit.Log.Verify recomputes the data that a log stores in addition to
// its entries.
func ExpectedAudit() audit.Expected {
	return audit.Expected{Place: operation.Place, Position: spicedb.ComparePosition}
}

// openAudit opens the audit log. It also returns a function that starts to follow the changes of SpiceDB. That
// function returns when the log is certain to receive every later change.
func (s *Server) openAudit(
	ctx context.Context, engine authz.Engine, metrics *httpapi.Metrics,
) (*audit.Log, func(context.Context) error, error) {
	log, err := s.config.auditLog(ctx)
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func(context.Context) error { return log.Close() })
	follower := audit.NewFollower(audit.Config{
		Log: log, Source: s.source, Reader: engine, Place: operation.Place, Logger: s.log, Stored: s.acknowledged.Delivered,
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
