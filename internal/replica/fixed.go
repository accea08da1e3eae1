package replica

import (
	"context"
	"errors"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Fixed answers checks on a schema and relationships that do not change, without SpiceDB. It is the evaluation of the
// in-memory replica. Tests use it to try very many situations.
type Fixed struct{ state *state }

// NewFixed returns a Fixed for a schema without imports. Errors about the schema have code authz.CodeInvalid.
func NewFixed(text string, relationships []*v1.Relationship) (*Fixed, error) {
	plans, err := newPlans(text)
	if err != nil {
		return nil, err
	}
	return (&Fixed{&state{plans: plans}}).With(relationships), nil
}

// With returns a Fixed for the same schema with other relationships.
func (f *Fixed) With(relationships []*v1.Relationship) *Fixed {
	s := &state{store: newStore(), version: 1, plans: f.state.plans}
	s.store.touch(relationships, s.version)
	return &Fixed{s}
}

// Check decides one check at a time. The error says why the in-memory replica would leave the check to SpiceDB.
func (f *Fixed) Check(ctx context.Context, check authz.Check, now time.Time) (authz.Decision, error) {
	decision, why := f.state.check(ctx, check, now)
	if why != "" {
		return authz.Decision{}, errors.New(why)
	}
	return decision, nil
}
