// Package owntype decides which relationships callers may write directly, and not only through an operation of the
// product: those of the types that a company adds to the product's schema. It compares a relationship with the schema
// before anything is read or written.
package owntype

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
)

// Caveats describes the caveats of a schema.
type Caveats interface {
	// Names returns the names of the caveats, sorted.
	Names() []string

	// CheckStored returns an error with CodeInvalid if SpiceDB would change a number in values for the caveat's
	// parameter of the same name. The error has the path of the number in the request, which begins with field.
	CheckStored(caveat, field string, values map[string]any) error

	// CheckTypes returns an error with CodeInvalid unless each value of the context has the type of the caveat's
	// parameter with the same name. context is a JSON object.
	CheckTypes(caveat, context string) error
}

// Rules decide which relationships callers may write. Every error of their methods has CodeInvalid and says what is
// accepted.
type Rules struct {
	definitions map[authz.Type]authz.Definition
	product     map[authz.Type]bool
	own         []string // the types that are not the product's, sorted
	caveats     Caveats
}

// New returns the rules for a schema with these definitions and caveats. product lists the types of the product.
func New(definitions []authz.Definition, product []authz.Type, caveats Caveats) *Rules {
	r := &Rules{
		definitions: make(map[authz.Type]authz.Definition, len(definitions)),
		product:     make(map[authz.Type]bool, len(product)), caveats: caveats,
	}
	for _, typ := range product {
		r.product[typ] = true
	}
	for _, definition := range definitions {
		r.definitions[definition.Type] = definition
		if !r.product[definition.Type] {
			r.own = append(r.own, string(definition.Type))
		}
	}
	slices.Sort(r.own)
	return r
}

// IsProduct reports whether a type is one of the product's. It returns false for a type that the schema does not
// have.
func (r *Rules) IsProduct(typ authz.Type) bool { return r.product[typ] }

// CheckType returns an error unless callers may write relationships of a type.
func (r *Rules) CheckType(typ authz.Type) error {
	if r.product[typ] {
		return authz.Errorf(authz.CodeInvalid,
			"%s is a type of the product, and only the product's operations write its relationships; %s", typ, r.accepted())
	}
	return r.checkKnown(typ)
}

// checkKnown returns an error unless the schema has a type.
func (r *Rules) checkKnown(typ authz.Type) error {
	if _, known := r.definitions[typ]; known {
		return nil
	}
	return authz.Errorf(authz.CodeInvalid, "the schema has no type %q%s; %s", typ, similar.Hint(string(typ), r.own),
		r.accepted())
}

// accepted returns the end of an error message, with the types that callers may write.
func (r *Rules) accepted() string {
	if len(r.own) == 0 {
		return "the schema has no types of your own"
	}
	return "types of your own are " + List(r.own)
}

// CheckRelationship returns an error unless the schema accepts a relationship with its caveat and expiration. It does
// not check the context of the caveat.
func (r *Rules) CheckRelationship(relationship authz.Relationship) error {
	accepted, err := r.subjectTypes(relationship.Resource.Type, relationship.Relation)
	if err != nil {
		return err
	}
	for _, id := range []authz.ID{relationship.Resource.ID, relationship.Subject.ID} {
		if id.IsForeign() {
			return authz.Errorf(authz.CodeInvalid,
				"%q is an id that another tool stored; a relationship with this id can be deleted, but not written", string(id))
		}
	}
	want := subjectType(relationship.Subject)
	want.Caveat, want.Expires = relationship.Caveat, !relationship.ExpiresAt.IsZero()
	if slices.Contains(accepted, want) {
		return nil
	}
	return unaccepted(relationship, want, accepted)
}

// CheckDeletion returns an error unless the schema accepts a relationship. It ignores the caveat and the expiration.
func (r *Rules) CheckDeletion(relationship authz.Relationship) error {
	accepted, err := r.subjectTypes(relationship.Resource.Type, relationship.Relation)
	if err != nil {
		return err
	}
	want := subjectType(relationship.Subject)
	if slices.ContainsFunc(accepted, isKind(want)) {
		return nil
	}
	return unaccepted(relationship, want, accepted)
}

// CheckFilter returns an error unless the schema accepts a relationship that the filter selects. The filter has a
// resource, and may have a relation and a subject.
func (r *Rules) CheckFilter(filter authz.Filter) error {
	if err := r.checkKnown(filter.Type); err != nil {
		return err
	}
	relations := r.definitions[filter.Type].Relations
	if filter.Relation != "" {
		relations = []authz.Relation{filter.Relation}
	}
	var accepted []authz.SubjectType
	for _, relation := range relations {
		types, err := r.subjectTypes(filter.Type, relation)
		if err != nil {
			return err
		}
		accepted = append(accepted, types...)
	}
	want := authz.SubjectType{
		Type: filter.SubjectType, Relation: filter.SubjectRelation, Wildcard: filter.SubjectWildcard,
	}
	if filter.SubjectType == "" || slices.ContainsFunc(accepted, isKind(want)) {
		return nil
	}
	place := string(filter.Type)
	if filter.Relation != "" {
		place += "#" + string(filter.Relation)
	}
	return authz.Errorf(
		authz.CodeInvalid, "%s does not accept %s; it accepts %s", place, Describe(want), describeAll(accepted),
	)
}

