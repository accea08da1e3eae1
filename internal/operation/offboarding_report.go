package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// OffboardingReport lists a person's roles, creations, shares and open invitations in an account.
type OffboardingReport struct {
	User  authz.ID
	Roles Roles

	// Groups are the groups through which the person has roles. The person keeps these roles when they are removed.
	Groups []HolderRoles

	// EndsMembership reports whether the person's membership of the subscription ends with these roles. It is nil if
	// the actor may not know who belongs to the subscription.
	EndsMembership *bool

	// Importers and Connections are the objects that the person created. Private connections are not among them.
	Importers, Connections Named

	// Private is how many private connections the person created. PrivateInUse is how many of them importers of other
	// creators use.
	Private, PrivateInUse int

	// Shares is how many private connections of other people are shared with the person. Workspaces are those of which
	// the person is a member.
	Shares     int
	Workspaces Named

	// Invited has the handles of the open invitations to the account that the person sent. Invitations has the handles
	// of those that the person received.
	Invited, Invitations Named
}

// Named counts objects and lists those that the actor may view: the first MaxLimit, sorted by id.
type Named struct {
	Count int
	IDs   []authz.ID
}

// ReportOffboarding reports a person's roles, creations, shares and open invitations in an account. It needs
// remove_members.
func (s *Service) ReportOffboarding(
	ctx context.Context, by Caller, id, who authz.ID,
) (OffboardingReport, authz.Token, error) {
	report := OffboardingReport{User: who}
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := requirePermission(ctx, p, accountObject(id), "remove_members"); err != nil {
			return err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		held, err := readRoles(ctx, p, account.object, account.set, who)
		if err != nil {
			return err
		}
		report.Roles = rolesOf(held)
		if report.Groups, err = readGroupsOf(ctx, p, account.object, account.set, who); err != nil {
			return err
		}
		if report.EndsMembership, err = reportMembership(ctx, p, account, who, held); err != nil {
			return err
		}
		if err := reportCreated(ctx, p, account, &report); err != nil {
			return err
		}
		if err := reportNamed(ctx, p, account, &report); err != nil {
			return err
		}
		return reportInvitations(ctx, p, account, &report)
	})
	return answered(report, token, err)
}

// reportMembership reports whether the person's membership of the subscription ends with their roles on the account.
// It returns nil if the actor may not list the members of the subscription.
func reportMembership(
	ctx context.Context, p *plan, account accountFacts, who authz.ID, held []authz.Relationship,
) (*bool, error) {
	known, err := viewOf(p).MayKnowRole(ctx, person(who), account.subscription.object)
	if err != nil || !known {
		return nil, err
	}
	ends, err := wouldEndMembership(ctx, p, account, who, held)
	return &ends, err
}

// reportCreated reports the importers and connections that the person created in the account.
func reportCreated(ctx context.Context, p *plan, account accountFacts, report *OffboardingReport) error {
	in := func(id authz.ID) bool { return id == account.object.ID }
	found := make(map[authz.Type][]authz.ID)
	var private []authz.Filter
	err := forEachCreated(ctx, p, report.User, in, make(map[authz.Object]bool), func(c created) (bool, error) {
		if c.private() {
			private = append(
				private, authz.Filter{Type: "importer", SubjectType: c.object().Type, SubjectID: c.object().ID},
			)
		} else {
			found[c.object().Type] = append(found[c.object().Type], c.object().ID)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if report.Importers, err = nameVisible(ctx, p, "importer", found["importer"]); err != nil {
		return err
	}
	if report.Connections, err = nameVisible(ctx, p, "connection", found["connection"]); err != nil {
		return err
	}
	report.Private = len(private)
	report.PrivateInUse, err = countUsedByOthers(ctx, p, private, report.User)
	return err
}

// countUsedByOthers returns how many connections are used by an importer that somebody other than the person created.
// importersOf has one filter for each connection, which selects the importers that use it.
func countUsedByOthers(ctx context.Context, p *plan, importersOf []authz.Filter, who authz.ID) (int, error) {
	importers, err := p.FindAll(ctx, importersOf)
	if err != nil {
		return 0, err
	}
	own, err := p.Find(ctx, creatorRows("importer", who))
	if err != nil {
		return 0, err
	}
	mine := make(map[authz.Object]bool, len(own))
	for _, r := range own {
		mine[r.Resource] = true
	}
	used := 0
	for _, rows := range importers {
		if slices.ContainsFunc(rows, func(r authz.Relationship) bool { return !mine[r.Resource] }) {
			used++
		}
	}
	return used, nil
}

// reportInvitations reports the open invitations to the account. Without the permission to list invitations, the actor
// gets only their number.
func reportInvitations(ctx context.Context, p *plan, account accountFacts, report *OffboardingReport) error {
	listed, err := viewOf(p).MayKnow(ctx, visibility.Invitations(account.object))
	if err != nil {
		return err
	}
	open, err := readOpenInvitations(ctx, p, account.object)
	if err != nil {
		return err
	}
	add := func(to *Named, handle authz.ID) {
		to.Count++
		if listed && len(to.IDs) < MaxLimit {
			to.IDs = append(to.IDs, handle)
		}
	}
	for _, handle := range sortedKeys(open) {
		if open[handle].Inviter == authz.Actor(report.User) {
			add(&report.Invited, handle)
		}
		if open[handle].Invitee == report.User {
			add(&report.Invitations, handle)
		}
	}
	return nil
}

// reportNamed reports the connection shares and workspace memberships of the person in the account.
func reportNamed(ctx context.Context, p *plan, account accountFacts, report *OffboardingReport) error {
	in := func(id authz.ID) bool { return id == account.object.ID }
	var workspaces []authz.ID
	err := forEachNamed(ctx, p, report.User, in, func(r authz.Relationship) bool {
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
	report.Workspaces, err = nameVisible(ctx, p, "workspace", workspaces)
	return err
}

// nameVisible counts the objects, and lists those that the actor may view.
func nameVisible(ctx context.Context, p *plan, typ authz.Type, ids []authz.ID) (Named, error) {
	slices.Sort(ids)
	all := Named{Count: len(ids), IDs: []authz.ID{}}
	view := viewOf(p)
	for chunk := range slices.Chunk(ids, MaxLimit) {
		objects := make([]authz.Object, len(chunk))
		for i, id := range chunk {
			objects[i] = authz.Object{Type: typ, ID: id}
		}
		seen, err := view.MaySeeEach(ctx, objects)
		if err != nil {
			return all, err
		}
		for i, id := range chunk {
			if seen[i] && len(all.IDs) < MaxLimit {
				all.IDs = append(all.IDs, id)
			}
		}
		if len(all.IDs) == MaxLimit {
			break
		}
	}
	return all, nil
}
