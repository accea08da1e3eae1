package operation

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// How long an invitation is open by default, and at most.
const (
	DefaultInvitation = 7 * 24 * time.Hour
	MaxInvitation     = 365 * 24 * time.Hour
)

// Invitation offers roles on an account or a subscription.
type Invitation struct {
	// ID is the secret with which a person accepts the invitation. Only the answer to its creation contains it. Handle
	// is the public name of the invitation.
	ID     string
	Handle authz.ID

	To        authz.Object
	Inviter   authz.Actor
	Invitee   authz.ID // the only person who may accept it; empty if anybody who knows the ID may
	Roles     Roles
	ExpiresAt time.Time

	subscription authz.ID // To, or the subscription of To; only set in a new invitation that offers custom roles
}

// NewInvitation describes an invitation to create. Without an Invitee, anybody who knows its ID may accept it, and it
// may offer only the default role. Without ExpiresIn it is open for DefaultInvitation.
type NewInvitation struct {
	To        authz.Object
	Invitee   authz.ID
	Roles     []string
	ExpiresIn *time.Duration
}

// AcceptedInvitation has the roles that a person holds after accepting an invitation.
type AcceptedInvitation struct {
	To        authz.Object
	Roles     Roles
	ExpiresAt time.Time // end of the role that ends last; zero if one of them does not end
}

// Invitations is a page of open invitations, sorted by handle; NextCursor is empty at the end.
type Invitations struct {
	Invitations []Invitation
	NextCursor  string
}

// Invite creates an invitation to an account or a subscription. The actor needs the permissions to grant the roles, now
// and when the invitee accepts. The invitation expires at the latest when the actor's right to grant ends. It replaces
// an older invitation of the same invitee to the same account or subscription, which the actor must be allowed to
// withdraw.
func (s *Service) Invite(ctx context.Context, by Caller, in NewInvitation) (Invitation, Done, error) {
	open := DefaultInvitation
	if in.ExpiresIn != nil {
		open = *in.ExpiresIn
	}
	if open < time.Second || open > MaxInvitation {
		return Invitation{}, Done{}, authz.Errorf(
			authz.CodeInvalid, "expires_in must be from 1 to %d, in seconds", MaxInvitation/time.Second,
		)
	}
	id := by.secret()
	ends := s.now().Add(open + time.Second - 1).UTC().Truncate(time.Second) // rounded up to a full second
	build := func(ctx context.Context, p *plan) (Invitation, error) {
		roles, err := offerRoles(ctx, p, in)
		if err != nil || p.isReplay {
			return Invitation{}, err
		}
		// Accepting the invitation writes these updates later. Only their preconditions are kept, since they must also
		// hold now.
		p.DiscardUpdates()
		p.ending, p.granted = nil, nil
		if err := finishRemovalsBeforeInviting(ctx, p, in.To, by.Actor.Person(), in.Invitee); err != nil {
			return Invitation{}, err
		}
		invitation := Invitation{
			ID: id, Handle: digest(id), To: in.To, Inviter: by.Actor, Invitee: in.Invitee, Roles: roles,
		}
		if invitation.ExpiresAt, err = readInvitationEnd(ctx, p, in.To, ends); err != nil {
			return Invitation{}, err
		}
		if len(customOf(roles)) > 0 {
			subscription, err := readSubscriptionOfPlace(ctx, p, in.To)
			if err != nil {
				return Invitation{}, err
			}
			invitation.subscription = subscription.ID
		}
		p.Forbid(authz.Filter{Type: invitationType, ID: invitation.Handle})
		for _, row := range invitation.rows() {
			p.Update(authz.Touch, row)
		}
		return invitation, replaceInvitations(ctx, p, invitation, s.now())
	}
	return runWithResult(ctx, s, by, "invite_to_"+string(in.To.Type), s.invitationResult(by, id, in), build)
}

// invitationResult reads an open invitation by its secret id. It returns an error unless the actor could still create
// the invitation and may list it.
func (s *Service) invitationResult(by Caller, id string, in NewInvitation) result[Invitation] {
	named := Invitation{To: in.To, Inviter: by.Actor}
	return result[Invitation]{named, func(ctx context.Context) (Invitation, authz.Token, error) {
		var invitation Invitation
		token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
			if err := viewOf(p).Require(ctx, visibility.Invitations(in.To)); err != nil {
				return err
			}
			if _, err := offerRoles(ctx, p, in); err != nil {
				return err
			}
			stored, err := readInvitation(ctx, p, digest(id))
			if err != nil {
				return err
			}
			closed, err := isInvitationClosed(ctx, p, stored)
			if err != nil || closed || !stored.open() {
				return cmp.Or(err, error(errNoInvitation))
			}
			invitation = stored.Invitation
			invitation.ID = id
			return nil
		})
		return answered(invitation, token, err)
	}}
}

