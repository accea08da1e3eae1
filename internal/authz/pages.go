package authz

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// How many resources the lists hold together that are kept for their next pages, and how long a list is kept.
const (
	maxListed = 250_000
	listTime  = time.Minute
)

// ResourcePages makes pages of whole look-ups of resources. A cursor holds an id and the state that the list began with, which is
// enough for every server to continue it; the one that gave it has the list at hand for a while, so that the next page need not
// look it up anew. Nothing rests on a list being here: at one state the same query finds the same. The zero value is empty.
type ResourcePages struct {
	mu   sync.Mutex
	kept []keptList // the oldest first
	size int
}

type keptList struct {
	key       string
	resources []FoundResource
	until     time.Time
}

// Page returns the resources on a page, with their cursors. all looks up every resource that the query finds, sorted as
// CompareResources does. The error has CodeInvalid for a page that cannot be, and is that of all otherwise.
func (l *ResourcePages) Page(query ResourceQuery, at Consistency, page Page, all func(Consistency) ([]FoundResource, error)) ([]FoundResource, error) {
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
			l.put(listKey(cursors, found[0].Token), found)
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
	l.drop(0)
	if i := slices.IndexFunc(l.kept, func(k keptList) bool { return k.key == key }); i >= 0 {
		return l.kept[i].resources, true
	}
	return nil, false
}

// put keeps a list, which nobody changes any more, in place of older ones if there is no room.
func (l *ResourcePages) put(key string, resources []FoundResource) {
	if len(resources) > maxListed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.kept, func(k keptList) bool { return k.key == key }) {
		return
	}
	l.drop(len(resources))
	l.kept = append(l.kept, keptList{key: key, resources: resources, until: time.Now().Add(listTime)})
	l.size += len(resources)
}

// drop forgets lists whose time is over, and as many others as make room.
func (l *ResourcePages) drop(room int) {
	now := time.Now()
	for len(l.kept) > 0 && (l.size+room > maxListed || now.After(l.kept[0].until)) {
		l.size -= len(l.kept[0].resources)
		l.kept = slices.Delete(l.kept, 0, 1)
	}
}
