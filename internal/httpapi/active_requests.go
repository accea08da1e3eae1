package httpapi

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// ActiveRequests tracks the requests that are being answered. The zero value is ready to use.
type ActiveRequests struct {
	mu    sync.Mutex
	calls map[*call]bool
}

// Request is a request that is being answered.
type Request struct {
	Method, Route, ID string // Route is the path with placeholders for ids
	Since             time.Time
}

func (u *ActiveRequests) add(k *call) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.calls == nil {
		u.calls = make(map[*call]bool)
	}
	u.calls[k] = true
}

func (u *ActiveRequests) remove(k *call) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.calls, k)
}

// Requests returns the active requests, oldest first.
func (u *ActiveRequests) Requests() (requests []Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k := range u.calls {
		requests = append(
			requests,
			Request{Method: knownMethod(k.method), Route: k.template(), ID: k.id, Since: k.start},
		)
	}
	slices.SortFunc(requests, func(a, b Request) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return requests
}
