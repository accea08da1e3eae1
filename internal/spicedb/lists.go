package spicedb

import (
	"slices"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// How many resources the lists hold together that are kept for their next pages, and how long a list is kept.
const (
	maxListed = 250_000
	listTime  = time.Minute
)

// lists keeps what look-ups found at a state, so that the next page of a list need not look it up anew. Nothing rests on a
// list being here: at one state the same query finds the same. The zero value is empty.
type lists struct {
	mu   sync.Mutex
	kept []keptList // the oldest first
	size int
}

type keptList struct {
	key       string
	resources []authz.FoundResource
	until     time.Time
}

func (l *lists) get(key string) ([]authz.FoundResource, bool) {
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
func (l *lists) put(key string, resources []authz.FoundResource) {
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
func (l *lists) drop(room int) {
	now := time.Now()
	for len(l.kept) > 0 && (l.size+room > maxListed || now.After(l.kept[0].until)) {
		l.size -= len(l.kept[0].resources)
		l.kept = slices.Delete(l.kept, 0, 1)
	}
}
