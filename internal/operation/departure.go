package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// What a departure is stored as: an object with the person's id, which is there while it is under way.
const (
	departureType       authz.Type     = "offboarding"
	departureFrom       authz.Relation = "from"
	departureBy         authz.Relation = "requested_by"
	departureHeir       authz.Relation = "reassign_to"
	keepsRoles          authz.Relation = "keeps_roles"
	movesPrivate        authz.Relation = "moves_private"
	disconnectsPrivate  authz.Relation = "disconnects_private"
	departureWithdraws  authz.Relation = "withdraws"
	creator             authz.Relation = "creator"
	sharedWithTheWhole  authz.Relation = "shared"
	sharedWithSomeNamed authz.Relation = "shared_with"
)

// departure is the removal of a person from a place that takes more than one write. The first one ends their roles there and
// says that the departure is under way, which every further one requires; the last one takes that back. Whatever happens in
// between, repeating the call or Resume finishes it.
type departure struct {
	who  authz.ID
	from authz.Object  // an account, a subscription with its accounts, or the platform, see erases
	by   authz.Subject // a person, or the platform for the backend itself
	heir authz.ID      // becomes the creator of what the person created; empty when erasing, or where it stays theirs

	// keepsRoles is set if only shares end, in the accounts where the person holds no role.
	keepsRoles bool

	// private is what happens to private connections: they move, are disconnected, or stay as they are if it is empty.
	private authz.Relation
}

func departureOf(who authz.ID) authz.Object { return authz.Object{Type: departureType, ID: who} }

// erases reports whether the person is erased. From the platform, a departure that keeps roles is the removal of an administrator.
func (d departure) erases() bool { return d.from == platform && !d.keepsRoles }

// reassigns reports whether the person stops being the creator of what they created.
func (d departure) reassigns() bool { return d.erases() || d.heir != "" }

// marks are the relationships that say that the departure is under way.
func (d departure) marks() []authz.Relationship {
	object := departureOf(d.who)
	marks := []authz.Relationship{
		{Resource: object, Relation: departureFrom, Subject: only(d.from)},
		{Resource: object, Relation: departureBy, Subject: d.by},
	}
	if d.heir != "" {
		marks = append(marks, authz.Relationship{Resource: object, Relation: departureHeir, Subject: person(d.heir)})
	}
	if d.keepsRoles {
		marks = append(marks, authz.Relationship{Resource: object, Relation: keepsRoles, Subject: everybody})
	}
	if d.private != "" {
		marks = append(marks, authz.Relationship{Resource: object, Relation: d.private, Subject: everybody})
	}
	return marks
}

// departure reads the departure of a person, if one is under way.
func (p *plan) departure(ctx context.Context, who authz.ID) (d departure, under bool, err error) {
	d.who = who
	found, err := p.findSome(ctx, authz.Filter{Type: departureType, ID: who}, 0)
	for _, r := range found {
		switch r.Relation {
		case departureFrom:
			d.from = r.Subject.Object
		case departureBy:
			d.by = r.Subject
		case departureHeir:
			d.heir = r.Subject.ID
		case keepsRoles:
			d.keepsRoles = true
		case movesPrivate, disconnectsPrivate:
			d.private = r.Relation
		}
	}
	return d, d.from.ID != "" && d.by.ID != "", err
}

// arrives adds the precondition, for somebody who is given a first role on something, that no departure of theirs is under way.
// The error is CodeConflict if one is that reassigns what they created; any other is finished first.
func (p *plan) arrives(ctx context.Context, who authz.ID, first bool) error {
	if !first {
		return nil
	}
	p.arriving = append(p.arriving, who)
	if !p.repeated {
		return nil
	}
	d, under, err := p.departure(ctx, who)
	if err != nil || !under {
		return err
	}
	if d.reassigns() {
		return authz.Errorf(authz.CodeConflict, "%s is still being removed; try again shortly", who)
	}
	return p.waitFor(d)
}

