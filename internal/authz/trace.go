package authz

import "time"

// Trace describes how an engine decided a check. It is a tree: Parts has the checks that the engine made to decide
// this check.
type Trace struct {
	// Resources are the checked objects. The engine may check several objects together.
	Resources []Object

	// Name is the checked permission or, with IsRelation, the checked relation.
	Name       Permission
	IsRelation bool

	Subject Subject

	// State is the decision. If it depends on caveats, Condition is set. If State is Conditional and Condition is
	// nil, the decisions about the Resources differ.
	State     State
	Condition *Condition

	// ExpiresAt is the earliest expiration of the relationships that the decision depends on, or zero.
	ExpiresAt time.Time

	// Cached reports that the decision came from a cache. Parts is then empty.
	Cached bool

	Parts []*Trace
}

// Condition is the result of evaluating a caveat, or several caveats together.
type Condition struct {
	Caveat         string // name of the caveat; empty for several caveats
	Expression     string
	State          State
	MissingContext []string
}

// HasCached reports whether at least one decision in the tree came from a cache.
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
