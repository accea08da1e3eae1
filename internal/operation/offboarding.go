package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Offboarding is what hangs on a person in an account.
type Offboarding struct {
	User  authz.ID
	Roles Roles

	// EndsMembership reports whether the person's membership of the subscription ends with these roles. It is nil if the
	// actor may not know who belongs to the subscription.
	EndsMembership *bool

	// Importers and Connections are those that the person created, private connections excepted.
	Importers, Connections Named

	// Private is how many private connections the person created, and PrivateInUse how many of them importers use that
	// others created.
	Private, PrivateInUse int

	// Shares is how many private connections of others are shared with the person, and Workspaces are those that they may
	// enter by name.
	Shares     int
	Workspaces Named

	// Invited and Invitations are the handles of the open invitations to the account by the person, and of the person.
	Invited, Invitations Named
}

// Named are some objects, all counted, and those named that an actor may view: the first MaxLimit.
type Named struct {
	Count int
	IDs   []authz.ID
}

// ReportOffboarding reports what hangs on a person in an account. It needs remove_members.
func (s *Service) ReportOffboarding(ctx context.Context, by Caller, id, who authz.ID) (Offboarding, authz.Token, error) {
	report := Offboarding{User: who}
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := p.allow(ctx, accountObject(id), "remove_members"); err != nil {
			return err
		}
		account, err := p.account(ctx, id)
		if err != nil {
			return err
		}
		held, err := p.roles(ctx, account.object, account.set, who)
		if err != nil {
			return err
		}
		report.Roles = rolesOf(held)
		if report.EndsMembership, err = p.reportMembership(ctx, account, who, held); err != nil {
			return err
		}
		if err := p.reportCreated(ctx, account, &report); err != nil {
			return err
		}
		if err := p.reportNamed(ctx, account, &report); err != nil {
			return err
		}
		return p.reportInvitations(ctx, account, &report)
	})
	return answered(report, token, err)
}

func (p *plan) reportMembership(
	ctx context.Context, account accountFacts, who authz.ID, held []authz.Relationship,
) (*bool, error) {
	if who != p.by.Actor {
		listed, err := p.decide(ctx, []authz.Check{p.asks(Listing("subscription"), account.subscription.object)})
		if err != nil || !listed[0] {
			return nil, err
		}
	}
	ends, err := p.endsMembership(ctx, account, who, held)
	return &ends, err
}

func (p *plan) reportCreated(ctx context.Context, account accountFacts, report *Offboarding) error {
	in := func(id authz.ID) bool { return id == account.object.ID }
	found := make(map[authz.Type][]authz.ID)
	var private []authz.Filter
	err := p.createdBy(ctx, report.User, in, func(c created) (bool, error) {
		if c.private() {
			private = append(private, authz.Filter{Type: "importer", SubjectType: c.object().Type, SubjectID: c.object().ID})
		} else {
			found[c.object().Type] = append(found[c.object().Type], c.object().ID)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if report.Importers, err = p.named(ctx, "importer", found["importer"]); err != nil {
		return err
	}
	if report.Connections, err = p.named(ctx, "connection", found["connection"]); err != nil {
		return err
	}
	report.Private = len(private)
	report.PrivateInUse, err = p.usedByOthers(ctx, private, report.User)
	return err
}

// usedByOthers counts those of the questions after the importers of a connection of which one was not created by the person.
func (p *plan) usedByOthers(ctx context.Context, importersOf []authz.Filter, who authz.ID) (int, error) {
	if err := p.findAll(ctx, importersOf); err != nil {
		return 0, err
	}
	own, err := p.find(ctx, creatorRows("importer", who))
	if err != nil {
		return 0, err
	}
	mine := make(map[authz.Object]bool, len(own))
	for _, r := range own {
		mine[r.Resource] = true
	}
	used := 0
	for _, filter := range importersOf {
		if slices.ContainsFunc(p.reads[filter], func(r authz.Relationship) bool { return !mine[r.Resource] }) {
			used++
		}
	}
	return used, nil
}

// reportInvitations reports the open invitations to the account; who may not list them gets numbers alone.
func (p *plan) reportInvitations(ctx context.Context, account accountFacts, report *Offboarding) error {
	allowed, err := p.decide(ctx, []authz.Check{p.asks(kindOf("account").invitations, account.object)})
	if err != nil {
		return err
	}
	open, err := p.openInvitations(ctx, account.object)
	if err != nil {
		return err
	}
	add := func(to *Named, handle authz.ID) {
		to.Count++
		if allowed[0] && len(to.IDs) < MaxLimit {
			to.IDs = append(to.IDs, handle)
		}
	}
	for _, handle := range sortedKeys(open) {
		if open[handle].Inviter == report.User {
			add(&report.Invited, handle)
		}
		if open[handle].Invitee == report.User {
			add(&report.Invitations, handle)
		}
	}
	return nil
}

// reportNamed reports what names the person in the account.
func (p *plan) reportNamed(ctx context.Context, account accountFacts, report *Offboarding) error {
	in := func(id authz.ID) bool { return id == account.object.ID }
	var workspaces []authz.ID
	err := p.namedIn(ctx, report.User, in, func(r authz.Relationship) bool {
		if r.Resource.Type == "workspace" {
			workspaces = append(workspaces, r.Resource.ID)
		} else {
			report.Shares++
		}
		return true
	})
	if err != nil {
		return err
	}
	report.Workspaces, err = p.named(ctx, "workspace", workspaces)
	return err
}

// named counts the objects, and names those that the actor may view.
func (p *plan) named(ctx context.Context, typ authz.Type, ids []authz.ID) (Named, error) {
	slices.Sort(ids)
	all := Named{Count: len(ids), IDs: []authz.ID{}}
	for chunk := range slices.Chunk(ids, MaxLimit) {
		checks := make([]authz.Check, len(chunk))
		for i, id := range chunk {
			checks[i] = p.asks(kindOf(typ).visible, authz.Object{Type: typ, ID: id})
		}
		allowed, err := p.decide(ctx, checks)
		if err != nil {
			return all, err
		}
		for i, id := range chunk {
			if allowed[i] && len(all.IDs) < MaxLimit {
				all.IDs = append(all.IDs, id)
			}
		}
		if len(all.IDs) == MaxLimit {
			break
		}
	}
	return all, nil
}
