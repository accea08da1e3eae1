package spicedb

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxScratchUses is how often an emptied scratch is used again, since its store remembers what was in it.
const maxScratchUses = 200

// Scratch implements authz.Engine. It is an embedded SpiceDB in memory, and one that was given back is used again, as
// starting one takes far longer than filling it.
func (c *Client) Scratch(
	ctx context.Context, schema string, relationships []authz.Relationship,
) (_ authz.Engine, err error) {
	defer c.observe("Scratch", time.Now(), &err)
	if schema == "" {
		if schema, err = c.Schema(ctx); err != nil {
			return nil, err
		}
	}
	s := c.scratches.take(schema)
	if s == nil {
		if s, err = newScratch(ctx, schema, c.options.Timeout); err != nil {
			return nil, err
		}
		s.home = &c.scratches
	}
	for batch := range slices.Chunk(relationships, authz.MaxUpdates) {
		var write authz.Write
		for _, r := range batch {
			write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: r})
		}
		if _, err := s.Write(ctx, write); err != nil {
			return nil, errors.Join(err, s.Close()) //nolint:contextcheck // it is emptied also when the request has ended
		}
	}
	return s, nil
}

func newScratch(ctx context.Context, schema string, timeout time.Duration) (*scratch, error) {
	engine, err := Embedded(ctx, EmbeddedConfig{Options: Options{Timeout: timeout}})
	if err != nil {
		return nil, &authz.Error{Code: authz.CodeInternal, Message: internalMessage, Cause: err}
	}
	if err := engine.ApplySchema(ctx, schema); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return &scratch{EmbeddedEngine: engine, schema: schema, types: make(map[authz.Type]bool)}, nil
}

// scratch is an embedded SpiceDB that is emptied when it is closed.
type scratch struct {
	*EmbeddedEngine
	home   *scratches
	schema string
	uses   int
	types  map[authz.Type]bool // of what was written
}

// Write implements authz.Engine.
func (s *scratch) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	for _, update := range write.Updates {
		s.types[update.Relationship.Resource.Type] = true
	}
	return s.EmbeddedEngine.Write(ctx, write)
}

// Close empties the scratch and gives it back, or ends it if it cannot be used again.
func (s *scratch) Close() error {
	if s.uses++; s.uses >= maxScratchUses {
		return s.EmbeddedEngine.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.options.Timeout)
	defer cancel()
	for typ := range s.types {
		if _, err := s.DeleteAll(ctx, authz.Filter{Type: typ}, nil, nil); err != nil {
			return errors.Join(err, s.EmbeddedEngine.Close())
		}
	}
	clear(s.types)
	return s.home.give(s)
}

// scratches are those that nobody uses at the moment.
type scratches struct {
	mu     sync.Mutex
	idle   []*scratch
	closed bool
}

// maxIdleScratches is how many scratches are kept for later.
const maxIdleScratches = 4

// take returns an idle scratch with that schema, or nil.
func (p *scratches) take(schema string) *scratch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.idle {
		if s.schema == schema {
			p.idle = slices.Delete(p.idle, i, i+1)
			return s
		}
	}
	return nil
}

// give keeps a scratch for later. Of too many, the one that was idle for longest is ended.
func (p *scratches) give(s *scratch) error {
	p.mu.Lock()
	p.idle = append(p.idle, s)
	var surplus []*scratch
	if p.closed {
		surplus, p.idle = p.idle, nil
	} else if len(p.idle) > maxIdleScratches {
		surplus, p.idle = p.idle[:1:1], p.idle[1:]
	}
	p.mu.Unlock()
	return end(surplus)
}

// close ends the idle scratches; those in use end when they are given back.
func (p *scratches) close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	return end(idle)
}

func end(surplus []*scratch) error {
	var errs []error
	for _, s := range surplus {
		errs = append(errs, s.EmbeddedEngine.Close())
	}
	return errors.Join(errs...)
}
