package operation

import (
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// portions divides a change of many roles among several writes: the roles of many people on an account, or of one
// person on many accounts. An entry is the change for one person or account. The first plan covers all entries, and
// checks every rule. If it fits one write, it is the only plan.
//
// Otherwise the entries that only take access away come first, in as many writes as necessary. All other entries
// are in the last write, so either all entries that give access take effect, or none. Before the first write,
// portions plans the last write once, to verify that it fits. So a change never fails because it takes too much
// access away. Each write has the preconditions of its own entries, including that the required role keeps a
// holder.
type portions struct {
	stage stage
	all   []authz.ID
	// lowers are the entries that only take access away and are not written yet, in the order of the writes.
	lowers []authz.ID
	// last are the entries of the last write.
	last []authz.ID
	// size is how many entries of lowers the next write covers.
	size int
	// plans has the entries of the current plan.
	plans []authz.ID
	// shared is how many of a plan's first preconditions belong to no entry.
	shared int
	// entryOf returns the entry that a relationship belongs to, or an empty id. tooMany returns the error if the last
	// write has more entries than fit.
	entryOf func(resource, subject authz.Object) authz.ID
	tooMany func(most, named int) error
}

// stage says which entries the next plan of portions covers.
type stage int

const (
	everything stage = iota // all entries
	trial                   // the entries of the last write, only to verify that they fit
	divided                 // the entries of the next write
)

// newPortionsOfPeople returns the portions of a change of many people's roles on an account.
func newPortionsOfPeople(all []authz.ID) *portions {
	return &portions{all: all, entryOf: personIn, tooMany: func(most, named int) error {
		return authz.Errorf(authz.CodeTooLarge,
			"a call can give roles to at most %d people such as these, and this call names %d; split it", most, named)
	}}
}

// newPortionsOfAccounts returns the portions of a change of one person's roles on many accounts.
func newPortionsOfAccounts(all []authz.ID) *portions {
	places := make(map[string]authz.ID, len(all))
	for _, id := range all {
		places[placeKey(authz.RoleBindingObject(authz.Object{}, accountObject(id)))] = id
	}
	entryOf := func(resource, subject authz.Object) authz.ID {
		if resource.Type == authz.TypeRoleBinding {
			return places[placeKey(resource)]
		}
		return accountIn(resource, subject)
	}
	return &portions{all: all, entryOf: entryOf, tooMany: func(most, named int) error {
		return authz.Errorf(authz.CodeTooLarge,
			"a call can give a person roles on at most %d accounts such as these, and this call names at least %d; split it",
			most, named)
	}}
}

// next starts a plan and returns the entries that it covers.
func (s *portions) next() []authz.ID {
	switch {
	case s.stage == everything:
		s.plans = s.all
	case s.stage == trial || len(s.lowers) == 0:
		s.plans = s.last
	default:
		s.plans = s.lowers[:min(s.size, len(s.lowers))]
	}
	return s.plans
}

// arrange sets the order of the entries for the case that one write cannot hold them. Only the first plan sets it.
func (s *portions) arrange(lowers, last []authz.ID) {
	if s.stage == everything {
		s.lowers, s.last = lowers, last
	}
}

// replan reports whether the caller must plan again, because this plan does not fit one write or only verified that
// the last write fits. It returns an error with CodeTooLarge if no smaller plan is possible.
func (s *portions) replan(p *plan) (bool, error) {
	if s == nil {
		return false, nil
	}
	err := s.checkFits(p, 0)
	size := len(s.plans)
	switch {
	case s.stage == trial:
		s.stage = divided
		return err == nil, err
	case err == nil:
		return false, nil
	case len(s.lowers) == 0 || s.stage == divided && size == 1:
		return false, err
	case s.stage == everything && len(s.last) > 0:
		s.stage = trial
	default:
		s.stage = divided
	}
	need := max(len(p.Updates()), len(p.Preconditions()))
	s.size = max(1, min(size*authz.MaxUpdates*9/10/need, size-1, len(s.lowers)))
	return true, nil
}

// halve makes the next write smaller after a conflict with other writes.
func (s *portions) halve() {
	if s != nil && s.stage == divided {
		s.size = max(1, s.size/2)
	}
}

// written removes the entries of the current plan, after its write.
func (s *portions) written() {
	if s != nil && s.stage == divided && len(s.lowers) > 0 {
		s.lowers = s.lowers[len(s.plans):]
	}
}

// more reports whether writes remain after the current plan.
func (s *portions) more() bool {
	if s == nil || s.stage != divided {
		return false
	}
	return len(s.lowers) > len(s.plans) || len(s.lowers) > 0 && len(s.last) > 0
}

// lowers reports whether the change only takes access away: the person gets no role that they do not hold, and no
// role for longer.
func (c roleChange) lowers(set authz.RoleSet) bool {
	held := rolesOf(c.held)
	if !slices.Equal(set.Union(held, c.wanted), []authz.Role(held)) {
		return false
	}
	for _, role := range c.wanted {
		ends := baseEnd(set, c.held)
		if c.had(role) {
			ends = endOf(c.held, role)
		}
		if !ends.IsZero() && (c.until.IsZero() || c.until.After(ends)) {
			return false
		}
	}
	return true
}

// arrangePeople divides the changes of roles on one account. Changes that only take access away come first, and last
// among these come changes of people who hold the required role. The last write has the actor's own change, since the
// actor needs their role until then. It also has the change of one holder of the required role, since this write may
// give the role to somebody else.
func (s *portions) arrangePeople(set authz.RoleSet, actor authz.ID, changes []roleChange) {
	var lowers, holders, last []authz.ID
	for _, c := range changes {
		switch {
		case c.who == actor || !c.lowers(set):
			last = append(last, c.who)
		case c.had(set.Required):
			holders = append(holders, c.who)
		default:
			lowers = append(lowers, c.who)
		}
	}
	if n := len(holders); n > 0 {
		last = append(last, holders[n-1])
		holders = holders[:n-1]
	}
	s.arrange(append(lowers, holders...), last)
}
