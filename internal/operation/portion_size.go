package operation

import (
	"context"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// personIn returns the person whose roles a relationship is about, or an empty id.
func personIn(resource, subject authz.Object) authz.ID {
	switch {
	case resource.Type == membershipType:
		return memberOf(resource)
	case resource.Type == offboardingType, resource.Type == inviteeType, resource.Type == removedType:
		return resource.ID
	case subject.Type == user:
		return subject.ID
	}
	return ""
}

// placeKey returns the part of a role binding's id that all bindings of its place have.
func placeKey(binding authz.Object) string {
	key, _, _ := strings.Cut(string(binding.ID), "/")
	return key
}

// accountIn returns the account that a relationship is about, or an empty id.
func accountIn(resource, subject authz.Object) authz.ID {
	switch {
	case resource.Type == "account":
		return resource.ID
	case subject.Type == "account":
		return subject.ID
	}
	return ""
}

// writeSize is how many updates and preconditions a write has.
type writeSize struct{ updates, preconditions int }

func (w writeSize) fits() bool { return max(w.updates, w.preconditions) <= authz.MaxUpdates }

// checkFits returns an error with CodeTooLarge if the plan, with the given number of further updates and
// preconditions, does not fit one write. If entries of the last write are the reason, the error names how many of
// them fit.
func (s *portions) checkFits(p *plan, further int) error {
	err := checkSize(p)
	shared, entries := s.sizes(p)
	shared.updates += further
	shared.preconditions += further
	most := 0
	fits := func(size writeSize) bool {
		shared.updates += size.updates
		shared.preconditions += size.preconditions
		return shared.fits()
	}
	// Any selection of so many entries fits, since the largest ones do.
	slices.SortFunc(entries, func(a, b writeSize) int {
		return max(b.updates, b.preconditions) - max(a.updates, a.preconditions)
	})
	for most < len(entries) && fits(entries[most]) {
		most++
	}
	if most > 0 && most < len(entries) && (err != nil || further > 0) {
		return s.tooMany(most, len(entries))
	}
	return err
}

// sizes returns what a plan needs for each entry of the last write, and what it needs in addition to all entries.
func (s *portions) sizes(p *plan) (shared writeSize, entries []writeSize) {
	isEntry, size := make(map[authz.ID]bool, len(s.all)), make(map[authz.ID]*writeSize, len(s.last))
	for _, id := range s.all {
		isEntry[id] = true
	}
	for _, id := range s.last {
		size[id] = new(writeSize)
	}
	of := func(resource, subject authz.Object) *writeSize {
		switch id := s.entryOf(resource, subject); {
		case size[id] != nil:
			return size[id]
		case isEntry[id]: // of another write
			return new(writeSize)
		}
		return &shared
	}
	for _, u := range p.Updates() {
		of(u.Relationship.Resource, u.Relationship.Subject.Object).updates++
	}
	for i, c := range p.Preconditions() {
		if i < s.shared {
			shared.preconditions++
			continue
		}
		f := c.Filter
		of(authz.Object{Type: f.Type, ID: f.ID}, authz.Object{Type: f.SubjectType, ID: f.SubjectID}).preconditions++
	}
	shared.preconditions += min(len(p.arriving), 1) // see forbidOffboardings
	if p.by.Idempotency != nil && !isPlanned(p, p.by.done()) {
		shared.updates++
		shared.preconditions++
	}
	for _, id := range s.last {
		entries = append(entries, *size[id])
	}
	return shared, entries
}

// checkPeopleFit returns an error with CodeTooLarge if the changes of the last write do not fit it. It plans only
// the updates of roles and memberships, so that a call with too many people fails before the plan reads anything
// else. The full plan reports other errors.
func (s *portions) checkPeopleFit(ctx context.Context, p *plan, account accountFacts, changes []roleChange) error {
	if s.stage != everything || len(s.last) <= few {
		return nil
	}
	draft := p.observer()
	for _, c := range p.Preconditions() {
		draft.AddPrecondition(c)
	}
	isLast := make(map[authz.ID]bool, len(s.last))
	for _, who := range s.last {
		isLast[who] = true
	}
	changes = slices.DeleteFunc(slices.Clone(changes), func(c roleChange) bool { return !isLast[c.who] })
	for _, c := range changes {
		if requireFeatures(draft, account, c) != nil {
			return nil
		}
	}
	draft.arriving = peopleOf(changes, roleChange.arrives)
	writeRoleChanges(draft, account.object, account.set, changes)
	if requireKnownBindings(ctx, draft, account.object) != nil {
		return nil
	}
	memberships, err := readMembershipChanges(ctx, draft)
	if err == nil {
		err = readMemberships(ctx, draft, memberships)
	}
	for _, c := range memberships {
		if err == nil {
			_, err = settleMembership(ctx, draft, *c)
		}
	}
	if err != nil {
		return nil //nolint:nilerr // the plan returns this error
	}
	return s.checkFits(draft, 0)
}
