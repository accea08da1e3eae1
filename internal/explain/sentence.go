package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// isMark reports whether a relationship says which role set an object speaks, which matters to the schema alone.
func isMark(r authz.Relationship) bool {
	return r.Subject.Wildcard && slices.ContainsFunc(authz.RoleSets, func(set authz.RoleSet) bool {
		return set.On == r.Resource.Type && authz.Relation(set.Name) == r.Relation
	})
}

// withoutMarks leaves out the marks, and what leads to nothing else.
func withoutMarks(chain []authz.Relationship) []authz.Relationship {
	leadsOn := make(map[authz.Object]bool) // an object with marks alone is false
	for _, r := range chain {
		leadsOn[r.Resource] = leadsOn[r.Resource] || !isMark(r)
	}
	return slices.DeleteFunc(slices.Clone(chain), func(r authz.Relationship) bool {
		on, known := leadsOn[r.Subject.Object]
		return isMark(r) || !r.Subject.Wildcard && known && !on
	})
}

// phrases say what a relationship of the product means: %[1]s is the resource, %[2]s the subject.
var phrases = map[string]string{
	"account subscription":                 "%[1]s belongs to %[2]s",
	"subscription platform":                "%[1]s is on the %[2]s",
	"importer account":                     "%[1]s is in %[2]s",
	"connection account":                   "%[1]s is in %[2]s",
	"workspace account":                    "%[1]s is in %[2]s",
	"integration account":                  "%[1]s is in %[2]s",
	"export account":                       "%[1]s is in %[2]s",
	"report account":                       "%[1]s is in %[2]s",
	"connector account":                    "%[1]s was built by %[2]s",
	"flow workspace":                       "%[1]s is in %[2]s",
	"schedule workspace":                   "%[1]s is in %[2]s",
	"service workspace":                    "%[1]s is in %[2]s",
	"importer creator":                     "%[2]s created %[1]s",
	"connection creator":                   "%[2]s created %[1]s",
	"connection shared":                    "%[1]s is shared with %[2]s",
	"connection shared_with":               "%[1]s is shared with %[2]s",
	"connection connector":                 "%[1]s is one of %[2]s",
	"connector catalogue":                  "%[1]s is part of the catalogue",
	"connector offers_views":               "%[1]s offers views",
	"workspace open":                       "%[1]s is open to %[2]s",
	"workspace entrant":                    "%[2]s may enter %[1]s",
	"subscription members_create_accounts": "members of %[1]s create accounts",
	"connector offers_financial_settings":  "%[1]s offers financial settings",
	"connector offers_postgres_database":   "%[1]s offers a Postgres database",
}

// sentence says what a relationship means.
func (i *inquiry) sentence(r authz.Relationship) string {
	phrase, known := phrases[string(r.Resource.Type)+" "+string(r.Relation)]
	switch {
	case known && i.operations != nil:
	case r.Subject == i.check.Subject || r.Subject.Wildcard:
		phrase = "%[2]s is " + words(r.Relation) + " of %[1]s"
	default:
		phrase = words(r.Relation) + " of %[1]s is %[2]s"
	}
	text := fmt.Sprintf(phrase, nameObject(r.Resource), nameSubject(r.Subject))
	if r.Caveat != "" {
		text += ", on the condition " + r.Caveat
	}
	return text
}

// words writes a name of the schema as people read it.
func words[S ~string](name S) string { return strings.ReplaceAll(string(name), "_", " ") }

func nameObject(o authz.Object) string { return words(o.Type) + " " + nameID(o.ID) }

// nameSubject names people by their ids alone.
func nameSubject(s authz.Subject) string {
	switch {
	case s.Wildcard:
		return "every " + words(s.Type)
	case s.Relation != "":
		return "every " + words(s.Relation) + " of " + nameObject(s.Object)
	case s.Type == "user":
		return nameID(s.ID)
	}
	return nameObject(s.Object)
}

// nameID quotes an id that would not be read as a word of the sentence.
func nameID(id authz.ID) string {
	if strings.ContainsFunc(string(id), func(r rune) bool { return r == ' ' || r == '"' || !strconv.IsPrint(r) }) {
		return strconv.Quote(string(id))
	}
	return string(id)
}

// article puts a or an before a word.
func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) && !strings.HasPrefix(word, "us") {
		return "an " + word
	}
	return "a " + word
}

// verdict says the answer.
func (i *inquiry) verdict() string {
	who, what := nameSubject(i.check.Subject), fmt.Sprintf("the permission %s on %s", i.check.Permission, nameObject(i.check.Resource))
	has, lacks := "has", "lacks"
	if slices.Contains(i.schema[i.check.Resource.Type].Relations, authz.Relation(i.check.Permission)) {
		what = fmt.Sprintf("in the relation %s of %s", i.check.Permission, nameObject(i.check.Resource))
		has, lacks = "is", "is not"
	}
	switch {
	case i.decision.Allowed():
		return fmt.Sprintf("%s %s %s", who, has, what)
	case i.check.Subject.Relation != "":
		// SpiceDB was asked about the group, which is not to ask about each who is in it: a mark holds every user, and no group.
		return fmt.Sprintf("%s as one subject %s %s, whatever each of them may", who, lacks, what)
	}
	return fmt.Sprintf("%s %s %s", who, lacks, what)
}
