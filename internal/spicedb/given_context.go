package spicedb

import (
	"context"
	"errors"
	"sync"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// knownCaveats caches the caveats of the stored schema for schemaAge.
type knownCaveats struct {
	mu      sync.Mutex
	until   time.Time
	caveats schema.Caveats
}

func (k *knownCaveats) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = time.Time{}
}

// storedCaveats returns the caveats of the stored schema.
func (c *Client) storedCaveats(ctx context.Context) (schema.Caveats, error) {
	c.caveats.mu.Lock()
	known, caveats := time.Now().Before(c.caveats.until), c.caveats.caveats
	c.caveats.mu.Unlock()
	if known {
		return caveats, nil
	}
	text, err := c.Schema(ctx)
	if err != nil {
		return caveats, err
	}
	if caveats, err = schema.ReadCaveats(text); err != nil {
		return caveats, err
	}
	c.caveats.mu.Lock()
	defer c.caveats.mu.Unlock()
	c.caveats.caveats, c.caveats.until = caveats, time.Now().Add(schemaAge)
	return caveats, nil
}

// givenContext is the context of a check or look-up in SpiceDB's form.
type givenContext struct {
	values *structpb.Struct

	// rejected has an error for each parameter with a number that SpiceDB would change.
	rejected map[string]error
}

// toGivenContext converts the context of a check or look-up of a permission. SpiceDB would replace an integer beyond 64
// bits by the largest 64-bit integer, and round a string for a double. So toGivenContext replaces a parameter with such
// a number by null, which has the wrong type for the parameter. Then the caveats that read the parameter fail, and no
// others. It writes the times of timestamps in the form that SpiceDB accepts. It returns an error with CodeInvalid if a
// double cannot hold a JSON number exactly.
func (c *Client) toGivenContext(
	ctx context.Context, on authz.Type, permission authz.Permission, values map[string]any,
) (given givenContext, err error) {
	if given.values, err = toStruct("context", values); err != nil || !schema.NeedsTypes(values) {
		return given, err
	}
	caveats, err := c.storedCaveats(ctx)
	if err != nil {
		return given, err
	}
	if given.values, err = toStruct("context", caveats.WithGivenTimes(on, permission, values)); err != nil {
		return given, err
	}
	given.rejected = caveats.CheckGiven(on, permission, "context", values)
	for name := range given.rejected {
		given.values.Fields[name] = structpb.NewNullValue()
	}
	return given, nil
}

// nameNumber returns the error of a check or look-up. If SpiceDB rejected a parameter that toGivenContext replaced, the
// error names the number that SpiceDB would change.
func (g givenContext) nameNumber(err error) error {
	var failed, rejected *authz.Error
	if len(g.rejected) == 0 || !isCaveatFailure(err) || !errors.As(err, &failed) {
		return err
	}
	parameter := reasonOf(status.Convert(failed.Cause)).GetMetadata()["parameter_name"]
	if !errors.As(g.rejected[parameter], &rejected) {
		return err
	}
	return &authz.Error{Code: rejected.Code, Message: rejected.Message, Cause: failed.Cause}
}

// prepareStored rejects a relationship if SpiceDB would change a number in its context, depending on the type of the
// parameter. It writes the times of timestamps in the form that SpiceDB accepts.
func (c *Client) prepareStored(ctx context.Context, relationship *v1.Relationship) error {
	caveat := relationship.GetOptionalCaveat()
	if len(caveat.GetContext().GetFields()) == 0 {
		return nil
	}
	values := caveat.GetContext().AsMap()
	if !schema.NeedsTypes(values) {
		return nil
	}
	caveats, err := c.storedCaveats(ctx)
	if err != nil {
		return err
	}
	if err := caveats.CheckStored(caveat.GetCaveatName(), "caveat_context", values); err != nil {
		return err
	}
	caveat.Context, err = toStruct("caveat_context", caveats.WithStoredTimes(caveat.GetCaveatName(), values))
	return err
}
