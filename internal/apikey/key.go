// Package apikey knows API keys: their scopes and rates, how they are written in flags and files, and which of them
// a request carries. It holds hashes of keys, never the keys.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
)

// Prefix begins every key that Generate makes, so that a key in a wrong place can be told by its looks.
const Prefix = "sluice_"

// Hash is the SHA-256 of a key.
type Hash [sha256.Size]byte

// Key is what is known about an API key.
type Key struct {
	// Name stands in logs and in the history of what was written; it is no secret.
	Name   string
	Scopes Scopes
	Hash   Hash

	// Rate is how often the key may be used; zero means without limit.
	Rate Rate

	// ExpiresAt is when the key ends; the zero time means never.
	ExpiresAt time.Time
}

// HasExpired reports whether the key has ended at a time.
func (k Key) HasExpired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

// Line returns the key's line for a keys file.
func (k Key) Line() string {
	line := k.Name + " " + k.Scopes.String() + " " + hex.EncodeToString(k.Hash[:])
	if k.Rate != (Rate{}) {
		line += " " + k.Rate.String()
	}
	if !k.ExpiresAt.IsZero() {
		line += " " + expiresPrefix + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return line
}

// expiresPrefix begins the field of a keys file that says when a key ends.
const expiresPrefix = "expires="

// Generate makes a new key. The secret is what clients send; it is returned this once.
func Generate(name string, scopes Scopes) (secret string, key Key, err error) {
	if err := checkName(name); err != nil {
		return "", Key{}, err
	}
	if scopes == 0 {
		return "", Key{}, fmt.Errorf("a key needs a scope: %s, joined by +", AllScopes)
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret = Prefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, Key{Name: name, Scopes: scopes, Hash: HashOf(secret)}, nil
}

// HashOf returns the hash that a key is known by.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("the name of a key has up to 64 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with a letter or digit")
	}
	return nil
}
