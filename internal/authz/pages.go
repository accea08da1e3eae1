package authz

import (
	"container/list"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of the lists that are kept for their next pages: how many resources they hold together, how many more each
// list counts for, and how long it is kept.
const (
	maxListed    = 250_000
	listOverhead = 4
	listTime     = time.Minute
)

// ResourcePages makes pages of whole look-ups of resources. A cursor holds an id and the state that the list began
// with, which is enough for every server to continue it; the one that gave it has the list at hand for a while, so
// that the next page need not look it up again. Nothing rests on a list being here: at one state the same query finds
// the same. The zero value is empty.
//
// Keeping a list takes the same time however many are kept. Every caller, as WithCaller names it, has an equal share of
// the room: lists of the caller who holds most make room for others.
type ResourcePages struct {
	mu     sync.Mutex
	kept   map[string]*keptList // by key
	order  list.List            // of *keptList, the oldest first
	shares map[string]*share    // by caller; none is empty
	size   int
}

// keptList is a list that is kept. Nobody changes its resources.
type keptList struct {
	key       string
	caller    string
	resources []FoundResource
	until     time.Time
	all, own  *list.Element // in the order of all, and of its caller's
}

func (k *keptList) size() int { return len(k.resources) + listOverhead }

// share is what is kept for one caller.
type share struct {
	lists list.List // of *keptList, the oldest first
	size  int
}

// Page returns the resources on a page, with their cursors. all looks up every resource that the query finds, sorted as
// CompareResources does. The error has CodeInvalid for a page that cannot be, and is that of all otherwise.
func (l *ResourcePages) Page(
	ctx context.Context, query ResourceQuery, at Consistency, page Page, all func(Consistency) ([]FoundResource, error),
) ([]FoundResource, error) {
	if page.Limit < 0 {
		return nil, Errorf(CodeInvalid, "a limit must not be negative")
	}
	cursors := CursorsOf(query)
	after := FoundResource{}
	if page.Cursor != "" {
		position, err := cursors.Parse(page.Cursor)
		if err != nil {
			return nil, err
		}
		token, id, _ := strings.Cut(position, " ")
		after.Token, after.ID = Token(token), ID(id)
		at = AtSnapshot(after.Token)
	}
	found, known := l.get(listKey(cursors, after.Token))
	if !known {
		var err error
		if found, err = all(at); err != nil {
			return nil, err
		}
	}
	begin, exists := slices.BinarySearchFunc(found, after, CompareResources)
	if exists {
		begin++
	}
	part := found[begin:]
	if page.Limit > 0 && len(part) > page.Limit {
		if !known {
			l.put(CallerOf(ctx), listKey(cursors, found[0].Token), found)
		}
		part = part[:page.Limit]
	}
	part = slices.Clone(part)
	for i := range part {
		part[i].cursors = &cursors
	}
	return part, nil
}

// CompareResources orders resources by their ids.
func CompareResources(a, b FoundResource) int { return strings.Compare(string(a.ID), string(b.ID)) }

// listKey names a list by what it is about and the state that it shows.
func listKey(cursors Cursors, token Token) string {
	if token == "" {
		return ""
	}
	return cursors.New(string(token))
}

func (l *ResourcePages) get(key string) ([]FoundResource, bool) {
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

// put keeps a list, which nobody changes any more, in place of older ones if there is no room.
func (l *ResourcePages) put(caller, key string, resources []FoundResource) {
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

// oldestOfLargest is the oldest list of the caller who holds most. There are as many callers as API keys.
func (l *ResourcePages) oldestOfLargest() *keptList {
	var largest *share
	for _, s := range l.shares {
		if largest == nil || s.size > largest.size {
			largest = s
		}
	}
	return kept(largest.lists.Front())
}

// expire drops the lists whose time is over.
func (l *ResourcePages) expire() {
	now := time.Now()
	for first := l.order.Front(); first != nil && now.After(kept(first).until); first = l.order.Front() {
		l.drop(kept(first))
	}
}

func (l *ResourcePages) drop(k *keptList) {
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
