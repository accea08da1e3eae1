package spicedb

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/schema"
)

// schemaAge is how long facts about the stored schema are cached. Meanwhile, another server may apply another schema.
const schemaAge = 5 * time.Second

// conditionalAlls caches the result of conditionalAll.
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

// conditionalAll returns the permissions that SpiceDB v1.56.0 may decide wrongly if it checks several resources at
// once. In such a check, several resources can be related to one object. If one of these relationships has a caveat, an
// all() wrongly applies the caveat to all of them. If the schema cannot be read, conditionalAll returns nil, since
// checks fail anyway.
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
