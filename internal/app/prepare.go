package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/schema"
)

// preparation is the work before a server is ready. It applies the schema, loads the relationships of a schema file
// into an empty store, starts the audit log and finishes interrupted deletions.
type preparation struct {
	engine     authz.Engine
	schema     schema.File
	file       string // --schema
	product    bool
	load       func(context.Context, schema.File) error
	follow     func(context.Context) error // starts the audit log
	operations *operation.Service
	limit      time.Duration // time limit for applying the schema
	log        *slog.Logger

	done atomic.Bool
}

func (p *preparation) run(ctx context.Context) error {
	stored, err := p.applySchema(ctx)
	if err != nil {
		return err
	}
	if stored == "" && len(p.schema.Relationships) > 0 {
		if err := p.load(ctx, p.schema); err != nil {
			return err
		}
		if _, err := CompleteFlags(ctx, p.engine); err != nil {
			return err
		}
	}
	if err := p.follow(ctx); err != nil {
		return err
	}
	if p.product {
		if err := p.operations.Resume(ctx); err != nil {
			return err
		}
	}
	p.done.Store(true)
	return nil
}

// applySchema applies the schema of this server and returns the previously stored one. It has its own time limit, since
// applying a schema to a new database takes longer than a request.
func (p *preparation) applySchema(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	stored, err := p.engine.Schema(ctx)
	if err != nil {
		return "", err
	}
	own := server{text: p.schema.Text, file: p.file, version: schema.Version()}
	return stored, own.applySchema(ctx, p.engine, p.log)
}

// ready returns nil if SpiceDB answers and the start is complete.
func (p *preparation) ready(ctx context.Context) error {
	if !p.done.Load() {
		return authz.Errorf(authz.CodeUnavailable, "the start is not complete: SpiceDB has not answered yet")
	}
	return p.engine.Ready(ctx)
}

// prepare prepares the store. If a remote SpiceDB is not reachable, the server starts but is not ready, and prepare
// retries in the background.
func (s *Server) prepare(ctx context.Context, p *preparation) error {
	err := p.run(ctx)
	if err == nil || !s.config.Store.Remote() || !away(err) {
		return err
	}
	s.log.WarnContext(ctx, "SpiceDB does not answer yet; retrying", "error", err.Error())
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	s.onClose(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		_, err := backoff.Retry(background, func() (struct{}, error) {
			err := p.run(background)
			if err != nil && !away(err) {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		}, backoff.WithBackOff(backoff.NewConstantBackOff(retryAfter)), backoff.WithMaxElapsedTime(0))
		if err != nil && background.Err() == nil {
			s.failed <- err
		}
	}()
	return nil
}

// away reports whether an error means that SpiceDB was not reachable.
func away(err error) bool {
	return errors.Is(err, authz.CodeUnavailable) || errors.Is(err, authz.CodeDeadline)
}
