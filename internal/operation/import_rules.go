package operation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// ImportRules checks relationships before they are imported: each against the schema, and all together, with what is stored
// already, against the rules of the product that no operation can repair: docs/model.md. What expired counts for nothing, and
// what is being deleted is left out, so that the export of any store that follows the rules passes.
type ImportRules struct {
	definitions map[authz.Type]authz.Definition
	product     bool
	stored      func(ctx context.Context, object authz.Object) ([]authz.Relationship, error)
	now         time.Time

	objects  map[authz.Object]*importedObject
	order    []*importedObject
	problems []importProblem
}

// importedObject is an object that the rules are about.
type importedObject struct {
	authz.Object
	line     int // that names it first
	rows     []importedRow
	complete bool // rows holds the stored ones as well
	checked  bool
	facts    accountFacts // of an account or subscription once it is checked
	sound    bool         // the facts are known
}

// importedRow is a relationship of an object; its line is 0 if it is stored already.
type importedRow struct {
	line     int
	relation authz.Relation
	subject  authz.Subject
}

type importProblem struct {
	line int
	text string
}

// NewImportRules returns rules for a schema. The rules of the product count if it has the role sets. stored reads the
// relationships of an object in the target; it is nil if the target is empty.
func NewImportRules(definitions []authz.Definition, stored func(context.Context, authz.Object) ([]authz.Relationship, error)) *ImportRules {
	r := &ImportRules{
		definitions: make(map[authz.Type]authz.Definition), stored: stored, now: time.Now(), objects: make(map[authz.Object]*importedObject),
	}
	for _, d := range definitions {
		r.definitions[d.Type] = d
	}
	r.product = true
	for _, set := range authz.RoleSets {
		if set.Name != authz.PlatformSet && !slices.Contains(r.definitions[set.On].Relations, authz.Relation(set.Name)) {
			r.product = false
		}
	}
	return r
}

// references are the relations that the rules are about, beside every relation of subscriptions and accounts.
var references = map[authz.Type][]authz.Relation{
	"platform":         {authz.Relation(authz.RoleAdministrator)},
	deletionType:       {deletionBy},
	"importer":         {"account", "source", "destination"},
	"connection":       {"account", "connector", "member_of", "shared"},
	"connection_group": {"account"},
	"connector":        {"account", "catalogue"},
	"workspace":        {"account", "open"},
	"integration":      {"account"},
	"export":           {"account"},
	"report":           {"account"},
	"flow":             {"workspace"},
	"schedule":         {"workspace"},
	"service":          {"workspace"},
}

// Add takes the relationship of a line.
func (r *ImportRules) Add(line int, relationship authz.Relationship) {
	if !r.accepts(line, relationship) || !r.product {
		return
	}
	if !relationship.ExpiresAt.IsZero() && !relationship.ExpiresAt.After(r.now) {
		return
	}
	typ := relationship.Resource.Type
	relations, known := references[typ]
	if !known && typ != "subscription" && typ != "account" {
		return
	}
	object := r.object(relationship.Resource, line)
	if known && !slices.Contains(relations, relationship.Relation) {
		return
	}
	object.rows = append(object.rows, importedRow{line, relationship.Relation, relationship.Subject})
	if subject := relationship.Subject; !subject.Wildcard && subject.Type != user && subject.Type != "platform" {
		r.object(subject.Object, line)
	}
}

func (r *ImportRules) object(object authz.Object, line int) *importedObject {
	found, ok := r.objects[object]
	if !ok {
		found = &importedObject{Object: object, line: line}
		r.objects[object] = found
		r.order = append(r.order, found)
	}
	return found
}

// accepts holds a relationship to the schema.
func (r *ImportRules) accepts(line int, relationship authz.Relationship) bool {
	definition, ok := r.definitions[relationship.Resource.Type]
	if !ok {
		r.problem(line, "the schema has no type %s", relationship.Resource.Type)
		return false
	}
	accepted, ok := definition.Accepts[relationship.Relation]
	if !ok {
		r.problem(line, "the type %s has no relation %s", relationship.Resource.Type, relationship.Relation)
		return false
	}
	subject := relationship.Subject
	want := authz.SubjectType{
		Type: subject.Type, Relation: subject.Relation, Wildcard: subject.Wildcard, Caveat: relationship.Caveat,
		Expires: !relationship.ExpiresAt.IsZero(),
	}
	if !slices.Contains(accepted, want) {
		r.problem(line, "%s#%s does not accept %s", relationship.Resource.Type, relationship.Relation, describeSubject(want))
		return false
	}
	return true
}

func describeSubject(s authz.SubjectType) string {
	text := "the subject type " + string(s.Type)
	if s.Wildcard {
		text += ":*"
	}
	if s.Relation != "" {
		text += "#" + string(s.Relation)
	}
	if s.Caveat != "" {
		text += " with the caveat " + s.Caveat
	}
	if s.Expires {
		text += " with an expiration"
	}
	return text
}