// readInvitationEnd returns when an invitation expires: at the requested time, or when the inviter's right to grant
// ends, if that is earlier. A later grant to the inviter does not extend the invitation.
func readInvitationEnd(ctx context.Context, p *plan, to authz.Object, requested time.Time) (time.Time, error) {
	if to.Type != "account" {
		return requested, nil
	}
	account, err := readAccount(ctx, p, to.ID)
	if err != nil {
		return requested, err
	}
	end, err := readGrantEnd(ctx, p, account)
	if !end.IsZero() && end.Before(requested) {
		requested = end
	}
	return requested, err
}

// secret returns the id of an invitation. Nobody else can guess it, and a retry with the same idempotency key gets the
// same id.
func (c Caller) secret() string {
	var secret [sha256.Size]byte
	if c.Idempotency != nil {
		derived := hmac.New(sha256.New, c.Idempotency.Secret)
		derived.Write([]byte("invitation"))
		copy(secret[:], derived.Sum(nil))
	} else {
		_, _ = rand.Read(secret[:]) // never fails
	}
	return base32.StdEncoding.EncodeToString(secret[:20]) // 20 bytes need no padding
}

// errNoInvitation is the error about every invitation that the actor cannot accept, for any reason.
var errNoInvitation = authz.Errorf(
	authz.CodeNotFound, "there is no open invitation with this id, or it is not for the actor",
)

// AcceptInvitation grants the actor the roles that an invitation offers, on behalf of the inviter. The inviter must
// still have the permissions to grant them. If the actor cannot accept the invitation, the error has CodeNotFound. The
// person who accepted an invitation may repeat the call: it changes nothing, and returns the roles that they hold now.
// If they hold none and may not view the account or subscription, the result is empty.
func (s *Service) AcceptInvitation(ctx context.Context, by Caller, id string) (AcceptedInvitation, Done, error) {
	if by.Actor.IsServiceAccount() {
		return AcceptedInvitation{}, Done{}, errOnlyPeople(by, "accept invitations")
	}
	build := func(ctx context.Context, p *plan) (AcceptedInvitation, error) {
		stored, err := readInvitation(ctx, p, digest(id))
		if err != nil {
			return AcceptedInvitation{}, err
		}
		if stored.accepted != by.Actor.Person() && !stored.openTo(by.Actor.Person()) {
			return AcceptedInvitation{}, errNoInvitation
		}
		if stored.accepted == by.Actor.Person() {
			accepted, err := readAcceptedBefore(ctx, p, stored.To)
			if refused(err) {
				err = nil
			}
			return accepted, err
		}
		if closed, err := isInvitationClosed(ctx, p, stored); err != nil || closed {
			return AcceptedInvitation{}, cmp.Or(err, error(errNoInvitation))
		}
		err = actAs(ctx, p, stored.Inviter, func() error {
			_, err := joinPlace(ctx, p, stored.To, by.Actor.Person(), texts(stored.Roles))
			return err
		})
		var refused *authz.Error
		switch {
		case errors.Is(err, authz.CodeNotFound):
			return AcceptedInvitation{}, errNoInvitation
		case errors.As(err, &refused) && refused.Code == authz.CodeForbidden:
			// The error names neither the inviter nor the place, since the actor may know neither.
			return AcceptedInvitation{}, authz.Errorf(
				authz.CodeForbidden, "the inviter of %s may no longer give these roles; ask for a new invitation",
				by.Actor,
			)
		// The actor's roles have changed since the invitation, and cannot be combined with the offered roles.
		case errors.As(err, &refused) && refused.Code == authz.CodeInvalid:
			return AcceptedInvitation{}, authz.Errorf(
				authz.CodeConflict, "the roles that %s holds on %s changed since the invitation: %s", by.Actor,
				stored.To, refused.Message,
			)
		case err != nil:
			return AcceptedInvitation{}, err
		}
		closeInvitation(p, stored, invitationAccepted, later(stored.ExpiresAt, s.now().Add(rememberFor)))
		return readAccepted(ctx, p, stored.To, customOf(stored.Roles)...)
	}
	return runWithResult(ctx, s, by, "accept_invitation", s.acceptedResult(by, id), build)
}

// acceptedResult reads the roles that the actor holds on the account or subscription of an invitation that they
// accepted.
func (s *Service) acceptedResult(by Caller, id string) result[AcceptedInvitation] {
	return result[AcceptedInvitation]{read: func(ctx context.Context) (AcceptedInvitation, authz.Token, error) {
		var accepted AcceptedInvitation
		token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
			stored, err := readInvitation(ctx, p, digest(id))
			if err != nil || stored.accepted != by.Actor.Person() {
				return cmp.Or(err, error(errNoInvitation))
			}
			accepted, err = readAcceptedBefore(ctx, p, stored.To)
			return err
		})
		return answered(accepted, token, err)
	}}
}

