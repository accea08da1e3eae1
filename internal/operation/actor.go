package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// isActorType reports whether objects of the type can perform operations.
func isActorType(t authz.Type) bool { return t == user || t == serviceAccount }

// errOnlyPeople returns the error for a service account that calls an operation which only people may perform.
// activity completes the sentence "only people", for example "accept invitations".
func errOnlyPeople(by Caller, activity string) error {
	return authz.Errorf(authz.CodeInvalid, "only people %s, and %s is a service account", activity, by.Actor)
}

// requireActor requires as a precondition that the actor exists, if it is a service account. If the service account
// does not exist, the error has CodeForbidden. So no operation succeeds in the name of a deleted service account,
// even if another tool gave it a role. requireActor accepts every person, since Sluice does not store which people
// exist.
func requireActor(ctx context.Context, p *plan) error {
	if !p.by.Actor.IsServiceAccount() {
		return nil
	}
	found, err := p.Find(ctx, placeFilter(p.by.Actor.Object()))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return authz.Errorf(authz.CodeForbidden, "%s does not exist, so it has no permission", p.by.Actor)
	}
	p.Require(found[0])
	return nil
}
