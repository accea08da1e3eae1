package spicedb

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxScratchUses is the largest number of uses of one scratch engine, a temporary SpiceDB in memory. The limit exists
// because its store keeps the history of all uses.
const maxScratchUses = 200

// Scratch implements authz.Engine. It returns an embedded SpiceDB in memory. It reuses closed scratch engines, since
// starting a SpiceDB takes far longer than writing the relationships.
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
			return nil, errors.Join(err, s.Close()) //nolint:contextcheck // Close works after the end of ctx
		}
	}
	return s, nil
}

func newScratch(ctx context.Context, schema string, timeout time.Duration) (*scratch, error) {
	together := newAllowance()
	engine, err := Embedded(ctx, EmbeddedConfig{
		Options: Options{Timeout: timeout}, limited: limited{together: together},
	})
	if err != nil {
		return nil, &authz.Error{Code: authz.CodeInternal, Message: internalMessage, Cause: err}
	}
	if err := engine.ApplySchema(ctx, schema); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return &scratch{EmbeddedEngine: engine, schema: schema, together: together, types: make(map[authz.Type]bool)}, nil
}

// scratch is a scratch engine: an embedded SpiceDB in memory. Close empties it for the next use.
type scratch struct {
	*EmbeddedEngine
	home     *scratches
	schema   string
	uses     int
	together *allowance          // shared by all look-ups of subjects during one use
	types    map[authz.Type]bool // types of written relationships
}

// Write implements authz.Engine.
func (s *scratch) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	for _, update := range write.Updates {
		s.types[update.Relationship.Resource.Type] = true
	}
	return s.EmbeddedEngine.Write(ctx, write)
}

// Close empties the scratch engine and returns it to its pool. If the engine cannot be used again, Close stops it.
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
	s.together.renew()
	return s.home.give(s)
}

// scratches is the pool of scratch engines that are not in use.
type scratches struct {
	mu     sync.Mutex
	idle   []*scratch
	closed bool
}

// maxIdleScratches is the largest number of scratches in the pool.
const maxIdleScratches = 4

// take removes a scratch engine with a schema from the pool. It returns nil if there is none.
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

// give adds a scratch engine to the pool. If the pool is full, it stops the engine that was unused for longest.
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

// close stops the unused scratches. Scratches in use stop when they are closed.
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