// readAcceptedBefore is readAccepted for a repeated acceptance. It returns an error with CodeNotFound if the actor no
// longer holds a role on the account or subscription and may not view it.
func readAcceptedBefore(ctx context.Context, p *plan, to authz.Object) (AcceptedInvitation, error) {
	accepted, err := readAccepted(ctx, p, to)
	if err == nil && len(accepted.Roles) == 0 {
		err = viewOf(p).Require(ctx, visibility.Existence(to))
	}
	if err != nil {
		return AcceptedInvitation{}, err
	}
	return accepted, nil
}

// readAccepted returns the roles that the actor will hold on an account or subscription after the plan's write. custom
// has the custom roles that the plan may be the first to give there.
func readAccepted(
	ctx context.Context, p *plan, to authz.Object, custom ...authz.Role,
) (AcceptedInvitation, error) {
	place, err := readRolePlace(ctx, p, to)
	if err != nil {
		return AcceptedInvitation{}, err
	}
	custom = append(custom, place.set.Custom()...)
	set := place.set.BuiltIn().WithCustom(place.subscription.object.ID, custom...) // sorted
	held, err := readRolesAfter(ctx, p, to, set, p.by.Actor.Person())
	return AcceptedInvitation{To: to, Roles: rolesOf(held), ExpiresAt: lastEnd(held)}, err
}

// actAs calls do while another actor is the actor of the plan. It returns an error with CodeForbidden if this actor
// is a service account that does not exist.
func actAs(ctx context.Context, p *plan, actor authz.Actor, do func() error) error {
	own := p.by.Actor
	defer func() { p.by.Actor = own }()
	p.by.Actor = actor
	if err := requireActor(ctx, p); err != nil {
		return err
	}
	return do()
}

// DeclineInvitation closes an open invitation that the actor could accept. The person who declined it may repeat the
// call.
func (s *Service) DeclineInvitation(ctx context.Context, by Caller, id string) (Done, error) {
	if by.Actor.IsServiceAccount() {
		return Done{}, errOnlyPeople(by, "decline invitations")
	}
	return s.run(ctx, by, "decline_invitation", func(ctx context.Context, p *plan) error {
		stored, err := readInvitation(ctx, p, digest(id))
		if err != nil || stored.declined == by.Actor.Person() {
			return err
		}
		if !stored.openTo(by.Actor.Person()) {
			return errNoInvitation
		}
		if closed, err := isInvitationClosed(ctx, p, stored); err != nil || closed {
			return cmp.Or(err, error(errNoInvitation))
		}
		closeInvitation(p, stored, invitationDeclined, s.now().Add(rememberFor))
		return nil
	})
}

// WithdrawInvitation closes an open invitation to an account or a subscription, by its handle. The inviter may withdraw
// it while they may view the account or subscription. Other people need assign_roles on the account, or remove_users on
// the subscription. If there is no such invitation, the call succeeds.
func (s *Service) WithdrawInvitation(
	ctx context.Context, by Caller, to authz.Object, handle authz.ID,
) (Done, error) {
	kind := kindOf(to.Type)
	return s.run(ctx, by, "withdraw_invitation", func(ctx context.Context, p *plan) error {
		g, err := readPermissions(ctx, p, to, kind.invitations, kind.withdraw)
		if err != nil {
			return err
		}
		stored, err := readInvitation(ctx, p, handle)
		if err != nil {
			return err
		}
		if !stored.open() || stored.To != to {
			return g.need(kind.invitations)
		}
		if stored.Inviter != by.Actor {
			if err := g.need(kind.withdraw); err != nil {
				return err
			}
		}
		closeInvitation(p, stored, "", time.Time{})
		return nil
	})
}

// Invitations returns a page of the open invitations to an account or a subscription.
func (s *Service) Invitations(
	ctx context.Context, by Caller, to authz.Object, page Page,
) (Invitations, authz.Token, error) {
	var invitations Invitations
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Invitations(to)); err != nil {
			return err
		}
		open, err := readOpenInvitations(ctx, p, to)
		if err != nil {
			return err
		}
		handles, next, err := page.of(string(to.Type)+" invitations", to.ID).cut(sortedKeys(open))
		for _, handle := range handles {
			invitations.Invitations = append(invitations.Invitations, open[handle])
		}
		invitations.NextCursor = next
		return err
	})
	return answered(invitations, token, err)
}
