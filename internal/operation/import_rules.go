package operation

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// ImportRules checks relationships before they are imported: each against the schema, and all of them, together with
// the stored relationships, against productRules. It ignores expired relationships and objects that are being deleted.
// So it accepts every state that operations write, including the state of an interrupted operation.
type ImportRules struct {
	// AcceptForeignIDs accepts ids that only another tool can have stored, see authz.ID.
	AcceptForeignIDs bool

	rules       []productRule
	current     string // the name of the rule that is being checked
	definitions map[authz.Type]authz.Definition
	product     bool
	lines       map[[16]byte]int // the line of each relationship, by the hash of its text
	stored      func(ctx context.Context, object authz.Object) ([]authz.Relationship, error)
	now         time.Time

	objects map[authz.Object]*importedObject
	order   []*importedObject
	peeked  map[authz.Object]*importedObject // deletions and offboardings that no line names
	slots   map[authz.Object]authz.Object    // the custom role in each slot
	// ended maps each object to the people whose relationship with it has expired.
	ended    map[authz.Object][]authz.ID
	problems []importProblem
}

// importedObject is an object that the rules check.
type importedObject struct {
	authz.Object
	// line is the first line that names the object.
	line     int
	rows     []importedRow
	complete bool          // rows contains the stored relationships too
	factsOf  *accountFacts // see ImportRules.facts
}

// importedRow is a relationship of an object. Its line is 0 if it is stored already.
type importedRow struct {
	line     int
	relation authz.Relation
	subject  authz.Subject
	// ends is set if the relationship has an expiration.
	ends bool
}

type importProblem struct {
	line       int
	text, rule string
}

// NewImportRules returns rules for a schema. The product's rules apply if the schema has the role sets. stored reads
// the stored relationships of an object; it is nil if nothing is stored yet.
func NewImportRules(
	definitions []authz.Definition, stored func(context.Context, authz.Object) ([]authz.Relationship, error),
) *ImportRules {
	r := &ImportRules{
		rules: productRules, definitions: make(map[authz.Type]authz.Definition), stored: stored, now: time.Now(),
		lines: make(map[[16]byte]int), objects: make(map[authz.Object]*importedObject),
		peeked: make(map[authz.Object]*importedObject), ended: make(map[authz.Object][]authz.ID),
		slots: make(map[authz.Object]authz.Object),
	}
	for _, d := range definitions {
		r.definitions[d.Type] = d
	}
	r.product = IsProduct(definitions)
	return r
}

// IsProduct reports whether a schema is the product's, perhaps with more types: whether it has the role sets.
func IsProduct(definitions []authz.Definition) bool {
	relations := make(map[authz.Type][]authz.Relation)
	for _, d := range definitions {
		relations[d.Type] = d.Relations
	}
	return !slices.ContainsFunc(authz.RoleSets, func(set authz.RoleSet) bool {
		return set.Name != authz.PlatformSet && !slices.Contains(relations[set.On], authz.Relation(set.Name))
	})
}

// Add adds the relationship of a line. It returns false if the schema does not accept the relationship, or an earlier
// line has it.
func (r *ImportRules) Add(line int, relationship authz.Relationship) bool {
	r.current = "schema"
	if !r.accepts(line, relationship) || r.repeats(line, relationship) {
		return false
	}
	if !r.product {
		return true
	}
	for _, rule := range r.rules {
		if r.current = rule.name; rule.checkRow != nil {
			rule.checkRow(r, line, relationship)
		}
	}
	if isOfProduct(relationship.Resource.Type) {
		r.addOfProduct(line, relationship)
	}
	return true
}

// repeats reports a problem and returns true if an earlier line has the relationship, perhaps with another caveat or
// expiration. SpiceDB rejects a write that has a relationship twice.
func (r *ImportRules) repeats(line int, relationship authz.Relationship) bool {
	hash := sha256.Sum256([]byte(relationship.String()))
	key := [16]byte(hash[:])
	first, isKnown := r.lines[key]
	if !isKnown {
		r.lines[key] = line
		return false
	}
	r.current = "no repetition"
	r.problem(line, "%s repeats line %d", relationship, first)
	return true
}

