package client

import (
	"context"
	"net/http"

	"github.com/sluice-authz/sluice/client/rest"
)

// Handover says what happens to the creations of a person who is removed. The person To becomes their new owner.
// Private selects what happens to the person's private connections: Disconnect deletes them, and Leave leaves them
// unchanged. If Private is empty and the actor removes another person who has private connections, the error is
// Conflict. If Private is empty and the actor removes the actor's own access, To also becomes the new owner of the
// private connections.
type Handover struct {
	To      string
	Private PrivateConnections
}

// The values of Handover.Private.
const (
	Disconnect = rest.Disconnect
	Leave      = rest.Leave
)

// Offboarding reports the access and the creations of a person that removing this person from an account would
// affect.
func (a *Actor) Offboarding(ctx context.Context, id, user string) (Offboarding, error) {
	return answer[Offboarding](a.rest.ReportOffboarding(ctx, id, user, nil))
}

// HandOverAccountMember removes a person from an account, and makes another person the owner of their creations
// there. It returns the reassigned objects. If an earlier call did this but its answer was lost, the result is empty.
func (a *Actor) HandOverAccountMember(ctx context.Context, id, user string, to Handover) (Reassigned, error) {
	params := &rest.RemoveAccountMemberParams{ReassignTo: &to.To, PrivateConnections: to.private()}
	return reassigned(a.rest.RemoveAccountMember(ctx, id, user, params))
}

// HandOverSubscriptionMember removes a person from a subscription and all of its accounts, and makes another person
// the owner of their creations there. See HandOverAccountMember.
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

// EraseUser deletes every relationship about a person. It needs a key with the scope provision.
func (c *Client) EraseUser(ctx context.Context, user string) error {
	return done(c.rest.EraseUser(ctx, user, nil))
}
