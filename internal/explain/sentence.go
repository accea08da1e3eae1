package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// isFlag reports whether a relationship stores the role set of an object. Explanations omit such relationships, since
// they only matter inside the schema.
func isFlag(r authz.Relationship) bool {
	return r.Subject.Wildcard && slices.ContainsFunc(authz.RoleSets, func(set authz.RoleSet) bool {
		return set.On == r.Resource.Type && authz.Relation(set.Name) == r.Relation
	})
}

// withoutFlags removes the relationships that store role sets (flags) from a path. It also removes a relationship
// that leads to another object, if the path has only flags of this object.
func withoutFlags(path []authz.Relationship) []authz.Relationship {
	hasOthers := make(map[authz.Object]bool) // false for an object of which the path has only flags
	for _, r := range path {
		hasOthers[r.Resource] = hasOthers[r.Resource] || !isFlag(r)
	}
	return slices.DeleteFunc(slices.Clone(path), func(r authz.Relationship) bool {
		others, known := hasOthers[r.Subject.Object]
		return isFlag(r) || !r.Subject.Wildcard && known && !others
	})
}

// phrase is a sentence that states a relationship in words. In format, %[1]s stands for the resource, %[2]s for the
// subject and %[3]s for the verb.
type phrase struct {
	format string
	verb   verb
}

// verb has the two forms of a verb in a phrase: one for a stored relationship, and one for a missing relationship.
type verb struct{ positive, negative string }

var (
	be      = verb{"is", "is not"}
	mayVerb = verb{"may", "may not"}
	offer   = verb{"offers", "does not offer"}
	inPlace = phrase{"%[1]s %[3]s in %[2]s", be}
)

// phrases has the phrases for relations of the product. A key consists of the resource's type and the relation.
var phrases = withSimpleTypes(map[string]phrase{
	"account subscription":                    {"%[1]s %[3]s to %[2]s", verb{"belongs", "does not belong"}},
	"subscription platform":                   {"%[1]s %[3]s on the %[2]s", be},
	"importer account":                        inPlace,
	"connection account":                      inPlace,
	"workspace account":                       inPlace,
	"connector account":                       {"%[1]s %[3]s built by %[2]s", verb{"was", "was not"}},
	"importer creator":                        {"%[2]s %[3]s %[1]s", verb{"created", "did not create"}},
	"connection creator":                      {"%[2]s %[3]s %[1]s", verb{"created", "did not create"}},
	"connection shared":                       {"%[1]s %[3]s shared with %[2]s", be},
	"connection shared_with":                  {"%[1]s %[3]s shared with %[2]s", be},
	"connection connector":                    {"%[1]s %[3]s %[2]s", verb{"uses", "does not use"}},
	"connector catalogue":                     {"%[1]s %[3]s part of the catalogue", be},
	"connector capability_views":              {"%[1]s %[3]s views", offer},
	"workspace open":                          {"%[1]s %[3]s open to %[2]s", be},
	"workspace member":                        {"%[2]s %[3]s enter %[1]s", mayVerb},
	"subscription members_create_accounts":    {"members of %[1]s %[3]s create accounts", mayVerb},
	"connector capability_financial_settings": {"%[1]s %[3]s financial settings", offer},
	"connector capability_postgres_database":  {"%[1]s %[3]s a Postgres database", offer},
})

func withSimpleTypes(phrases map[string]phrase) map[string]phrase {
	for _, typ := range authz.SimpleTypes {
		phrases[string(typ.Name)+" "+string(typ.Place)] = inPlace
	}
	return phrases
}

// sentence states in words that a relationship is stored. It adds the name of the caveat.
func (i *inquiry) sentence(r authz.Relationship) string {
	text := i.state(r, func(v verb) string { return v.positive })
	if r.Caveat != "" {
		text += ", on the condition " + r.Caveat
	}
	return text
}