// addOfProduct adds a relationship of the product's types.
func (r *ImportRules) addOfProduct(line int, relationship authz.Relationship) {
	subject := relationship.Subject
	if !relationship.ExpiresAt.IsZero() && !relationship.ExpiresAt.After(r.now) {
		if isPerson(subject) {
			r.ended[relationship.Resource] = append(r.ended[relationship.Resource], subject.ID)
		}
		return
	}
	object := r.object(relationship.Resource, line)
	object.rows = append(object.rows, importedRow{line, relationship.Relation, subject, !relationship.ExpiresAt.IsZero()})
	if isReference(relationship) {
		r.object(subject.Object, line)
	}
}

// isReference reports whether the subject of a relationship must be a stored object.
func isReference(r authz.Relationship) bool {
	switch r.Subject.Type {
	// An invitation can expire before the relationship that refers to it.
	case user, platform.Type, roleType, requestType, invitationType:
		return false
	default:
		return !r.Subject.Wildcard
	}
}

// isOfProduct reports whether only operations write the relationships of objects of the type.
func isOfProduct(t authz.Type) bool { return Writes(t) || t == idempotencyType }

func (r *ImportRules) object(object authz.Object, line int) *importedObject {
	found, ok := r.objects[object]
	if !ok {
		found = &importedObject{Object: object, line: line}
		r.objects[object] = found
		r.order = append(r.order, found)
	}
	return found
}

// peek reads an object without adding it to the objects that the rules check.
func (r *ImportRules) peek(ctx context.Context, object authz.Object, line int) (*importedObject, error) {
	found, ok := r.objects[object]
	if !ok {
		if found, ok = r.peeked[object]; !ok {
			found = &importedObject{Object: object, line: line}
			r.peeked[object] = found
		}
	}
	return found, r.complete(ctx, found)
}

// accepts reports a problem and returns false if the schema does not accept a relationship.
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
	r.problems = append(r.problems, importProblem{line, fmt.Sprintf(format, args...), r.current})
}

// AddProblem adds a problem of a line that another package found. The error must have a message for the user.
func (r *ImportRules) AddProblem(line int, rule string, err error) {
	r.problems = append(r.problems, importProblem{line, messageOf(err), rule})
}

