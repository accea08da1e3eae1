package audit

import (
	"strings"
	"unicode/utf8"

	"github.com/sluice-authz/sluice/internal/authz"
)

// mark is a word by which an entry is found.
type mark struct{ kind, value string }

// The kinds of marks.
const (
	byResource  = "resource"  // every object that an update is about
	bySubject   = "subject"   // every object that an update leads to
	byAccount   = "account"   // the accounts that the resources of the updates are in
	byActor     = "actor"     // who did it
	byOperation = "operation" // what they did
	byContent   = "content"   // that there is a schema in it, or a gap, or a placeholder that names no object
)

// maxWord is how long a word is in the log's tables: PostgreSQL's indexes take no more than some 2,700 bytes.
const maxWord = 1024

// word is a word in the log's tables, where one that is too long or that PostgreSQL takes for no text is a digest.
func word(value string) string {
	if len(value) <= maxWord && utf8.ValidString(value) && !strings.Contains(value, "\x00") {
		return value
	}
	return "sha256 " + hashOf([]byte(value))
}

// Place says in which relation objects of a type hold what they are in; empty if they are in nothing.
type Place func(authz.Type) authz.Relation

// account is the type of what history is kept apart for.
const account authz.Type = "account"

// keyOf is a reference in the log's tables, with the id in the form that SpiceDB stores, so that "*" is the wildcard alone.
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

// referenceOf undoes keyOf.
func referenceOf(key string) Reference {
	typ, rest, _ := strings.Cut(key, ":")
	id, relation, _ := strings.Cut(rest, "#")
	if id == "*" {
		return Reference(authz.Everybody(authz.Type(typ)))
	}
	object := authz.Object{Type: authz.Type(typ), ID: authz.DecodeID(authz.Type(typ), id)}
	return Reference{Object: object, Relation: authz.Relation(relation)}
}

// marksOf are the marks of an entry whose updates have not been applied yet.
func (b *batch) marksOf(e Entry) (map[mark]bool, error) {
	return marker{b.place, b.placesOf}.marksOf(e)
}

// marker derives marks from entries.
type marker struct {
	place    Place
	placesOf func(authz.Object, authz.Relation) ([]authz.Object, error) // what an object is in, before the entry
}

// placesOf are the places of an object by the relationships that are there, and by those that a snapshot has just found.
func (b *batch) placesOf(object authz.Object, relation authz.Relation) (places []authz.Object, err error) {
	for _, table := range []string{"sluice_audit_present", foundTable} {
		found, err := b.rows("SELECT resource, relation, subject, expires_at, caveat, context FROM "+table+" WHERE resource = $1 AND relation = $2",
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

func (b marker) marksOf(e Entry) (map[mark]bool, error) {
	marks := make(map[mark]bool)
	for _, origin := range e.Origins() {
		if origin.Actor != "" {
			marks[mark{byActor, word(origin.Actor)}] = true
		}
		if origin.Operation != "" {
			marks[mark{byOperation, word(origin.Operation)}] = true
		}
	}
	if e.Schema != "" {
		marks[mark{byContent, string(Schema)}] = true
	}
	if e.Kind == Gap {
		marks[mark{byContent, string(Gap)}] = true
	}
	if e.Kind == Unstored && len(e.Objects) == 0 {
		marks[mark{byContent, string(Unstored)}] = true
	}
	places := make(map[authz.Object][]authz.Object) // that the entry itself gives or takes
	resources := make(map[authz.Object]bool)
	for _, u := range e.Updates {
		marks[mark{byResource, keyOfObject(u.Resource.Object)}] = true
		if !u.Subject.Wildcard {
			marks[mark{bySubject, keyOfObject(u.Subject.Object)}] = true
		}
		resources[u.Resource.Object] = true
		if place := b.place(u.Resource.Type); place != "" && place == authz.Relation(u.Relation) {
			places[u.Resource.Object] = append(places[u.Resource.Object], u.Subject.Object)
		}
	}
	for _, object := range e.Objects {
		marks[mark{byResource, keyOfObject(object.Object)}] = true
		resources[object.Object] = true
	}
	for resource := range resources {
		accounts, err := b.accountsOf(resource, places, 0)
		if err != nil {
			return nil, err
		}
		for _, id := range accounts {
			marks[mark{byAccount, word(string(id))}] = true
		}
	}
	return marks, nil
}

// accountsOf are the accounts that an object is in, or is: by the relationships that are there, by those that a snapshot has
// just found, and by those that an entry brings or takes.
func (b marker) accountsOf(
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

// maxDepth is how many places within places are looked through, should another tool have written a circle.
const maxDepth = 8
