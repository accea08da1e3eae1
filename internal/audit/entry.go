// Package audit stores a log of every change in SQLite or PostgreSQL. The follower copies the changes that SpiceDB's
// Watch delivers, with the person and the key that made each change. Each entry contains the hash of the previous one,
// so that later changes of the log are evident. No authorization decision depends on the log.
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

// Kind is the kind of an entry.
type Kind string

// The kinds of entries.
const (
	Snapshot Kind = "snapshot" // the stored relationships when the log started, or when it restarted after a gap
	Changed  Kind = "change"   // the updates of one transaction
	Expiry   Kind = "expiry"   // a relationship expired
	Schema   Kind = "schema"   // a new schema was applied
	Gap      Kind = "gap"      // the changes of a time span are unknown
	Unstored Kind = "unstored" // a placeholder for an entry that could not be stored
)

// Reason is the reason of a gap. In a placeholder, it is the text of the error with which the database rejected the
// entry.
type Reason string

// The reasons of gaps.
const (
	NotKept    Reason = "not_kept"    // SpiceDB no longer has the history
	OtherStore Reason = "other_store" // SpiceDB has another store, for example after a restore
	WentBack   Reason = "went_back"   // SpiceDB has the same store, but it lacks changes that the log has
	CutOff     Reason = "cut_off"     // the last entries of the log were deleted
)

// Entry is one entry of the log. Its hash covers its JSON without Hash, with the fields in this order.
type Entry struct {
	Seq      int64  `json:"seq"`
	Time     Time   `json:"time"`
	Kind     Kind   `json:"kind"`
	Revision string `json:"revision,omitempty"` // SpiceDB's revision, for changes and schemas
	Part     int    `json:"part,omitempty"`     // the number among the entries of a transaction, from 1
	Origin
	// Overlapping replaces Origin if the datastore merged several transactions into one revision: it has all their
	// origins.
	Overlapping []Origin    `json:"overlapping,omitempty"`
	Updates     []Update    `json:"updates,omitempty"`
	Objects     []Reference `json:"objects,omitempty"` // in a placeholder: the objects that may have changed
	// Schema is the text of the schema. Schema entries and the first entry of a snapshot have it.
	Schema  string `json:"schema,omitempty"`
	Since   *Time  `json:"since,omitempty"`  // start of a gap, which ends at Time
	Reason  Reason `json:"reason,omitempty"` // reason of a gap or a placeholder
	Omitted bool   `json:"omitted,omitempty"`
	Prev    string `json:"prev,omitempty"` // hash of the previous entry; 64 zeros in the first one
	Hash    string `json:"hash,omitempty"`
}

// Origin is the person and key that made a change through Sluice. It is empty for a change that bypassed Sluice.
type Origin struct {
	Actor     string `json:"actor,omitempty"`
	Key       string `json:"key,omitempty"`
	Operation string `json:"operation,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	// StatedReason is the reason that the backend gave for an operation without an actor. Few operations have one.
	StatedReason string `json:"stated_reason,omitempty"`
}

// originOf reads the origin from the metadata of a transaction. It reports false if the metadata is not Sluice's.
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

// Origins returns the origins of the change: one, or several for merged transactions.
func (e Entry) Origins() []Origin {
	if e.Origin != (Origin{}) {
		return []Origin{e.Origin}
	}
	return e.Overlapping
}

// Update is one relationship that was created or changed (touch), or deleted.
type Update struct {
	Action        string          `json:"action"`
	Resource      Reference       `json:"resource"`
	Relation      string          `json:"relation"`
	Subject       Reference       `json:"subject"`
	ExpiresAt     *Time           `json:"expires_at,omitempty"`
	Caveat        string          `json:"caveat,omitempty"`
	CaveatContext json.RawMessage `json:"caveat_context,omitempty"`
}

const (
	actionTouch  = "touch"
	actionDelete = "delete"
)

func newUpdate(action string, r authz.Relationship) Update {
	u := Update{
		Action: action, Resource: Reference{
			Object: r.Resource,
		}, Relation: string(r.Relation), Subject: Reference(r.Subject),
		Caveat: r.Caveat, CaveatContext: json.RawMessage(r.CaveatContext),
	}
	if !r.ExpiresAt.IsZero() {
		u.ExpiresAt = &Time{r.ExpiresAt}
	}
	return u
}

// Relationship returns the relationship of the update.
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

// Time is formatted in UTC with microseconds.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000000Z"

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.UTC().Format(timeFormat)), nil }

// MarshalJSON implements json.Marshaler. Without it, the embedded time.Time would format the value.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + timeFormat + `"`)), nil
}

// Reference is a subject or an object in JSON: a string in zed's notation, or an object with fields if the string would
// be ambiguous.
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

// UnmarshalJSON implements json.Unmarshaler for the output of MarshalJSON.
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

// firstPreviousHash is the Prev of the first entry.
var firstPreviousHash = strings.Repeat("0", 2*sha256.Size)

// encode returns the text of an entry and the hash of the text.
func encode(e Entry) (body []byte, hash string, err error) {
	e.Hash = ""
	body, err = marshal(e)
	return body, hashOf(body), err
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// withHash appends the hash to the JSON of an entry, as its last field.
func withHash(body []byte, hash string) json.RawMessage {
	return slices.Concat(bytes.TrimSuffix(body, []byte("}")), []byte(`,"hash":"`+hash+`"}`))
}

// marshal encodes JSON without white space and without escaping HTML.
func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}
