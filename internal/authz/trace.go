package authz

import "time"

// Trace describes how an engine decided a check. It is a tree: Parts are the checks that this check led to.
type Trace struct {
	// Resources are the checked objects: one, or several that were checked together.
	Resources []Object

	// Name is the checked permission or, with IsRelation, the checked relation.
	Name       Permission
	IsRelation bool

	Subject Subject

	// State is the decision. If it depended on caveats, Condition is set. A Conditional decision without Condition is
	// about several resources with different decisions.
	State     State
	Condition *Condition

	// ExpiresAt is the earliest expiration of the relationships that the decision depends on, or zero.
	ExpiresAt time.Time

	// Cached reports that the decision came from a cache. Parts is then empty.
	Cached bool

	Parts []*Trace
}

// Condition is the result of evaluating a caveat.
type Condition struct {
	Caveat         string // name of the caveat; empty if several were combined
	Expression     string
	State          State
	MissingContext []string
}

// HasCached reports whether any decision of the tree came from a cache.
func (t *Trace) HasCached() bool {
	if t == nil || t.Cached {
		return t != nil
	}
	for _, part := range t.Parts {
		if part.HasCached() {
			return true
		}
	}
	return false
}
