package client

import (
	"context"

	"github.com/sluice-authz/sluice/client/rest"
)

// Explanation is a decision with its reason: the path of relationships that allows it, or suggestions that would allow
// it.
type Explanation = rest.Explanation

// Explain returns a decision and its reason. With the scope inspect, the answer has everything. With another key, it
// has only information that the subject may see, without names of people.
func (c *Client) Explain(ctx context.Context, check Check) (Explanation, error) {
	return explain(ctx, c.rest, check)
}

// Explain returns a decision and the part of its reason that this person may see. It shows objects that they may view,
// and names people whom they may list.
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