// negativeSentence states in words that a relationship is not stored.
func (i *inquiry) negativeSentence(r authz.Relationship) string {
	return i.state(r, func(v verb) string { return v.negative })
}

// state returns a sentence about a relationship. The function form selects one of the two forms of the verb.
func (i *inquiry) state(r authz.Relationship, form func(verb) string) string {
	wording, known := phrases[string(r.Resource.Type)+" "+string(r.Relation)]
	switch {
	case known && i.operations != nil:
	case i.isGroup(r.Subject) && i.isRole(r):
		wording = phrase{"%[2]s %[3]s " + authz.WithArticle(words(r.Relation)) + " of %[1]s", be}
		return fmt.Sprintf(
			wording.format, nameObject(r.Resource), nameObject(r.Subject.Object), form(wording.verb),
		)
	case r.Subject != i.check.Subject && !r.Subject.Wildcard:
		wording = phrase{words(r.Relation) + " of %[1]s %[3]s %[2]s", be}
	case i.isRole(r):
		wording = phrase{"%[2]s %[3]s " + authz.WithArticle(words(r.Relation)) + " of %[1]s", be}
	default:
		wording = phrase{"%[2]s %[3]s " + words(r.Relation) + " of %[1]s", be}
	}
	return fmt.Sprintf(wording.format, nameObject(r.Resource), nameSubject(r.Subject), form(wording.verb))
}

// isRole reports whether a relationship stores that its subject holds a role of the product.
func (i *inquiry) isRole(r authz.Relationship) bool {
	return i.operations != nil && !r.Subject.Wildcard &&
		slices.ContainsFunc(authz.RoleSets, func(set authz.RoleSet) bool {
			_, found := set.Role(authz.Role(r.Relation))
			return set.On == r.Resource.Type && found
		})
}

// isGroup reports whether a subject has the form group:ID#member. In this form, a group of the product holds roles.
func (i *inquiry) isGroup(s authz.Subject) bool {
	holder, isHolder := authz.HolderOf(s)
	return i.operations != nil && isHolder && holder.Type == authz.TypeGroup
}

// words replaces the underscores of a schema name by spaces.
func words[S ~string](name S) string { return strings.ReplaceAll(string(name), "_", " ") }

func nameObject(o authz.Object) string { return words(o.Type) + " " + nameID(o.ID) }

// nameSubject returns a subject in words. A user is named by the id alone, without the type.
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

// nameID returns an id. It adds quotes if the id has spaces, quotes or unprintable characters.
func nameID(id authz.ID) string {
	if strings.ContainsFunc(string(id), func(r rune) bool { return r == ' ' || r == '"' || !strconv.IsPrint(r) }) {
		return strconv.Quote(string(id))
	}
	return string(id)
}

// verdict returns the decision in words.
func (i *inquiry) verdict() string {
	resource := nameObject(i.check.Resource)
	who, what := nameSubject(i.check.Subject), fmt.Sprintf("the permission %s on %s", i.check.Permission, resource)
	has, lacks := "has", "lacks"
	if slices.Contains(i.schema[i.check.Resource.Type].Relations, authz.Relation(i.check.Permission)) {
		what = fmt.Sprintf("in the relation %s of %s", i.check.Permission, resource)
		has, lacks = "is", "is not"
	}
	switch {
	case i.decision.Allowed():
		return fmt.Sprintf("%s %s %s", who, has, what)
	case i.decision.State == authz.Conditional:
		missing := strings.Join(i.decision.MissingContext, ", ")
		return fmt.Sprintf("whether %s %s %s depends on missing context: %s", who, has, what, missing)
	case i.check.Subject.Relation != "":
		// The subject is a set of subjects, such as the members of a group. SpiceDB decides about the set as one
		// subject. A member may still have the permission, for example through a wildcard, which counts for users but
		// not for such a set.
		return fmt.Sprintf("%s, as one subject, %s %s; the answer for each member may differ", who, lacks, what)
	}
	return fmt.Sprintf("%s %s %s", who, lacks, what)
}
