// Package pages splits lists into pages. It creates and checks the cursors of pages, and caches the result of a
// look-up for its next pages.
package pages

import (
	"container/list"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Limits of the cached lists. maxListed limits the number of resources in all lists together; each list counts as its
// resources plus listOverhead. listTime is the time for which a list is cached.
const (
	maxListed    = 250_000
	listOverhead = 4
	listTime     = time.Minute
)

// Resources splits the results of resource look-ups into pages. A cursor contains the id of the last resource and a
// revision, so every server can continue the list. The server that created the cursor caches the list for listTime,
// so that the next page needs no look-up. Correctness does not depend on the cache, since the same query at the same
// revision has the same result. The zero value is ready to use.
//
// Adding a list takes constant time. Every caller (see WithCaller) has an equal share of the cache. If the cache is
// full, Resources removes the oldest list of the caller whose lists are the largest together.
type Resources struct {
	mu     sync.Mutex
	kept   map[string]*keptList // the cached lists; the keys are results of listKey
	order  list.List            // of *keptList, the oldest first
	shares map[string]*share    // shares of the callers; no share is empty
	size   int
}

// keptList is a cached list. Its resources must not be modified.
type keptList struct {
	key       string
	caller    string
	resources []authz.FoundResource
	until     time.Time
	all, own  *list.Element // this list's elements in Resources.order and in share.lists
}

func (k *keptList) size() int { return len(k.resources) + listOverhead }

// share holds the cached lists of one caller.
type share struct {
	lists list.List // of *keptList, the oldest first
	size  int
}

// Page returns the resources of a page. The function "all" looks up every resource of the query, sorted by Compare.
// If the page is invalid, the error has CodeInvalid. Any other error comes from "all".
func (l *Resources) Page(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
	all func(authz.Consistency) ([]authz.FoundResource, error),
) ([]authz.FoundResource, error) {
	if page.Limit < 0 {
		return nil, authz.Errorf(authz.CodeInvalid, "a limit must not be negative")
	}
	cursors := CursorsOf(query)
	after := authz.FoundResource{}
	if page.Cursor != "" {
		position, err := cursors.Parse(page.Cursor)
		if err != nil {
			return nil, err
		}
		token, id, _ := strings.Cut(position, " ")
		after.Token, after.ID = authz.Token(token), authz.ID(id)
		at = authz.AtSnapshot(after.Token)
	}
	found, known := l.get(listKey(cursors, after.Token))
	if !known {
		var err error
		if found, err = all(at); err != nil {
			return nil, err
		}
	}
	begin, exists := slices.BinarySearchFunc(found, after, Compare)
	if exists {
		begin++
	}
	part := found[begin:]
	if page.Limit > 0 && len(part) > page.Limit {
		if !known {
			l.put(callerOf(ctx), listKey(cursors, found[0].Token), found)
		}
		part = part[:page.Limit]
	}
	return slices.Clone(part), nil
}

// Cursor returns a cursor of a query. A page with this cursor starts after the given result of the query.
func Cursor(query authz.ResourceQuery, found authz.FoundResource) string {
	return CursorsOf(query).New(string(found.Token) + " " + string(found.ID))
}

// Compare orders resources by their ids.
func Compare(a, b authz.FoundResource) int { return strings.Compare(string(a.ID), string(b.ID)) }

// listKey returns the key of a cached list. It stands for the query and the revision of the list.
func listKey(cursors Cursors, token authz.Token) string {
	if token == "" {
		return ""
	}
	return cursors.New(string(token))
}

func (l *Resources) get(key string) ([]authz.FoundResource, bool) {
	if key == "" {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	if kept := l.kept[key]; kept != nil {
		return kept.resources, true
	}
	return nil, false
}

// put caches a list, which must not be modified afterwards. If the cache is full, it removes older lists.
func (l *Resources) put(caller, key string, resources []authz.FoundResource) {
	k := &keptList{key: key, caller: caller, resources: resources, until: time.Now().Add(listTime)}
	if k.size() > maxListed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept[key] != nil {
		return
	}
	l.expire()
	if l.kept == nil {
		l.kept, l.shares = make(map[string]*keptList), make(map[string]*share)
	}
	own := l.shares[caller]
	if own == nil {
		own = new(share)
		l.shares[caller] = own
	}
	l.kept[key] = k
	k.all, k.own = l.order.PushBack(k), own.lists.PushBack(k)
	own.size += k.size()
	for l.size += k.size(); l.size > maxListed; {
		l.drop(l.oldestOfLargest())
	}
}

// oldestOfLargest returns the oldest list of the caller whose lists are the largest together. Its loop is short,
// since there are only as many callers as API keys.
func (l *Resources) oldestOfLargest() *keptList {
	var largest *share
	for _, s := range l.shares {
		if largest == nil || s.size > largest.size {
			largest = s
		}
	}
	return kept(largest.lists.Front())
}

// expire removes the lists whose time has passed.
func (l *Resources) expire() {
	now := time.Now()
	for first := l.order.Front(); first != nil && now.After(kept(first).until); first = l.order.Front() {
		l.drop(kept(first))
	}
}

func (l *Resources) drop(k *keptList) {
	own := l.shares[k.caller]
	own.lists.Remove(k.own)
	l.order.Remove(k.all)
	delete(l.kept, k.key)
	own.size -= k.size()
	l.size -= k.size()
	if own.size == 0 {
		delete(l.shares, k.caller)
	}
}

func kept(e *list.Element) *keptList {
	k, _ := e.Value.(*keptList)
	return k
}
