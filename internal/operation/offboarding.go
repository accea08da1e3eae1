package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// An offboarding that is under way is stored as an object with the person's id.
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

// offboarding is a removal of a person that takes more than one write. The first write ends the person's roles, and
// stores a record that the offboarding is under way. Every later write requires this record as a precondition, and the
// last write deletes it. If the server stops in between, a repeated call or Resume finishes the offboarding.
type offboarding struct {
	who authz.ID
	// from is an account, a subscription including its accounts, or the platform, see erases.
	from authz.Object
	// requestedBy is a person, or the platform for the backend itself.
	requestedBy authz.Subject
	// newOwner gets the person's creations. It is empty if the person is erased or remains the creator.
	newOwner authz.ID

	// keepsRoles is set if the offboarding only deletes shares in accounts where the person holds no role.
	keepsRoles bool

	// private says what happens to private connections: movesPrivate, disconnectsPrivate, or empty if they stay
	// unchanged.
	private authz.Relation
}

// offboardingObject returns the object that stores the offboarding of a person.
func offboardingObject(who authz.ID) authz.Object {
	return authz.Object{Type: offboardingType, ID: who}
}

// erases reports whether the offboarding erases the person. An offboarding from the platform with keepsRoles removes a
// platform administrator instead.
func (d offboarding) erases() bool { return d.from == platform && !d.keepsRoles }

// reassigns reports whether the offboarding removes the person as the creator of their creations.
func (d offboarding) reassigns() bool { return d.erases() || d.newOwner != "" }

// relationships returns the relationships that store that the offboarding is under way.
func (d offboarding) relationships() []authz.Relationship {
	object := offboardingObject(d.who)
	rows := []authz.Relationship{
		{Resource: object, Relation: offboardingFrom, Subject: only(d.from)},
		{Resource: object, Relation: offboardingRequestedBy, Subject: d.requestedBy},
	}
	if d.newOwner != "" {
		rows = append(
			rows, authz.Relationship{Resource: object, Relation: offboardingReassignTo, Subject: person(d.newOwner)},
		)
	}
	if d.keepsRoles {
		rows = append(rows, authz.Relationship{Resource: object, Relation: keepsRoles, Subject: everybody})
	}
	if d.private != "" {
		rows = append(rows, authz.Relationship{Resource: object, Relation: d.private, Subject: everybody})
	}
	return rows
}

// readOffboarding reads the offboarding of a person, if one is under way.
func readOffboarding(ctx context.Context, p *plan, who authz.ID) (d offboarding, under bool, err error) {
	d.who = who
	if p.offboarded != nil && !p.offboarded[who] {
		return d, false, nil
	}
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

// requireNoOffboarding is for a plan that gives a person a role on an object. If it is the person's first role there,
// it requires as a precondition that no offboarding of the person is under way. If one is under way and reassigns
// creations, it returns an error with CodeConflict. If another one is under way, it makes run finish that one and plan
// the operation again.
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
	return waitForOffboarding(d)
}

// underWayError ends a plan that must wait for offboardings or for the withdrawals of groups. run finishes these and
// then plans the operation again. If state is job.Requested, no record of the offboardings is stored yet, and run
// starts them.
type underWayError struct {
	offboardings []offboarding
	state        job.State
	groups       []authz.Object
}

// Error implements error.
func (*underWayError) Error() string { return "an offboarding or a withdrawal is under way" }

// waitForOffboarding returns the error that ends a plan which must wait for an offboarding.
func waitForOffboarding(d offboarding) error {
	return &underWayError{offboardings: []offboarding{d}, state: job.Cleaning}
}

// finishRemoval makes run finish an interrupted removal of a person who holds no role, unless the removal reassigns
// creations.
func finishRemoval(ctx context.Context, p *plan, who authz.ID) error {
	d, under, err := readOffboarding(ctx, p, who)
	if err != nil || !under || d.reassigns() {
		return err
	}
	return waitForOffboarding(d)
}

// forbidOffboardings requires as preconditions that nobody in p.arriving is being removed. If one write cannot hold
// that many preconditions, it requires that nobody at all is being removed.
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

// readConflictingOffboardings reads the offboardings that must end before a new offboarding of the person: other
// offboardings of the person, and those that reassign objects to the person. It requires as preconditions that there
// are none.
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

// offboard performs an offboarding, in its first write and further ones. If an offboarding of the same person was
// interrupted, offboard finishes that one first. may checks the actor's permission, and reports whether the person has
// left already. build plans the first write, or returns nil if nothing is left to do.
func (s *Service) offboard(
	ctx context.Context, by Caller, operation string, who authz.ID,
	may func(context.Context, *plan) (gone bool, err error), build func(context.Context, *plan) (*offboarding, error),
) (performed, error) {
	return s.perform(ctx, by, operation, func(ctx context.Context, p *plan) error {
		gone, err := may(ctx, p)
		if err != nil {
			return err
		}
		conflicting, err := readConflictingOffboardings(ctx, p, who)
		if err == nil && len(conflicting) > 0 {
			err = &underWayError{offboardings: conflicting, state: job.Cleaning}
		}
		if err != nil || gone {
			return err
		}
		begun, err := build(ctx, p)
		if err != nil || begun == nil {
			return err
		}
		startOffboarding(p, *begun, begun.from)
		// After a conflict, the write changes only the roles, since a small write conflicts with fewer other writes.
		if p.isRetry {
			return nil
		}
		p.LimitWriteTime(maxWriteTime)
		if err := settleMemberships(ctx, p); err != nil {
			return err
		}
		// Reading very many shares to find those of this account or subscription would delay the end of the roles.
		if named, err := readNamedFirst(ctx, p, who); err != nil || named.many {
			return err
		}
		if created, err := readCreatedFirst(ctx, p, who); err != nil || created.many && begun.reassigns() {
			return err
		}
		return planCleanup(ctx, p, *begun, make(map[authz.Object]bool))
	})
}

// startOffboarding plans to store that an offboarding is under way; run performs its later writes. The plan also closes
// the person's open invitations, received and sent, to the objects in closes and to everything in them.
func startOffboarding(p *plan, d offboarding, closes ...authz.Object) {
	for _, row := range d.relationships() {
		p.Update(authz.Create, row)
	}
	for _, place := range closes {
		p.Update(authz.Create, withdraws(d.who, place))
	}
	p.offboardings = append(p.offboardings, d)
}
