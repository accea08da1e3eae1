package audit

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-authz/sluice/internal/authz"
)

// term is a search term of an entry: entries can be found by it. The table sluice_audit_marks stores it.
type term struct{ kind, value string }

const (
	byResource  = "resource"  // the resource of an update
	bySubject   = "subject"   // the object of an update's subject
	byAccount   = "account"   // an account that contains the resource of an update
	byActor     = "actor"     // the actor of an origin
	byOperation = "operation" // the operation of an origin
	byContent   = "content"   // "schema", "gap", or "unstored" for a placeholder without objects
	byStart     = "start"     // an object that the entry may have created: see startedBy
)

// maxTermBytes is the largest size of a search term. PostgreSQL's indexes accept about 2,700 bytes.
const maxTermBytes = 1024

// termValue returns a value as the table stores it: its hash if the value is too long, or is not text that PostgreSQL
// accepts.
func termValue(value string) string {
	if len(value) <= maxTermBytes && utf8.ValidString(value) && !strings.Contains(value, "\x00") {
		return value
	}
	return "sha256 " + hashOf([]byte(value))
}

// Place returns the relation from an object of a type to the object that contains it, or "" if the type has no such
// relation.
type Place func(authz.Type) authz.Relation

// account is the type whose history people read.
const account authz.Type = "account"

// keyOf returns a reference as stored in the log's tables. The id is encoded as in SpiceDB, so "*" is always the
// wildcard.
func keyOf(r Reference) string {
	key := string(r.Type) + ":*"
	if !r.Wildcard {
		key = string(r.Type) + ":" + authz.EncodeID(r.ID)
	}
	if r.Relation != "" {
		key += "#" + string(r.Relation)
	}
	return key
}

func keyOfObject(o authz.Object) string { return keyOf(Reference{Object: o}) }

// referenceOf is the inverse of keyOf.
func referenceOf(key string) Reference {
	typ, rest, _ := strings.Cut(key, ":")
	id, relation, _ := strings.Cut(rest, "#")
	if id == "*" {
		return Reference(authz.Everybody(authz.Type(typ)))
	}
	object := authz.Object{Type: authz.Type(typ), ID: authz.DecodeID(authz.Type(typ), id)}
	return Reference{Object: object, Relation: authz.Relation(relation)}
}

// termsOf returns the search terms of an entry. The entry's updates must not be in the log's tables yet.
func (b *batch) termsOf(e Entry) (map[term]bool, error) {
	return b.termIndexer().termsOf(e)
}

func (b *batch) termIndexer() termIndexer { return termIndexer{b.place, b.placesOf, b.existing} }

// termIndexer computes search terms.
type termIndexer struct {
	place Place
	// placesOf returns the objects that contain an object, as it was before the entry.
	placesOf func(authz.Object, authz.Relation) ([]authz.Object, error)
	// existing returns the objects that had a relationship before the entry. A relationship that expires by the given
	// time does not count.
	existing func([]authz.Object, time.Time) (map[authz.Object]bool, error)
}

// placesOf returns the objects that contain an object, according to sluice_audit_present and to the current snapshot.
func (b *batch) placesOf(object authz.Object, relation authz.Relation) (places []authz.Object, err error) {
	for _, table := range []string{"sluice_audit_present", foundTable} {
		found,
			err := b.rows("SELECT resource, relation, subject, expires_at, caveat, context FROM "+table+
			" WHERE resource = $1 AND relation = $2",
			keyOfObject(object), string(relation))
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			places = append(places, u.Subject.Object)
		}
	}
	return places, nil
}

func (b termIndexer) termsOf(e Entry) (map[term]bool, error) {
	terms := make(map[term]bool)
	for _, origin := range e.Origins() {
		if origin.Actor != "" {
			terms[term{byActor, termValue(origin.Actor)}] = true
		}
		if origin.Operation != "" {
			terms[term{byOperation, termValue(origin.Operation)}] = true
		}
	}
	if e.Schema != "" {
		terms[term{byContent, string(Schema)}] = true
	}
	if e.Kind == Gap {
		terms[term{byContent, string(Gap)}] = true
	}
	if e.Kind == Unstored && len(e.Objects) == 0 {
		terms[term{byContent, string(Unstored)}] = true
	}
	places := make(map[authz.Object][]authz.Object) // containing objects that the entry itself adds or deletes
	resources := make(map[authz.Object]bool)
	for _, u := range e.Updates {
		terms[term{byResource, keyOfObject(u.Resource.Object)}] = true
		if !u.Subject.Wildcard {
			terms[term{bySubject, keyOfObject(u.Subject.Object)}] = true
		}
		resources[u.Resource.Object] = true
		if place := b.place(u.Resource.Type); place != "" && place == authz.Relation(u.Relation) {
			places[u.Resource.Object] = append(places[u.Resource.Object], u.Subject.Object)
		}
	}
	for _, object := range e.Objects {
		terms[term{byResource, keyOfObject(object.Object)}] = true
		resources[object.Object] = true
	}
	for resource := range resources {
		accounts, err := b.accountsOf(resource, places, 0)
		if err != nil {
			return nil, err
		}
		for _, id := range accounts {
			terms[term{byAccount, termValue(string(id))}] = true
		}
	}
	started, err := b.startedBy(e)
	if err != nil {
		return nil, err
	}
	for object := range started {
		terms[term{byStart, keyOfObject(object)}] = true
	}
	return terms, nil
}

// accountsOf returns the accounts that contain an object, or the object itself if it is an account. It considers
// relationships before the entry, in the entry, and in the current snapshot.
func (b termIndexer) accountsOf(
	object authz.Object, entry map[authz.Object][]authz.Object, depth int,
) (ids []authz.ID, err error) {
	if object.Type == account {
		return []authz.ID{object.ID}, nil
	}
	relation := b.place(object.Type)
	if relation == "" || depth > maxDepth {
		return nil, nil
	}
	places, err := b.placesOf(object, relation)
	if err != nil {
		return nil, err
	}
	places = append(places, entry[object]...)
	for _, place := range places {
		in, err := b.accountsOf(place, entry, depth+1)
		if err != nil {
			return nil, err
		}
		ids = append(ids, in...)
	}
	return ids, nil
}

// maxDepth limits how many levels of containing objects are followed, since another tool may have written a cycle.
const maxDepth = 8
