package apikey

import (
	"crypto/subtle"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Keys is the set of keys that a server accepts. It is safe for concurrent use.
type Keys struct {
	current atomic.Pointer[[]entry]
}

type entry struct {
	Key
	limiter *rate.Limiter
}

// New returns a set of keys. It returns an error if two keys have the same name or the same secret.
func New(keys ...Key) (*Keys, error) {
	k := new(Keys)
	if err := k.Replace(keys); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace replaces all keys of the set at once. If a key is in the old and the new set with the same rate, its
// earlier uses still count towards this rate. Replace returns the same errors as New. After an error, the set is
// unchanged.
func (k *Keys) Replace(keys []Key) error {
	names, hashes := make(map[string]bool, len(keys)), make(map[Hash]string, len(keys))
	for _, key := range keys {
		if names[key.Name] {
			return fmt.Errorf("two keys have the name %s", key.Name)
		}
		if other, taken := hashes[key.Hash]; taken {
			return fmt.Errorf("the keys %s and %s have the same secret", other, key.Name)
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

// Identity is a key that Identify found in the set.
type Identity struct {
	Key
	limiter *rate.Limiter
}

// Identify returns the key that has the secret. It returns false if there is none. The time that it takes does not
// depend on the secret, so an attacker cannot guess a secret from the time.
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

// Use counts a use of the key at the time now. The use counts as cost requests, but as no more than the rate allows
// at once. If the rate is exhausted, Use counts nothing and returns how long to wait.
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
