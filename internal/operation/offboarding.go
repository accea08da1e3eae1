package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// What an offboarding is stored as: an object with the person's id, which is there while it is under way.
const (
	offboardingType        authz.Type     = "offboarding"
	offboardingFrom        authz.Relation = "from"
	offboardingRequestedBy authz.Relation = "requested_by"
	offboardingReassignTo  authz.Relation = "reassign_to"
	keepsRoles             authz.Relation = "keeps_roles"
	movesPrivate           authz.Relation = "moves_private"
	disconnectsPrivate     authz.Relation = "disconnects_private"
	offboardingWithdraws   authz.Relation = "withdraws"
	creator                authz.Relation = "creator"
	sharedWithTheWhole     authz.Relation = "shared"
	sharedWithSomeNamed    authz.Relation = "shared_with"
)

// offboarding is the removal of a person from a place that takes more than one write. The first one ends their roles there and
// says that the offboarding is under way, which every further one requires; the last one takes that back. Whatever happens in
// between, repeating the call or Resume finishes it.
type offboarding struct {
	who         authz.ID
	from        authz.Object  // an account, a subscription with its accounts, or the platform, see erases
	requestedBy authz.Subject // a person, or the platform for the backend itself
	newOwner    authz.ID      // becomes the creator of what the person created; empty when erasing, or where it stays theirs

	// keepsRoles is set if only shares end, in the accounts where the person holds no role.
	keepsRoles bool

	// private is what happens to private connections: they move, are disconnected, or stay as they are if it is empty.
	private authz.Relation
}

func offboardingObject(who authz.ID) authz.Object {
	return authz.Object{Type: offboardingType, ID: who}
}

// erases reports whether the person is erased. From the platform, an offboarding that keeps roles is the removal of an administrator.
func (d offboarding) erases() bool { return d.from == platform && !d.keepsRoles }

// reassigns reports whether the person stops being the creator of what they created.
func (d offboarding) reassigns() bool { return d.erases() || d.newOwner != "" }

// relationships are the relationships that say that the offboarding is under way.
func (d offboarding) relationships() []authz.Relationship {
	object := offboardingObject(d.who)
	marks := []authz.Relationship{
		{Resource: object, Relation: offboardingFrom, Subject: only(d.from)},
		{Resource: object, Relation: offboardingRequestedBy, Subject: d.requestedBy},
	}
	if d.newOwner != "" {
		marks = append(marks, authz.Relationship{Resource: object, Relation: offboardingReassignTo, Subject: person(d.newOwner)})
	}
	if d.keepsRoles {
		marks = append(marks, authz.Relationship{Resource: object, Relation: keepsRoles, Subject: everybody})
	}
	if d.private != "" {
		marks = append(marks, authz.Relationship{Resource: object, Relation: d.private, Subject: everybody})
	}
	return marks
}

// readOffboarding reads the offboarding of a person, if one is under way.
func readOffboarding(ctx context.Context, p *plan, who authz.ID) (d offboarding, under bool, err error) {
	d.who = who
	found, err := p.FindSome(ctx, authz.Filter{Type: offboardingType, ID: who}, 0)
	for _, r := range found {
		switch r.Relation {
		case offboardingFrom:
			d.from = r.Subject.Object
		case offboardingRequestedBy:
			d.requestedBy = r.Subject
		case offboardingReassignTo:
			d.newOwner = r.Subject.ID
		case keepsRoles:
			d.keepsRoles = true
		case movesPrivate, disconnectsPrivate:
			d.private = r.Relation
		}
	}
	return d, d.from.ID != "" && d.requestedBy.ID != "", err
}

// requireNoOffboarding adds the precondition, for somebody who is given a first role on something, that no offboarding of theirs is under way.
// The error is CodeConflict if one is that reassigns what they created; any other is finished first.
func requireNoOffboarding(ctx context.Context, p *plan, who authz.ID, first bool) error {
	if !first {
		return nil
	}
	p.arriving = append(p.arriving, who)
	if !p.isRetry {
		return nil
	}
	d, under, err := readOffboarding(ctx, p, who)
	if err != nil || !under {
		return err
	}
	if d.reassigns() {
		return authz.Errorf(authz.CodeConflict, "%s is still being removed; try again shortly", who)
	}
	return waitForOffboarding(p, d)
}

