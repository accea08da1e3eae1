package client

import (
	"context"

	"github.com/sluice-authz/sluice/client/rest"
)

// Explanation is a decision with its reason. If the check is allowed, the reason is the path of relationships that
// allows it. If it is denied, the reason is a list of changes that would allow it.
type Explanation = rest.Explanation

// Explain returns a decision and its reason. It needs a key with the scope inspect. With another key, the answer has
// only the decision.
func (c *Client) Explain(ctx context.Context, check Check) (Explanation, error) {
	return explain(ctx, c.rest, check)
}

// Explain returns a decision and the part of its reason that the actor may see. It shows only objects that the actor
// may view, and names only people whom the actor may list.
func (a *Actor) Explain(ctx context.Context, check Check) (Explanation, error) {
	return explain(ctx, a.rest, check)
}

func explain(ctx context.Context, through *rest.Client, check Check) (Explanation, error) {
	in, err := check.wire()
	if err != nil {
		return Explanation{}, err
	}
	at, answered := chainOf(ctx).ask()
	explanation, err := answer[Explanation](through.Explain(ctx, nil, rest.CheckRequest{
		Subject: in.Subject, Permission: in.Permission, Resource: in.Resource, Context: in.Context, Consistency: at,
	}))
	if err == nil {
		answered(explanation.Token)
	}
	return explanation, err
}
