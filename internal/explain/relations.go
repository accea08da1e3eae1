package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// created tells whether it would suffice that the subject had created the resource, which no operation changes.
func (i *inquiry) created(ctx context.Context, scratch *rehearsal) ([]candidate, error) {
	r := authz.Relationship{Resource: i.check.Resource, Relation: "creator", Subject: i.check.Subject}
	if !i.isProduct(r.Resource.Type) || !i.accepts(r) {
		return nil, nil
	}
	state, err := scratch.attempt(ctx, i.check, []authz.Update{{Action: authz.Touch, Relationship: r}})
	if err != nil || state != authz.Allowed {
		return nil, err
	}
	return []candidate{{gains: []authz.Relationship{r}}}, nil
}

// accepts reports whether the relationship can stand there without a caveat and an expiration.
func (i *inquiry) accepts(r authz.Relationship) bool {
	return slices.Contains(i.schema[r.Resource.Type].Accepts[r.Relation], authz.SubjectType{
		Type: r.Subject.Type, Relation: r.Subject.Relation, Wildcard: r.Subject.Wildcard,
	})
}
