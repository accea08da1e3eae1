// Package txtest provides a store in memory for tests of rules on a unit of work. It stores relationships and verifies
// preconditions as an engine does. It evaluates no permissions: the test says which checks are allowed. Suite checks
// that it behaves like the real engines.
package txtest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Store implements tx.Store. It is safe for concurrent use.
type Store struct {
	// Allow answers every check; nil allows none. It is called without a lock.
	Allow func(authz.Check) bool

	// Now is the clock for expirations; nil is time.Now.
	Now func() time.Time

	// BeforeWrite, if set, runs before every write. A test can use it, with Put, to change relationships after an
	// operation has read them.
	BeforeWrite func()

	mu       sync.Mutex
	states   []*state // one for each token, the newest last
	metadata map[string]any
}

// New returns a Store that holds the relationships.
func New(relationships ...authz.Relationship) *Store {
	s := &Store{states: []*state{newState(nil)}}
	s.Put(relationships...)
	return s
}

// Put stores relationships, as a request of another client would, and returns the token of the new state.
func (s *Store) Put(relationships ...authz.Relationship) authz.Token {
	return s.change(func(state map[authz.Filter]authz.Relationship) {
		for _, r := range relationships {
			state[authz.Exactly(r)] = r
		}
	})
}

// Remove deletes relationships, as a request of another client would, and returns the token of the new state.
func (s *Store) Remove(relationships ...authz.Relationship) authz.Token {
	return s.change(func(state map[authz.Filter]authz.Relationship) {
		for _, r := range relationships {
			delete(state, authz.Exactly(r))
		}
	})
}

// Stored returns every stored relationship as text, sorted. The text of a relationship with an expiration says how long
// after Now it expires.
func (s *Store) Stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stored []string
	for _, r := range s.states[len(s.states)-1].relationships {
		text := r.String()
		if !r.ExpiresAt.IsZero() {
			text += fmt.Sprintf(" for %s", r.ExpiresAt.Sub(s.now()))
		}
		stored = append(stored, text)
	}
	slices.Sort(stored)
	return stored
}

// LastMetadata returns the metadata of the last write.
func (s *Store) LastMetadata() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.metadata
}

// CheckBulk implements tx.Store.
func (s *Store) CheckBulk(
	_ context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	_, token, err := s.state(at)
	if err != nil {
		return nil, "", err
	}
	results := make([]authz.CheckResult, len(checks))
	for i, check := range checks {
		results[i].Decision.State = authz.Denied
		if s.Allow != nil && s.Allow(check) {
			results[i].Decision.State = authz.Allowed
		}
	}
	return results, token, nil
}

// Read implements tx.Store. It yields relationships in the order of their text.
func (s *Store) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		state, token, err := s.state(at)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(authz.ReadItem{}, err)
			return
		}
		found := slices.DeleteFunc(slices.Collect(state.find(filter)), s.hasExpired)
		slices.SortFunc(found, func(a, b authz.Relationship) int { return cmp.Compare(a.String(), b.String()) })
		if page.Limit > 0 {
			found = found[:min(len(found), page.Limit)]
		}
		for _, r := range found {
			if !yield(authz.ReadItem{Relationship: r, Token: token}, nil) {
				return
			}
		}
	}
}

// Write implements tx.Store.
func (s *Store) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if s.BeforeWrite != nil {
		s.BeforeWrite()
	}
	if ctx.Err() != nil {
		return "", authz.Errorf(authz.CodeDeadline, "the write took longer than its time limit")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.states[len(s.states)-1]
	for _, p := range write.Preconditions {
		holds := p.Absent
		for r := range newest.find(p.Filter) {
			if !s.hasExpired(r) {
				holds = !p.Absent
				break
			}
		}
		if !holds {
			return "", conflict()
		}
	}
	next := newest.clone()
	for _, u := range write.Updates {
		key := authz.Exactly(u.Relationship)
		_, stored := next[key]
		switch u.Action {
		case authz.Create:
			if stored {
				return "", conflict()
			}
			next[key] = u.Relationship
		case authz.Touch:
			next[key] = u.Relationship
		case authz.Delete:
			delete(next, key)
		}
	}
	s.states, s.metadata = append(s.states, newState(next)), write.Metadata
	return token(len(s.states) - 1), nil
}

func (s *Store) hasExpired(r authz.Relationship) bool {
	return !r.ExpiresAt.IsZero() && !s.now().Before(r.ExpiresAt)
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// DeleteAll deletes every relationship that matches, as one write.
func (s *Store) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	write := authz.Write{Preconditions: preconditions, Metadata: metadata}
	for item, err := range s.Read(ctx, filter, authz.Fully(), authz.Page{}) {
		if err != nil {
			return "", err
		}
		write.Updates = append(write.Updates, authz.Update{Action: authz.Delete, Relationship: item.Relationship})
	}
	return s.Write(ctx, write)
}

// LookupResources yields the stored resources of the type for which Allow says yes, in the order of their ids.
func (s *Store) LookupResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, _ authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	return func(yield func(authz.FoundResource, error) bool) {
		ids := make(map[authz.ID]bool)
		var token authz.Token
		for item, err := range s.Read(ctx, authz.Filter{Type: query.Type}, at, authz.Page{}) {
			if err != nil {
				yield(authz.FoundResource{}, err)
				return
			}
			ids[item.Relationship.Resource.ID], token = true, item.Token
		}
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			resource := authz.Object{Type: query.Type, ID: id}
			check := authz.Check{Subject: query.Subject, Permission: query.Permission, Resource: resource}
			if s.Allow == nil || !s.Allow(check) {
				continue
			}
			found := authz.FoundResource{ID: id, Decision: authz.Decision{State: authz.Allowed}, Token: token}
			if !yield(found, nil) {
				return
			}
		}
	}
}

func conflict() error {
	return &authz.Error{
		Code: authz.CodeConflict, Message: "a precondition does not hold", Cause: authz.ErrPrecondition,
	}
}

func token(state int) authz.Token { return authz.Token(strconv.Itoa(state)) }

func (s *Store) change(do func(map[authz.Filter]authz.Relationship)) authz.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.states[len(s.states)-1].clone()
	do(next)
	s.states = append(s.states, newState(next))
	return token(len(s.states) - 1)
}

func (s *Store) state(at authz.Consistency) (*state, authz.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := len(s.states) - 1
	if at.Freshness != authz.ExactSnapshot {
		return s.states[newest], token(newest), nil
	}
	i, err := strconv.Atoi(string(at.Token))
	if err != nil || i < 0 || i > newest {
		return nil, "", authz.Errorf(authz.CodeInvalid, "%q is not a token of this store", at.Token)
	}
	return s.states[i], at.Token, nil
}
