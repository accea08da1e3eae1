package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// carryOut does what is left of a departure, write by write, and then takes back that it is under way. It needs no
// permission: whoever began it had it. If another carries it out at the same time, the one that ends it is as good.
//
// What the person was writing when their roles ended may come to light later, see sweeper; the last write rests on nothing
// being left of what they created where that can be said, which is where they created nothing elsewhere.
func (s *Service) carryOut(ctx context.Context, by Caller, operation string, d departure) (authz.Token, error) {
	halved := 0
	for failed := 0; failed < maxAttempts; {
		if err := pause(ctx, failed); err != nil {
			return "", err
		}
		p := newPlan(s.engine, by)
		p.halved, p.patience = halved, patience
		if _, err := p.head(ctx); err != nil {
			return "", err
		}
		if now, under, err := p.departure(ctx, d.who); err != nil || !under || now != d {
			return p.snapshot, err
		}
		for _, mark := range d.marks() {
			p.require(mark)
		}
		ends, err := s.carryOn(ctx, p, by, operation, d)
		if err != nil && !errors.Is(err, errPromoted) {
			return "", err
		}
		var token authz.Token
		if err == nil {
			token, err = p.commit(ctx, operation)
		}
		switch {
		case errors.Is(err, authz.ErrPrecondition):
			failed, halved = failed+1, halved+1
		case err != nil || ends:
			return token, err
		default:
			p.countReassigned()
			failed, halved = 0, max(0, halved-1)
		}
	}
	return "", authz.Errorf(authz.CodeConflict, "others kept changing what this removal rests on; repeat the call to finish it")
}

// carryOn plans the next write of a departure, and reports whether it is the last.
func (s *Service) carryOn(ctx context.Context, p *plan, by Caller, operation string, d departure) (ends bool, err error) {
	var orphaned places
	if !d.keepsRoles {
		if err := p.takeRoles(ctx, d, func() bool { return p.fits(mostOfRoles) }, &orphaned); err != nil {
			return false, err
		}
	}
	if err := orphaned.err(); err != nil { // somebody else gave up the last role beside theirs, or they got a new one
		return false, errors.Join(err, s.callOff(ctx, by, d))
	}
	if err := p.settleMemberships(ctx); err != nil {
		return false, err
	}
	if more, err := p.splitDeletes(); more || err != nil {
		return false, err
	}
	if len(p.updates) == 0 {
		if err := p.endInvitations(ctx, d.who); err != nil {
			return false, err
		}
	}
	if len(p.updates) == 0 {
		if err := p.part(ctx, d); err != nil {
			return false, err
		}
	}
	if len(p.updates) > 0 {
		return false, nil
	}
	if err := s.sweepDisconnected(ctx, by, operation, d.by); err != nil {
		return false, err
	}
	if d.erases() {
		if more, err := s.eraseRest(ctx, p, by, operation, d); err != nil || more {
			return false, err
		}
	}
	if err := p.nothingLeft(ctx, d); err != nil {
		return false, err
	}
	return true, p.takeBack(ctx, d)
}

// takeBack plans that a departure is not under way any more.
func (p *plan) takeBack(ctx context.Context, d departure) error {
	closed, err := p.withdrawnFrom(ctx, d.who)
	for _, mark := range append(d.marks(), closed...) {
		p.delete(mark)
	}
	return err
}

// nothingLeft makes the last write depend on nothing being there that this departure would have to deal with.
func (p *plan) nothingLeft(ctx context.Context, d departure) error {
	if d.erases() {
		p.forbid(authz.Filter{SubjectType: user, SubjectID: d.who})
		return nil
	}
	if closed, err := p.withdrawnFrom(ctx, d.who); err != nil || len(closed) > 0 {
		err = errors.Join(err, p.requireNoneInvited(ctx, d.who))
		if err != nil {
			return err
		}
	}
	if !d.reassigns() {
		return nil
	}
	for _, typ := range createdTypes() {
		rows, err := p.find(ctx, creatorRows(typ, d.who))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			p.forbid(creatorRows(typ, d.who))
		}
	}
	return nil
}

// callOff takes back that a departure is under way; what it did until then stays done. The invitations that it closed
// do not open again: they are deleted before.
func (s *Service) callOff(ctx context.Context, by Caller, d departure) error {
	for {
		p := newPlan(s.engine, by)
		if _, err := p.head(ctx); err != nil {
			return err
		}
		if err := p.endInvitations(ctx, d.who); err != nil {
			return err
		}
		ends := len(p.updates) == 0
		if ends {
			if err := p.takeBack(ctx, d); err != nil {
				return err
			}
			if by.Once != nil {
				p.delete(by.done())
			}
		}
		if _, err := p.commit(ctx, "call_off_departure"); err != nil || ends {
			return err
		}
	}
}

// sweepDisconnected finishes the deletions of the connections that a departure cut.
func (s *Service) sweepDisconnected(ctx context.Context, by Caller, operation string, begunBy authz.Subject) error {
	p := newPlan(s.engine, by)
	under, err := p.findSome(ctx, authz.Filter{Type: deletionType, Relation: deletionBy, SubjectType: begunBy.Type, SubjectID: begunBy.ID}, 0)
	if err != nil {
		return err
	}
	for _, deletion := range under {
		object := deletedObject(deletion.Resource)
		if object.Type != "connection" {
			continue
		}
		standing, err := p.findSome(ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}, 1)
		if err != nil {
			return err
		}
		if len(standing) > 0 {
			continue
		}
		if _, err := s.sweep(ctx, by, operation, deletion); err != nil {
			return err
		}
	}
	return nil
}