// waitForOffboarding ends a plan that has to wait for an offboarding, which run finishes.
func waitForOffboarding(p *plan, d offboarding) error {
	p.unfinished = append(p.unfinished, d)
	return errOffboardingUnderWay
}

// finishRemoval has an interrupted removal of somebody who holds no role finished, unless it reassigns what they created.
func finishRemoval(ctx context.Context, p *plan, who authz.ID) error {
	d, under, err := readOffboarding(ctx, p, who)
	if err != nil || !under || d.reassigns() {
		return err
	}
	return waitForOffboarding(p, d)
}

// forbidOffboardings requires that nobody who arrives is departing. Where so many arrive that one write does not hold it of each,
// it requires that nobody is departing at all.
func forbidOffboardings(p *plan) {
	if len(p.Preconditions())+len(p.arriving) > authz.MaxUpdates {
		p.arriving = nil
		p.Forbid(authz.Filter{Type: offboardingType, Relation: offboardingFrom})
		return
	}
	for _, who := range p.arriving {
		p.Forbid(authz.Filter{Type: offboardingType, ID: who, Relation: offboardingFrom})
	}
	p.arriving = nil
}

// readConflictingOffboardings reads the offboardings that one of the person has to wait for, and requires that there are none: their own, and
// those by which they become the creator of something.
func readConflictingOffboardings(ctx context.Context, p *plan, who authz.ID) ([]offboarding, error) {
	own := authz.Filter{Type: offboardingType, ID: who}
	inherits := authz.Filter{Type: offboardingType, Relation: offboardingReassignTo, SubjectType: user, SubjectID: who}
	p.Forbid(own)
	p.Forbid(inherits)
	var under []offboarding
	for _, filter := range []authz.Filter{own, inherits} {
		found, err := p.FindSome(ctx, filter, 0)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			d, there, err := readOffboarding(ctx, p, r.Resource.ID)
			if err != nil {
				return nil, err
			}
			if there && !slices.Contains(under, d) {
				under = append(under, d)
			}
		}
	}
	return under, nil
}

// offboard performs the first write of an offboarding, and carries it out. An interrupted one of the same person is finished before.
// may checks the actor's permission and reports whether the person has left already; build plans the write, and returns nil if
// nothing is left to do.
func (s *Service) offboard(
	ctx context.Context, by Caller, operation string, who authz.ID,
	may func(context.Context, *plan) (gone bool, err error), build func(context.Context, *plan) (*offboarding, error),
) (authz.Token, error) {
	return s.run(ctx, by, operation, func(ctx context.Context, p *plan) error {
		gone, err := may(ctx, p)
		if err != nil {
			return err
		}
		if p.unfinished, err = readConflictingOffboardings(ctx, p, who); err == nil && len(p.unfinished) > 0 {
			err = errOffboardingUnderWay
		}
		if err != nil || gone {
			return err
		}
		begun, err := build(ctx, p)
		if err != nil || begun == nil {
			return err
		}
		startOffboarding(p, *begun, begun.from)
		if p.isRetry { // the end of the roles alone, which others get ahead of less often
			return nil
		}
		p.LimitWriteTime(maxWriteTime)
		if err := settleMemberships(ctx, p); err != nil {
			return err
		}
		return planCleanup(ctx, p, *begun)
	})
}

// startOffboarding plans that an offboarding is under way after the write; run carries it out then. From the write on, the invitations to and
// by the person are closed that are to the places or to what is in them.
func startOffboarding(p *plan, d offboarding, closes ...authz.Object) {
	for _, mark := range d.relationships() {
		p.Update(authz.Create, mark)
	}
	for _, place := range closes {
		p.Update(authz.Create, withdraws(d.who, place))
	}
	p.offboardings = append(p.offboardings, d)
}

// finishOffboardings carries out interrupted offboardings that an operation has to wait for.
func (s *Service) finishOffboardings(ctx context.Context, by Caller, unfinished []offboarding) error {
	_, err := s.runOffboardings(ctx, by, "finish_offboarding", unfinished)
	return err
}

func (s *Service) runOffboardings(ctx context.Context, by Caller, operation string, departures []offboarding) (token authz.Token, err error) {
	for _, d := range departures {
		if token, err = s.runOffboarding(ctx, by, operation, d); err != nil {
			return "", err
		}
	}
	return token, nil
}

// errOffboardingUnderWay ends a plan that has to wait for an offboarding.
var errOffboardingUnderWay = errors.New("an offboarding is under way")