// Problems checks the added relationships. It returns one error per violation, with the line and the rule, sorted by
// line.
func (r *ImportRules) Problems(ctx context.Context) ([]error, error) {
	for i := 0; i < len(r.order); i++ { // r.order grows: checks append objects that stored relationships refer to
		if err := r.check(ctx, r.order[i]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(r.problems, func(a, b importProblem) int { return a.line - b.line })
	errs := make([]error, len(r.problems))
	for i, p := range r.problems {
		errs[i] = authz.Errorf(authz.CodeInvalid, "line %d: %s (rule %s)", p.line, p.text, p.rule)
	}
	return errs, nil
}

func (r *ImportRules) check(ctx context.Context, o *importedObject) error {
	if err := r.complete(ctx, o); err != nil {
		return err
	}
	deleted, err := r.isDeleted(ctx, o)
	if err != nil || deleted {
		return err
	}
	for _, rule := range r.rules {
		if rule.check == nil || !slices.Contains(rule.types, o.Type) {
			continue
		}
		r.current = rule.name
		if err := rule.check(ctx, r, o); err != nil {
			return err
		}
	}
	return nil
}

// facts returns the facts about the account or subscription of an object. ok is false if the facts are missing or
// ambiguous, which other rules report, or if the object is being deleted.
func (r *ImportRules) facts(ctx context.Context, o *importedObject) (accountFacts, bool, error) {
	if o.factsOf != nil {
		return *o.factsOf, o.factsOf.object.ID != "", nil
	}
	o.factsOf = &accountFacts{}
	if err := r.complete(ctx, o); err != nil {
		return accountFacts{}, false, err
	}
	deleted, err := r.isDeleted(ctx, o)
	if err != nil || deleted {
		return accountFacts{}, false, err
	}
	set, isSet := roleSetIn(o)
	if o.Type == "subscription" {
		if isSet {
			o.factsOf = &accountFacts{object: o.Object, subscription: subscriptionFacts{object: o.Object, set: set}}
		}
		return *o.factsOf, isSet, nil
	}
	places := o.subjects(kindOf(o.Type).place)
	if len(places) != 1 || o.Type == "account" && !isSet {
		return accountFacts{}, false, nil
	}
	facts, ok, err := r.facts(ctx, r.object(places[0].subject.Object, o.line))
	if err != nil || !ok {
		return accountFacts{}, false, err
	}
	if o.Type == "account" {
		facts.object, facts.set = o.Object, set
	}
	o.factsOf = &facts
	return facts, true, nil
}

// roleSetIn returns the role set of a subscription or account. ok is false if the object has none or several.
func roleSetIn(o *importedObject) (set authz.RoleSet, ok bool) {
	found := 0
	for _, s := range authz.RoleSets {
		if s.On == o.Type && s.Name != authz.PlatformSet && len(o.subjects(authz.Relation(s.Name))) > 0 {
			set, found = s, found+1
		}
	}
	return set, found == 1
}

// subjects returns the rows of a relation.
func (o *importedObject) subjects(relation authz.Relation) (rows []importedRow) {
	for _, row := range o.rows {
		if row.relation == relation {
			rows = append(rows, row)
		}
	}
	return rows
}

// has reports whether a person is a subject of any relation of the object.
func (o *importedObject) has(who authz.ID) bool {
	return slices.ContainsFunc(
		o.rows, func(row importedRow) bool { return isPerson(row.subject) && row.subject.ID == who },
	)
}

// had reports whether a person is, or before an expiration was, a subject of any relation of the object.
func (r *ImportRules) had(o *importedObject, who authz.ID) bool {
	return o.has(who) || slices.Contains(r.ended[o.Object], who)
}

func isPerson(s authz.Subject) bool { return s.Type == user && !s.Wildcard }

// at returns the line of a row. A stored row has no line; then it returns the first line that names the object.
func (o *importedObject) at(row importedRow) int {
	if row.line > 0 {
		return row.line
	}
	return o.line
}

// isLeaving reports whether a person is being removed.
func (r *ImportRules) isLeaving(ctx context.Context, who authz.ID, line int) (bool, error) {
	d, err := r.peek(ctx, offboardingObject(who), line)
	return len(d.subjects(offboardingFrom)) > 0, err
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
		row := importedRow{0, relationship.Relation, relationship.Subject, !relationship.ExpiresAt.IsZero()}
		if !slices.ContainsFunc(
			o.rows, func(other importedRow) bool { return other.relation == row.relation && other.subject == row.subject },
		) {
			o.rows = append(o.rows, row)
		}
	}
	return nil
}

// isDeleted reports whether an object, or an object that contains it, is being deleted.
func (r *ImportRules) isDeleted(ctx context.Context, o *importedObject) (bool, error) {
	deletion, err := r.peek(ctx, deletionOf(o.Object), o.line)
	if err != nil || len(deletion.subjects(deletionRequestedBy)) > 0 {
		return err == nil, err
	}
	if o.Type == "subscription" || kindOf(o.Type).place == "" {
		return false, nil
	}
	for _, row := range o.rows {
		if row.relation == kindOf(o.Type).place && row.subject.Type != platform.Type {
			place := r.object(row.subject.Object, o.line)
			if err := r.complete(ctx, place); err != nil {
				return false, err
			}
			return r.isDeleted(ctx, place)
		}
	}
	return false, nil
}

// lastLine returns the highest line of the rows; 0 if all are stored.
func lastLine(rows []importedRow) (line int) {
	for _, row := range rows {
		line = max(line, row.line)
	}
	return line
}