// CheckCaveat returns an error unless the schema has a caveat.
func (r *Rules) CheckCaveat(name string) error {
	names := r.caveats.Names()
	switch {
	case slices.Contains(names, name):
		return nil
	case len(names) == 0:
		return authz.Errorf(authz.CodeInvalid, "the schema has no caveats")
	}
	return authz.Errorf(authz.CodeInvalid, "the schema has no caveat %q; its caveats are %s", name, List(names))
}

// CheckContext returns an error unless each value of a context fits the caveat's parameter of the same name. values is
// the decoded context, and text the same context as a JSON object. field is the path of the context in the request.
func (r *Rules) CheckContext(caveat, field string, values map[string]any, text string) error {
	if err := r.caveats.CheckStored(caveat, field, values); err != nil {
		return err
	}
	return r.caveats.CheckTypes(caveat, text)
}

// subjectTypes returns the kinds of subjects that a relation accepts. It returns an error if the type has no such
// relation.
func (r *Rules) subjectTypes(typ authz.Type, relation authz.Relation) ([]authz.SubjectType, error) {
	definition := r.definitions[typ]
	if accepted, known := definition.Accepts[relation]; known {
		return accepted, nil
	}
	problem := fmt.Sprintf("%s has no relation %q", typ, relation)
	if slices.ContainsFunc(definition.Permissions, func(p authz.PermissionInfo) bool {
		return string(p.Name) == string(relation)
	}) {
		problem = fmt.Sprintf("%s is a permission of %s, which is computed and not stored", relation, typ)
	}
	if len(definition.Relations) == 0 {
		return nil, authz.Errorf(authz.CodeInvalid, "%s; it has no relations", problem)
	}
	return nil, authz.Errorf(authz.CodeInvalid, "%s; its relations are %s", problem, List(definition.Relations))
}

func subjectType(subject authz.Subject) authz.SubjectType {
	return authz.SubjectType{Type: subject.Type, Relation: subject.Relation, Wildcard: subject.Wildcard}
}

// isKind returns a function that reports whether a kind of subject is want, apart from its caveat and expiration.
func isKind(want authz.SubjectType) func(authz.SubjectType) bool {
	return func(accepted authz.SubjectType) bool {
		accepted.Caveat, accepted.Expires = "", false
		return accepted == want
	}
}

func unaccepted(relationship authz.Relationship, given authz.SubjectType, accepted []authz.SubjectType) error {
	hint := ""
	if given.Wildcard && !slices.ContainsFunc(accepted, func(s authz.SubjectType) bool { return s.Wildcard }) {
		hint = fmt.Sprintf("; %s means everybody; a subject with the id * is {\"type\":%q,\"id\":\"*\"}",
			relationship.Subject, relationship.Subject.Type)
	}
	return authz.Errorf(authz.CodeInvalid, "%s#%s does not accept %s; it accepts %s%s", relationship.Resource.Type,
		relationship.Relation, Describe(given), describeAll(accepted), hint)
}

// Describe formats a kind of subject as in a schema, for example "user with expiration".
func Describe(s authz.SubjectType) string {
	text := string(s.Type)
	switch {
	case s.Wildcard:
		text += ":*"
	case s.Relation != "":
		text += "#" + string(s.Relation)
	}
	var traits []string
	if s.Caveat != "" {
		traits = append(traits, s.Caveat)
	}
	if s.Expires {
		traits = append(traits, "expiration")
	}
	if len(traits) > 0 {
		text += " with " + strings.Join(traits, " and ")
	}
	return text
}

func describeAll(types []authz.SubjectType) string {
	texts := make([]string, len(types))
	for i, typ := range types {
		texts[i] = Describe(typ)
	}
	slices.Sort(texts)
	return List(slices.Compact(texts))
}

// maxNamed is the largest number of names that List includes.
const maxNamed = 10

// List formats names for an error: the first maxNamed of them, and the number of the others.
func List[S ~string](names []S) string {
	parts := make([]string, min(len(names), maxNamed))
	for i := range parts {
		parts[i] = string(names[i])
	}
	text := strings.Join(parts, ", ")
	if more := len(names) - len(parts); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
