// Package audit keeps the log of everything that changed: a copy of what the Watch of SpiceDB told, with who did it, as a
// chain of hashes in SQLite or PostgreSQL. Nothing is decided by it.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Kind says what an entry tells.
type Kind string

// The kinds of entries.
const (
	Snapshot Kind = "snapshot" // what was there when the log began, or when it began anew after a gap
	Changed  Kind = "change"   // what one transaction changed
	Expiry   Kind = "expiry"   // a relationship that ended by itself
	Schema   Kind = "schema"   // another schema was applied
	Gap      Kind = "gap"      // what happened in a span is not known
	Unstored Kind = "unstored" // a placeholder for an entry that could not be stored
)

// Reason says why there is a gap.
type Reason string

// The reasons of gaps.
const (
	NotKept    Reason = "not_kept"    // SpiceDB no longer had what had happened
	OtherStore Reason = "other_store" // SpiceDB's store is another one than the log knew, as after a restore
	WentBack   Reason = "went_back"   // SpiceDB's store is the same, but does not have what the log knew
	CutOff     Reason = "cut_off"     // entries of the log are gone from its end
)

// Entry is one line of the log. Its JSON, with the fields in this order and without Hash, is what the hash is about.
type Entry struct {
	Seq      int64  `json:"seq"`
	Time     Time   `json:"time"`
	Kind     Kind   `json:"kind"`
	Revision string `json:"revision,omitempty"` // of SpiceDB, for changes and schemas
	Part     int    `json:"part,omitempty"`     // from 1, of a transaction that has several entries
	Origin
	Overlapping []Origin    `json:"overlapping,omitempty"` // of transactions that the store made one revision of
	Updates     []Update    `json:"updates,omitempty"`
	Objects     []Reference `json:"objects,omitempty"` // that the entry behind a placeholder changes; none if they are not known
	Schema      string      `json:"schema,omitempty"`  // the text, of a schema and of the first snapshot
	Since       *Time       `json:"since,omitempty"`   // of a gap, which ends with the entry
	Reason      Reason      `json:"reason,omitempty"`  // of a gap, and of a placeholder
	Withheld    bool        `json:"withheld,omitempty"`
	Prev        string      `json:"prev,omitempty"` // the hash of the entry before, 64 zeros if there is none
	Hash        string      `json:"hash,omitempty"`
}

// Origin is who made a change through Sluice, and how. What was written past Sluice has none.
type Origin struct {
	Actor     string `json:"actor,omitempty"`
	Key       string `json:"key,omitempty"`
	Operation string `json:"operation,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	// StatedReason says why the backend did it without an actor; few operations have one.
	StatedReason string `json:"stated_reason,omitempty"`
}

// originOf reads the metadata of a transaction; only Sluice's own has all of these fields but the reason.
func originOf(metadata map[string]any) (origin Origin, ok bool) {
	for name, field := range map[string]*string{
		"actor": &origin.Actor, "key": &origin.Key, "operation": &origin.Operation, "request_id": &origin.RequestID,
	} {
		if *field, ok = metadata[name].(string); !ok {
			return Origin{}, false
		}
	}
	origin.StatedReason, _ = metadata["reason"].(string)
	return origin, true
}

// Origins are all who made the change.
func (e Entry) Origins() []Origin {
	if e.Origin != (Origin{}) {
		return []Origin{e.Origin}
	}
	return e.Overlapping
}

// Update is one relationship that came, or was changed (touch), or went (delete).
type Update struct {
	Action        string          `json:"action"`
	Resource      Reference       `json:"resource"`
	Relation      string          `json:"relation"`
	Subject       Reference       `json:"subject"`
	ExpiresAt     *Time           `json:"expires_at,omitempty"`
	Caveat        string          `json:"caveat,omitempty"`
	CaveatContext json.RawMessage `json:"caveat_context,omitempty"`
}

// The actions of an Update.
const (
	touch = "touch"
	gone  = "delete"
)

func newUpdate(action string, r authz.Relationship) Update {
	u := Update{
		Action: action, Resource: Reference{Object: r.Resource}, Relation: string(r.Relation), Subject: Reference(r.Subject),
		Caveat: r.Caveat, CaveatContext: json.RawMessage(r.CaveatContext),
	}
	if !r.ExpiresAt.IsZero() {
		u.ExpiresAt = &Time{r.ExpiresAt}
	}
	return u
}

// Relationship is the one that the update is about.
func (u Update) Relationship() authz.Relationship {
	r := authz.Relationship{
		Resource: u.Resource.Object, Relation: authz.Relation(u.Relation), Subject: authz.Subject(u.Subject),
		Caveat: u.Caveat, CaveatContext: string(u.CaveatContext),
	}
	if u.ExpiresAt != nil {
		r.ExpiresAt = u.ExpiresAt.Time
	}
	return r
}

// Time is written in UTC with six digits of the second.
type Time struct{ time.Time }

const timeForm = "2006-01-02T15:04:05.000000Z"

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.UTC().Format(timeForm)), nil }

// MarshalJSON implements json.Marshaler, in place of time.Time's.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(t.UTC().Format(`"` + timeForm + `"`)), nil }

// Reference is a subject or an object in JSON: a string as zed writes it, or the object form where that would mean
// something else.
type Reference authz.Subject

type referenceObject struct {
	Type     authz.Type     `json:"type"`
	ID       authz.ID       `json:"id"`
	Relation authz.Relation `json:"relation,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r Reference) MarshalJSON() ([]byte, error) {
	if !r.Wildcard && (strings.Contains(string(r.ID), "#") || r.ID == "*") {
		return marshal(referenceObject{Type: r.Type, ID: r.ID, Relation: r.Relation})
	}
	return marshal(authz.Subject(r).String())
}

// UnmarshalJSON implements json.Unmarshaler, for what MarshalJSON wrote.
func (r *Reference) UnmarshalJSON(data []byte) error {
	var parts referenceObject
	if bytes.HasPrefix(data, []byte("{")) {
		if err := json.Unmarshal(data, &parts); err != nil {
			return err
		}
	} else {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		typ, rest, _ := strings.Cut(text, ":")
		if rest == "*" {
			*r = Reference(authz.Everybody(authz.Type(typ)))
			return nil
		}
		id, relation, _ := strings.Cut(rest, "#")
		parts = referenceObject{Type: authz.Type(typ), ID: authz.ID(id), Relation: authz.Relation(relation)}
	}
	*r = Reference{Object: authz.Object{Type: parts.Type, ID: parts.ID}, Relation: parts.Relation}
	return nil
}

// firstPrev stands in place of a hash before the first entry.
var firstPrev = strings.Repeat("0", 2*sha256.Size)

// seal returns the text of an entry and its hash.
func seal(e Entry) (body []byte, hash string, err error) {
	e.Hash = ""
	body, err = marshal(e)
	return body, hashOf(body), err
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// sealed is the JSON of an entry with its hash as the last field.
func sealed(body []byte, hash string) json.RawMessage {
	return slices.Concat(bytes.TrimSuffix(body, []byte("}")), []byte(`,"hash":"`+hash+`"}`))
}

// marshal writes JSON without spaces and without escapes that JSON does not ask for.
func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}
