package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// checkInvitation reports an invitation that is neither open, accepted nor declined.
func checkInvitation(_ context.Context, r *ImportRules, o *importedObject) error {
	places, roles := o.subjects(invitedTo), o.subjects(invitationOffers)
	inviters, invitees := o.subjects(invitedBy), o.subjects(invitationFor)
	accepted, declined := o.subjects(invitationAccepted), o.subjects(invitationDeclined)
	counts := [6]int{len(places), min(1, len(roles)), len(inviters), len(invitees), len(accepted), len(declined)}
	switch counts {
	case [6]int{1, 1, 1, 1, 0, 0}, [6]int{1, 1, 0, 0, 1, 0}, [6]int{1, 0, 0, 0, 1, 0}, [6]int{0, 0, 0, 0, 0, 1}:
		return nil
	}
	r.problem(
		o.line,
		"%s is neither open (one place, one inviter, one invitee and a role), nor accepted (one place and the person "+
			"who accepted it), nor declined",
		o.Object,
	)
	return nil
}

// checkOfferedRoles reports an invitation with roles that cannot be given on its account or subscription, or that may
// not be offered to everybody.
func checkOfferedRoles(ctx context.Context, r *ImportRules, o *importedObject) error {
	roles := o.subjects(invitationOffers)
	facts, ok, err := r.facts(ctx, o)
	if err != nil || !ok || len(roles) == 0 {
		return err
	}
	set := facts.set
	if set.Name == "" {
		set = facts.subscription.set
	}
	names := make([]string, len(roles))
	for i, row := range roles {
		offered := offeredRole(row.subject.Object)
		names[i] = string(offered)
		if row.subject.Type != authz.TypeCustomRole {
			continue
		}
		set = set.WithCustom(facts.subscription.object.ID, offered)
		place := o.subjects(invitedTo)[0].subject.Object // the facts are those of this place
		if err := r.checkScope(ctx, o, "offers", row.subject.Object, place); err != nil {
			return err
		}
	}
	if _, err := set.ParseAdded(names); err != nil {
		r.problem(lastLine(roles), "%s: %s", o.Object, messageOf(err))
		return nil
	}
	invitees := o.subjects(invitationFor)
	isForEverybody := slices.ContainsFunc(invitees, func(row importedRow) bool { return row.subject.Wildcard })
	if isForEverybody && !slices.Equal(names, []string{string(set.Default)}) {
		r.problem(lastLine(roles), "%s names no invitee: %s", o.Object, withoutInvitee(set))
	}
	return nil
}

// checkInviter reports an open invitation whose inviter holds no role on its account or subscription. It accepts an
// inviter whose role has expired, since an export leaves out the role but contains the invitation.
func checkInviter(ctx context.Context, r *ImportRules, o *importedObject) error {
	facts, ok, err := r.facts(ctx, o)
	if err != nil || !ok {
		return err
	}
	at := []authz.Object{facts.subscription.object, platform}
	if facts.object.Type == "account" {
		at = append(at, facts.object)
	}
	for _, row := range o.subjects(invitedBy) {
		if row.line == 0 {
			continue
		}
		belongs, err := r.isLeaving(ctx, row.subject.ID, row.line)
		for _, place := range at {
			if err != nil || belongs {
				break
			}
			object := r.object(place, row.line)
			err = r.complete(ctx, object)
			belongs = r.had(object, row.subject.ID)
		}
		if err != nil {
			return err
		}
		if !belongs {
			r.problem(
				row.line, "%s is open, but its inviter %s holds no role on %s, its subscription or the platform", o.Object,
				row.subject, at[len(at)-1],
			)
		}
	}
	return nil
}

func checkLatest(_ context.Context, r *ImportRules, o *importedObject) error {
	latest := o.subjects(inviteeLatest)
	if len(latest) > 1 {
		r.problem(
			lastLine(latest), "%s has more than one latest invitation: %s and %s", o.Object, latest[0].subject,
			latest[1].subject,
		)
	}
	for _, row := range latest {
		invitation, known := r.objects[row.subject.Object]
		if known && !slices.ContainsFunc(
			invitation.subjects(invitationFor), func(row importedRow) bool { return row.subject == person(o.ID) },
		) {
			r.problem(o.at(row), "%s has the latest invitation %s, which does not name user:%s", o.Object, row.subject, o.ID)
		}
	}
	return nil
}

func checkDeletion(_ context.Context, r *ImportRules, o *importedObject) error {
	place := leftMembership(o.Object)
	object := deletedObject(place)
	isPossible := kinds[object.Type].remove != ""
	if place != o.Object {
		isPossible = kindOf(object.Type).invitations != ""
	}
	if own, found := objectOfRelationships(o.Object); found {
		isPossible = !Writes(own.Type)
	}
	if !isPossible {
		r.problem(
			o.line,
			"%s names no object that can be deleted; its id must be TYPE/ID, membership/account/ID, "+
				"membership/subscription/ID, or relationships/TYPE:ID with a type of your own",
			o.Object,
		)
	}
	return nil
}

func checkOffboarding(_ context.Context, r *ImportRules, o *importedObject) error {
	r.requireOne(o, offboardingFrom)
	r.requireOne(o, offboardingRequestedBy)
	newOwners, moves, ends := o.subjects(offboardingReassignTo), o.subjects(movesPrivate), o.subjects(disconnectsPrivate)
	keeps := o.subjects(keepsRoles)
	erases := len(keeps) == 0 && slices.ContainsFunc(
		o.subjects(offboardingFrom), func(row importedRow) bool { return row.subject.Object == platform },
	)
	switch {
	case len(newOwners) > 1:
		r.problem(
			lastLine(newOwners), "%s has more than one new owner: %s and %s", o.Object, newOwners[0].subject,
			newOwners[1].subject,
		)
	case slices.ContainsFunc(newOwners, func(row importedRow) bool { return row.subject == person(o.ID) }):
		r.problem(lastLine(newOwners), "%s has the offboarded person as the new owner", o.Object)
	case len(newOwners) > 0 && (erases || len(keeps) > 0):
		r.problem(lastLine(newOwners), "%s has a new owner but reassigns nothing", o.Object)
	case len(moves) > 0 && (len(newOwners) == 0 || len(ends) > 0), len(ends) > 0 && len(newOwners) == 0 && !erases:
		r.problem(
			lastLine(append(moves, ends...)),
			"%s must either move private connections to a new owner, or disconnect them and have a new owner or erase "+
				"the person",
			o.Object,
		)
	}
	return nil
}
