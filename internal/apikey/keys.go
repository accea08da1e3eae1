package apikey

import (
	"crypto/subtle"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Keys is the set of keys that a server accepts. It can be replaced while it is in use.
type Keys struct {
	current atomic.Pointer[[]entry]
}

type entry struct {
	Key
	limiter *rate.Limiter
}

// New returns the set of the keys. It is an error if two have the same name or are the same key.
func New(keys ...Key) (*Keys, error) {
	k := new(Keys)
	if err := k.Replace(keys); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace takes other keys in place of those of the set, at once and as a whole. What a key that stays has used up of
// its rate stays used up. On an error, as New has it, nothing changes.
func (k *Keys) Replace(keys []Key) error {
	names, hashes := make(map[string]bool, len(keys)), make(map[Hash]string, len(keys))
	for _, key := range keys {
		if names[key.Name] {
			return fmt.Errorf("there are two keys of the name %s", key.Name)
		}
		if other, taken := hashes[key.Hash]; taken {
			return fmt.Errorf("%s and %s are the same key", other, key.Name)
		}
		names[key.Name], hashes[key.Hash] = true, key.Name
	}
	var previous []entry
	if current := k.current.Load(); current != nil {
		previous = *current
	}
	entries := make([]entry, len(keys))
	for i, key := range keys {
		entries[i] = entry{Key: key, limiter: key.Rate.limiter()}
		for _, old := range previous {
			if old.Hash == key.Hash && old.Rate == key.Rate {
				entries[i].limiter = old.limiter
			}
		}
	}
	k.current.Store(&entries)
	return nil
}

// All returns the keys of the set.
func (k *Keys) All() []Key {
	entries := *k.current.Load()
	keys := make([]Key, len(entries))
	for i := range entries {
		keys[i] = entries[i].Key
	}
	return keys
}

// Identity is a key that was found in the set.
type Identity struct {
	Key
	limiter *rate.Limiter
}

// Identify finds the key that a secret is. It takes as long for any secret, whether and where it is in the set.
func (k *Keys) Identify(secret string) (Identity, bool) {
	hash := HashOf(secret)
	entries := *k.current.Load()
	found := -1
	for i := range entries {
		same := subtle.ConstantTimeCompare(hash[:], entries[i].Hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Identity{}, false
	}
	return Identity(entries[found]), true
}

// Use counts a use of the key against its rate at a time, as so many requests as the use costs, or as all of a rate that
// allows fewer. Above the rate, it counts nothing and returns after how long the key may be used so again.
func (i Identity) Use(now time.Time, cost int) (wait time.Duration) {
	if i.limiter == nil {
		return 0
	}
	reservation := i.limiter.ReserveN(now, min(cost, i.Rate.Requests))
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}
