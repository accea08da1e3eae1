// Package apikey defines API keys: their scopes and rates, their form in flags and files, and the set of keys that a
// server accepts. It stores hashes of keys, never the keys.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// prefix is the beginning of every key that Generate makes. Secret scanners recognize keys by it.
const prefix = "sluice_"

// Hash is the SHA-256 of a key.
type Hash [sha256.Size]byte

// Key describes an API key.
type Key struct {
	// Name identifies the key in logs and in the audit log. It is not secret.
	Name   string
	Scopes Scopes
	Hash   Hash

	// WriteTypes are the only types whose relationships the scope Write permits to write, sorted. If WriteTypes is
	// empty, Write has no such limit.
	WriteTypes []authz.Type

	// Rate limits how often the key may be used. Zero means no limit.
	Rate Rate

	// ExpiresAt is when the key expires. The zero time means never.
	ExpiresAt time.Time
}

// HasExpired reports whether the key has expired at a time.
func (k Key) HasExpired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

// MayWrite reports whether the key may write relationships of a type.
func (k Key) MayWrite(typ authz.Type) bool {
	return k.Scopes.Any(Write) && (len(k.WriteTypes) == 0 || slices.Contains(k.WriteTypes, typ))
}

// ScopeNames returns the names of the key's scopes. If Write is limited to types, its names are write:TYPE, one for
// each type.
func (k Key) ScopeNames() []string {
	if len(k.WriteTypes) == 0 {
		return k.Scopes.Names()
	}
	names := (k.Scopes &^ Write).Names()
	for _, typ := range k.WriteTypes {
		names = append(names, writePrefix+string(typ))
	}
	return names
}

// Line returns the line that describes the key in a keys file.
func (k Key) Line() string {
	line := k.Name + " " + strings.Join(k.ScopeNames(), "+") + " " + hex.EncodeToString(k.Hash[:])
	if k.Rate != (Rate{}) {
		line += " " + k.Rate.String()
	}
	if !k.ExpiresAt.IsZero() {
		line += " " + expiresPrefix + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return line
}

// expiresPrefix begins the field with a key's expiration, in a line of a keys file.
const expiresPrefix = "expires="

// Generate makes a new key. secret is the text that clients send. Only this call returns it, since the key stores
// only its hash. types limit the scope Write, as Key.WriteTypes does.
func Generate(name string, scopes Scopes, types ...authz.Type) (secret string, key Key, err error) {
	if err := checkName(name); err != nil {
		return "", Key{}, err
	}
	if scopes == 0 {
		return "", Key{}, fmt.Errorf("a key needs at least one of the scopes %s", strings.Join(AllScopes.Names(), ", "))
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret = prefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, Key{Name: name, Scopes: scopes, WriteTypes: types, Hash: HashOf(secret)}, nil
}

// HashOf returns the hash of a key's secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf(
			"the name of a key must have 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-', and begin with a letter or " +
				"digit",
		)
	}
	return nil
}