func (r *ImportRules) problem(line int, format string, args ...any) {
	r.problems = append(r.problems, importProblem{line, fmt.Sprintf(format, args...)})
}

// Problems checks what was added and returns which line breaks which rule, in the order of the lines.
func (r *ImportRules) Problems(ctx context.Context) ([]error, error) {
	for i := 0; i < len(r.order); i++ { // checks add the objects that stored relationships refer to
		if err := r.check(ctx, r.order[i]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(r.problems, func(a, b importProblem) int { return a.line - b.line })
	errs := make([]error, len(r.problems))
	for i, p := range r.problems {
		errs[i] = authz.Errorf(authz.CodeInvalid, "line %d: %s", p.line, p.text)
	}
	return errs, nil
}

func (r *ImportRules) check(ctx context.Context, o *importedObject) error {
	if o.checked || o.Type == deletionType {
		return nil
	}
	o.checked = true
	if err := r.complete(ctx, o); err != nil {
		return err
	}
	deleted, err := r.isDeleted(ctx, o)
	if err != nil || deleted {
		return err
	}
	switch o.Type {
	case "platform":
		if o.Object != platform {
			r.problem(o.line, "there is one platform, %s, not %s", platform, o.Object)
		}
	case "subscription":
		r.checkSubscription(o)
	case "account":
		return r.checkAccount(ctx, o)
	default:
		if _, known := references[o.Type]; known {
			return r.checkPart(ctx, o)
		}
	}
	return nil
}

// complete adds the stored relationships of an object.
func (r *ImportRules) complete(ctx context.Context, o *importedObject) error {
	if o.complete || r.stored == nil {
		return nil
	}
	o.complete = true
	found, err := r.stored(ctx, o.Object)
	if err != nil {
		return err
	}
	for _, relationship := range found {
		if !relationship.ExpiresAt.IsZero() && !relationship.ExpiresAt.After(r.now) {
			continue
		}
		row := importedRow{0, relationship.Relation, relationship.Subject}
		if !slices.ContainsFunc(o.rows, func(other importedRow) bool { return other.relation == row.relation && other.subject == row.subject }) {
			o.rows = append(o.rows, row)
		}
	}
	return nil
}

// isDeleted reports whether the deletion of an object, or of a place that it is in, is under way.
func (r *ImportRules) isDeleted(ctx context.Context, o *importedObject) (bool, error) {
	deletion, ok := r.objects[deletionOf(o.Object)]
	if !ok && r.stored != nil {
		deletion, ok = r.object(deletionOf(o.Object), o.line), true
		if err := r.complete(ctx, deletion); err != nil {
			return false, err
		}
	}
	if ok && slices.ContainsFunc(deletion.rows, func(row importedRow) bool { return row.relation == deletionBy }) {
		return true, nil
	}
	if o.Type == "subscription" || kindOf(o.Type).place == "" {
		return false, nil
	}
	for _, row := range o.rows {
		if row.relation == kindOf(o.Type).place {
			place := r.object(row.subject.Object, o.line)
			if err := r.complete(ctx, place); err != nil {
				return false, err
			}
			return r.isDeleted(ctx, place)
		}
	}
	return false, nil
}

// only returns the one subject of a relation; none or several are a problem.
func (r *ImportRules) only(o *importedObject, relation authz.Relation) (authz.Object, bool) {
	var found []importedRow
	for _, row := range o.rows {
		if row.relation == relation {
			found = append(found, row)
		}
	}
	switch {
	case len(found) == 0:
		r.problem(o.line, "%s has no %s: it needs exactly one", o.Object, relation)
		return authz.Object{}, false
	case len(found) > 1:
		r.problem(lastLine(found), "%s has several %ss: %s and %s; it needs exactly one", o.Object, relation, found[0].subject, found[1].subject)
		return authz.Object{}, false
	}
	return found[0].subject.Object, true
}

// lastLine is the line of the last row that is imported.
func lastLine(rows []importedRow) (line int) {
	for _, row := range rows {
		line = max(line, row.line)
	}
	return line
}

// oneOf returns which one of several flags an object has; none or several are a problem.
func (r *ImportRules) oneOf(o *importedObject, what string, flags []string) (string, bool) {
	var found []string
	var rows []importedRow
	for _, row := range o.rows {
		if row.subject.Wildcard && slices.Contains(flags, string(row.relation)) {
			found, rows = append(found, string(row.relation)), append(rows, row)
		}
	}
	switch {
	case len(found) == 0:
		r.problem(o.line, "%s has no %s: it needs exactly one of %s", o.Object, what, strings.Join(flags, ", "))
		return "", false
	case len(found) > 1:
		r.problem(lastLine(rows), "%s has more than one %s: %s", o.Object, what, strings.Join(found, ", "))
		return "", false
	}
	return found[0], true
}
