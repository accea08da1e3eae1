package authz

import "strings"

// serviceAccountPrefix begins the Actor of a service account.
const serviceAccountPrefix = string(TypeServiceAccount) + ":"

// Actor names the person or service account on whose behalf a call is performed. It is the id of a person, for
// example "bob", or the reference to a service account, for example "service_account:nightly". No id begins with
// "service_account:", so the two forms cannot be confused. An empty Actor means that the backend itself performs the
// call.
type Actor string

// ParseActor parses an actor in a request. "bob" and "user:bob" stand for the same person. The error has code
// CodeInvalid.
func ParseActor(s string) (Actor, error) {
	holder, err := ParseHolder(s)
	if err == nil && holder.Type == TypeGroup {
		err = Errorf(CodeInvalid, "%q cannot act: write the id of a person, or service_account:ID", s)
	}
	if err != nil {
		return "", err
	}
	return ActorOf(holder.Object()), nil
}

// ActorOf returns the Actor that names a person or service account.
func ActorOf(object Object) Actor {
	if object.Type == TypeServiceAccount {
		return Actor(object.String())
	}
	return Actor(object.ID)
}

// Object returns the object of the person or service account. For an empty Actor, it returns an object of the type
// user without an id.
func (a Actor) Object() Object {
	if id, found := strings.CutPrefix(string(a), serviceAccountPrefix); found {
		return Object{TypeServiceAccount, ID(id)}
	}
	return Object{TypeUser, ID(a)}
}

// Subject returns the person or service account as the subject of relationships and checks.
func (a Actor) Subject() Subject { return Subject{Object: a.Object()} }

// Person returns the id of a person. It is empty for a service account and for an empty actor.
func (a Actor) Person() ID {
	if a.IsServiceAccount() {
		return ""
	}
	return ID(a)
}

// IsServiceAccount reports whether the actor is a service account.
func (a Actor) IsServiceAccount() bool { return strings.HasPrefix(string(a), serviceAccountPrefix) }
