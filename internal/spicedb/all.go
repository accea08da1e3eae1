package spicedb

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/schema"
)

// schemaAge is how long what is known of a schema that others may apply is used.
const schemaAge = 5 * time.Second

// conditionalAlls remembers what the stored schema has of them.
type conditionalAlls struct {
	mu    sync.Mutex
	until time.Time
	names map[schema.Name]bool
}

func (a *conditionalAlls) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = time.Time{}
}

// conditionalAll lists the permissions that SpiceDB v1.56.0 may decide wrongly of several resources at once: for an
// all(), it takes the caveat of one resource's relationship to an object for that of every resource's relationship to
// it. It is nil if the schema cannot be read, as then nothing can be decided.
func (c *Client) conditionalAll(ctx context.Context) map[schema.Name]bool {
	c.alls.mu.Lock()
	known, names := time.Now().Before(c.alls.until), c.alls.names
	c.alls.mu.Unlock()
	if known {
		return names
	}
	text, err := c.Schema(ctx)
	if err != nil {
		return nil
	}
	if names, err = schema.ConditionalAll(text); err != nil {
		return nil
	}
	c.alls.mu.Lock()
	defer c.alls.mu.Unlock()
	c.alls.names, c.alls.until = names, time.Now().Add(schemaAge)
	return names
}
