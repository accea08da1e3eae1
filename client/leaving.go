package client

import (
	"context"
	"net/http"

	"github.com/sluice-authz/sluice/client/rest"
)

// Handover says who becomes the creator of what somebody created who is removed. Private is what happens to private
// connections of theirs: Disconnect or Leave. If it is empty they move too where the actor removes themselves, and
// where somebody else does the removal is refused with Conflict while there are any.
type Handover struct {
	To      string
	Private PrivateConnections
}

// What happens to the private connections of somebody who leaves.
const (
	Disconnect = rest.Disconnect
	Leave      = rest.Leave
)

// Offboarding reports what hangs on a person in an account.
func (a *Actor) Offboarding(ctx context.Context, id, user string) (Offboarding, error) {
	return answer[Offboarding](a.rest.ReportOffboarding(ctx, id, user, nil))
}

// HandOverAccountMember removes a person from an account, and hands over what they created there. It returns
// what it reassigned, which is empty if the server had performed the call before its answer was lost.
func (a *Actor) HandOverAccountMember(ctx context.Context, id, user string, to Handover) (Reassigned, error) {
	params := &rest.RemoveAccountMemberParams{ReassignTo: &to.To, PrivateConnections: to.private()}
	return reassigned(a.rest.RemoveAccountMember(ctx, id, user, params))
}

// HandOverSubscriptionMember removes a person from a subscription and all of its accounts, and hands over what they
// created there, see HandOverAccountMember.
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

// EraseUser removes every relationship of a person. It needs a key with the scope provision.
func (c *Client) EraseUser(ctx context.Context, user string) error {
	return done(c.rest.EraseUser(ctx, user, nil))
}
