package client

import (
	"context"

	"github.com/sluice-authz/sluice/client/rest"
)

// Explanation is a decision with its reason: the path of relationships that allows it, or what is missing.
type Explanation = rest.Explanation

// Explain decides one question and says why. With a key that has the scope inspect it tells everything, with another
// one what the subject may see, and nobody's name.
func (c *Client) Explain(ctx context.Context, check Check) (Explanation, error) {
	return explain(ctx, c.rest, check)
}

// Explain decides one question and says why, to this person: about objects that they may view, naming people where they
// may list them.
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
