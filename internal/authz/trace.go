package authz

import "time"

// Trace is how an engine came to an answer: one question that it asked itself, and the questions that this one led to.
type Trace struct {
	// Resources are what was asked about: one object, or several that were asked about together.
	Resources []Object

	// Name is the permission or, with IsRelation, the relation that was asked for.
	Name       Permission
	IsRelation bool

	Subject Subject

	// State is the answer. One that depended on caveats has the Condition that it came from; a Conditional one without it
	// is about several resources with different answers.
	State     State
	Condition *Condition

	// ExpiresAt is when the first of the relationships ends that the answer rests on; zero if none does.
	ExpiresAt time.Time

	// Cached reports that the answer was known from before, so that what it rests on is not told: Parts is empty.
	Cached bool

	Parts []*Trace
}

// Condition is what came of a caveat.
type Condition struct {
	Caveat         string // its name; empty where several were combined
	Expression     string
	State          State
	MissingContext []string
}

// HasCached reports whether the answer to any of the questions was known from before.
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
