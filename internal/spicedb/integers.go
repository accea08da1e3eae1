package spicedb

import (
	"context"
	"sync"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/schema"
)

// knownParameters caches the caveat parameters of the stored schema for schemaAge.
type knownParameters struct {
	mu         sync.Mutex
	until      time.Time
	parameters schema.Parameters
}

func (k *knownParameters) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = time.Time{}
}

// caveatParameters returns the caveat parameters of the stored schema.
func (c *Client) caveatParameters(ctx context.Context) (schema.Parameters, error) {
	c.parameters.mu.Lock()
	known, parameters := time.Now().Before(c.parameters.until), c.parameters.parameters
	c.parameters.mu.Unlock()
	if known {
		return parameters, nil
	}
	text, err := c.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if parameters, err = schema.ReadParameters(text); err != nil {
		return nil, err
	}
	c.parameters.mu.Lock()
	defer c.parameters.mu.Unlock()
	c.parameters.parameters, c.parameters.until = parameters, time.Now().Add(schemaAge)
	return parameters, nil
}

// checkIntegers rejects the context of a check or look-up if it has an integer beyond the 64 bits of its parameter.
func (c *Client) checkIntegers(ctx context.Context, values map[string]any) error {
	if !schema.HasLargeInteger(values) {
		return nil
	}
	parameters, err := c.caveatParameters(ctx)
	if err != nil {
		return err
	}
	return parameters.CheckGiven("context", values)
}

// checkStoredIntegers rejects a relationship if its context has an integer beyond the 64 bits of its parameter.
func (c *Client) checkStoredIntegers(ctx context.Context, relationship *v1.Relationship) error {
	caveat := relationship.GetOptionalCaveat()
	if len(caveat.GetContext().GetFields()) == 0 {
		return nil
	}
	values := caveat.GetContext().AsMap()
	if !schema.HasLargeInteger(values) {
		return nil
	}
	parameters, err := c.caveatParameters(ctx)
	if err != nil {
		return err
	}
	return parameters.CheckStored(caveat.GetCaveatName(), "caveat_context", values)
}