// waitFor ends a plan that has to wait for a departure, which run finishes.
func (p *plan) waitFor(d departure) error {
	p.unfinished = append(p.unfinished, d)
	return errUnderWay
}

// finishRemoval has an interrupted removal of somebody who holds no role finished, unless it reassigns what they created.
func (p *plan) finishRemoval(ctx context.Context, who authz.ID) error {
	d, under, err := p.departure(ctx, who)
	if err != nil || !under || d.reassigns() {
		return err
	}
	return p.waitFor(d)
}

// forbidDepartures restates that nobody who arrives is departing. Where so many arrive that one write does not hold it of each,
// it restates that nobody is departing at all.
func (p *plan) forbidDepartures() {
	if len(p.preconditions)+len(p.arriving) > authz.MaxUpdates {
		p.arriving = nil
		p.forbid(authz.Filter{Type: departureType, Relation: departureFrom})
		return
	}
	for _, who := range p.arriving {
		p.forbid(authz.Filter{Type: departureType, ID: who, Relation: departureFrom})
	}
	p.arriving = nil
}

// underWay reads the departures that one of the person has to wait for, and restates that there are none: their own, and
// those by which they become the creator of something.
func (p *plan) underWay(ctx context.Context, who authz.ID) ([]departure, error) {
	own := authz.Filter{Type: departureType, ID: who}
	inherits := authz.Filter{Type: departureType, Relation: departureHeir, SubjectType: user, SubjectID: who}
	p.forbid(own)
	p.forbid(inherits)
	var under []departure
	for _, filter := range []authz.Filter{own, inherits} {
		found, err := p.findSome(ctx, filter, 0)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			d, there, err := p.departure(ctx, r.Resource.ID)
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

// begin performs the first write of a departure, and carries it out. An interrupted one of the same person is finished before.
// may checks the actor's permission and reports whether the person has left already; build plans the write, and returns nil if
// nothing is left to do.
func (s *Service) begin(
	ctx context.Context, by Caller, operation string, who authz.ID,
	may func(context.Context, *plan) (gone bool, err error), build func(context.Context, *plan) (*departure, error),
) (authz.Token, error) {
	return s.run(ctx, by, operation, func(ctx context.Context, p *plan) error {
		gone, err := may(ctx, p)
		if err != nil {
			return err
		}
		if p.unfinished, err = p.underWay(ctx, who); err == nil && len(p.unfinished) > 0 {
			err = errUnderWay
		}
		if err != nil || gone {
			return err
		}
		begun, err := build(ctx, p)
		if err != nil || begun == nil {
			return err
		}
		p.depart(*begun, begun.from)
		if p.repeated { // the end of the roles alone, which others get ahead of less often
			return nil
		}
		p.patience = patience
		if err := p.settleMemberships(ctx); err != nil {
			return err
		}
		return p.part(ctx, *begun)
	})
}

// depart plans that a departure is under way after the write; run carries it out then. From the write on, the invitations to and
// by the person are closed that are to the places or to what is in them.
func (p *plan) depart(d departure, closes ...authz.Object) {
	for _, mark := range d.marks() {
		p.update(authz.Create, mark)
	}
	for _, place := range closes {
		p.update(authz.Create, withdraws(d.who, place))
	}
	p.departing = append(p.departing, d)
}

// finish carries out interrupted departures that an operation has to wait for.
func (s *Service) finish(ctx context.Context, by Caller, unfinished []departure) error {
	_, err := s.carryOutAll(ctx, by, "finish_departure", unfinished)
	return err
}

func (s *Service) carryOutAll(ctx context.Context, by Caller, operation string, departures []departure) (token authz.Token, err error) {
	for _, d := range departures {
		if token, err = s.carryOut(ctx, by, operation, d); err != nil {
			return "", err
		}
	}
	return token, nil
}

// errUnderWay ends a plan that has to wait for a departure.
var errUnderWay = errors.New("a departure is under way")
