package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// suggestCreator returns the suggestion to make the subject the creator of the resource, if this would allow the
// check. The suggestion has no operations, since no operation can do this.
func (i *inquiry) suggestCreator(ctx context.Context, scratch *simulation) ([]candidate, error) {
	r := authz.Relationship{Resource: i.check.Resource, Relation: "creator", Subject: i.check.Subject}
	if !i.isProduct(r.Resource.Type) || !i.accepts(r) {
		return nil, nil
	}
	state, err := scratch.evaluate(ctx, i.check, []authz.Update{{Action: authz.Touch, Relationship: r}})
	if err != nil || state != authz.Allowed {
		return nil, err
	}
	return []candidate{{added: []authz.Relationship{r}}}, nil
}

// accepts reports whether the schema accepts a relationship that has no caveat and no expiration.
func (i *inquiry) accepts(r authz.Relationship) bool {
	return slices.Contains(i.schema[r.Resource.Type].Accepts[r.Relation], authz.SubjectType{
		Type: r.Subject.Type, Relation: r.Subject.Relation, Wildcard: r.Subject.Wildcard,
	})
}
