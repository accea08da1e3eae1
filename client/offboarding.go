package client

import (
	"context"
	"net/http"

	"github.com/sluice-authz/sluice/client/rest"
)

// Handover names the new owner of a removed person's creations. Private selects what happens to the person's private
// connections: Disconnect or Leave. If Private is empty and actors remove themselves, their private connections are
// reassigned too. If Private is empty and actors remove somebody else who has private connections, the removal fails
// with Conflict.
type Handover struct {
	To      string
	Private PrivateConnections
}

// The values of Handover.Private.
const (
	Disconnect = rest.Disconnect
	Leave      = rest.Leave
)

// Offboarding reports what a removal of a person from an account would affect.
func (a *Actor) Offboarding(ctx context.Context, id, user string) (Offboarding, error) {
	return answer[Offboarding](a.rest.ReportOffboarding(ctx, id, user, nil))
}

// HandOverAccountMember removes a person from an account and reassigns their creations there. It returns the reassigned
// objects. The result is empty if an earlier attempt succeeded but its answer was lost.
func (a *Actor) HandOverAccountMember(ctx context.Context, id, user string, to Handover) (Reassigned, error) {
	params := &rest.RemoveAccountMemberParams{ReassignTo: &to.To, PrivateConnections: to.private()}
	return reassigned(a.rest.RemoveAccountMember(ctx, id, user, params))
}

// HandOverSubscriptionMember removes a person from a subscription and all of its accounts, and reassigns their
// creations there. See HandOverAccountMember.
func (a *Actor) HandOverSubscriptionMember(ctx context.Context, id, user string, to Handover) (Reassigned, error) {
	params := &rest.RemoveSubscriptionMemberParams{ReassignTo: &to.To, PrivateConnections: to.private()}
	return reassigned(a.rest.RemoveSubscriptionMember(ctx, id, user, params))
}

func reassigned(response *http.Response, err error) (Reassigned, error) {
	removed, err := answer[rest.RemovedMember](response, err)
	return removed.Reassigned, err
}

func (h Handover) private() *PrivateConnections {
	if h.Private == "" {
		return nil
	}
	return &h.Private
}

// EraseUser deletes every relationship of a person. It needs a key with the scope provision.
func (c *Client) EraseUser(ctx context.Context, user string) error {
	return done(c.rest.EraseUser(ctx, user, nil))
}
