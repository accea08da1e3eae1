package visibility

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Reader describes who receives an answer: a person, a service account, or a backend with an API key.
type Reader struct {
	Subject authz.Subject

	// All is set if the reader may see everything, for example an API key with the scope inspect.
	All bool
}

// Check reports for each check whether it is allowed. The implementation chooses the snapshot. If one check fails,
// the implementation can return an error, or report that this check is denied.
type Check func(ctx context.Context, checks []authz.Check) (allowed []bool, err error)

// HideUndecided returns a Check that reports a failed check as denied. It calls bulk to decide the checks, and bulk
// chooses the snapshot.
func HideUndecided(bulk func(context.Context, []authz.Check) ([]authz.CheckResult, error)) Check {
	return func(ctx context.Context, checks []authz.Check) ([]bool, error) {
		results, err := bulk(ctx, checks)
		if err != nil {
			return nil, err
		}
		allowed := make([]bool, len(results))
		for i, result := range results {
			allowed[i] = result.Err == nil && result.Decision.Allowed()
		}
		return allowed, nil
	}
}

// maxChecks is the maximum number of checks in one call of Check.
const maxChecks = 1000

// View decides which facts one reader may see. It keeps the results of its checks, so use it for one request and one
// snapshot only. It is not safe for concurrent use.
type View struct {
	rules  Rules
	reader Reader
	check  Check
	known  map[Fact]bool

	places Places
	read   PlaceReader
}

// New returns a View for a reader.
func New(rules Rules, reader Reader, check Check) *View {
	return &View{rules: rules, reader: reader, check: check, known: make(map[Fact]bool), places: make(Places)}
}

// WithPlaces sets the function with which the View reads the objects that contain an object. Without it, the View
// hides all people in the relations of objects of own types.
func (v *View) WithPlaces(read PlaceReader) *View {
	v.read = read
	return v
}

// ReadPlaces reads which objects contain the given objects, for those of own types. Call it before FactsOf.
func (v *View) ReadPlaces(ctx context.Context, objects ...authz.Object) error {
	for _, object := range objects {
		if !v.rules.isOwn(object.Type) {
			continue
		}
		if v.read == nil {
			v.places[object] = []authz.Object{unreadable}
		} else if err := v.places.readPlaces(ctx, v.rules, object, v.read); err != nil {
			return err
		}
	}
	return nil
}

// FactsOf returns the facts that a relationship reveals to the reader: see Rules.Relationship. Call ReadPlaces with
// the resource of the relationship first.
func (v *View) FactsOf(relationship authz.Relationship, known ...authz.Subject) []Fact {
	return v.rules.Relationship(v.reader.Subject, relationship, v.places, known...)
}

// Reader returns the reader of the view.
func (v *View) Reader() Reader { return v.reader }

// Ask checks the given facts, except those that it has checked before. Afterwards, Knows reports whether the reader
// may know them.
func (v *View) Ask(ctx context.Context, facts ...Fact) error {
	var checks []authz.Check
	var checked []Fact // the fact of each of the checks
	var known map[Fact]bool
	for _, fact := range facts {
		_, before := v.known[fact]
		if _, asked := known[fact]; asked || before || v.decides(fact) {
			continue
		}
		if known == nil {
			known = make(map[Fact]bool)
		}
		known[fact] = false
		for _, permission := range v.rules.permissions(fact) {
			checks = append(checks, authz.Check{
				Subject: v.reader.Subject, Permission: permission, Resource: fact.Object,
			})
			checked = append(checked, fact)
		}
	}
	for from := 0; from < len(checks); from += maxChecks {
		to := min(from+maxChecks, len(checks))
		allowed, err := v.check(ctx, checks[from:to])
		if err != nil {
			return err
		}
		for i, fact := range checked[from:to] {
			known[fact] = known[fact] || allowed[i]
		}
	}
	maps.Copy(v.known, known)
	return nil
}

// decides reports whether Knows needs no check for a fact.
func (v *View) decides(fact Fact) bool {
	return v.reader.All || v.isReader(fact)
}

func (v *View) isReader(fact Fact) bool { return fact == Existence(v.reader.Subject.Object) }

// Knows reports whether the reader may know all of the facts. A fact that Ask has not checked is hidden.
func (v *View) Knows(facts ...Fact) bool {
	hidden := func(fact Fact) bool { return !v.known[fact] && !v.isReader(fact) }
	return v.reader.All || !slices.ContainsFunc(facts, hidden)
}

// ForgetHidden makes Ask check all hidden facts again. A caller uses it after relationships have changed. The View
// then shows each fact that the reader may know before or after the change.
func (v *View) ForgetHidden() {
	for fact, known := range v.known {
		if !known {
			delete(v.known, fact)
		}
	}
}

// MayKnow reports whether the reader may know all of the facts.
func (v *View) MayKnow(ctx context.Context, facts ...Fact) (bool, error) {
	if err := v.Ask(ctx, facts...); err != nil {
		return false, err
	}
	return v.Knows(facts...), nil
}

// MayKnowEach reports, for each of the facts, whether the reader may know it.
func (v *View) MayKnowEach(ctx context.Context, facts []Fact) ([]bool, error) {
	if err := v.Ask(ctx, facts...); err != nil {
		return nil, err
	}
	known := make([]bool, len(facts))
	for i, fact := range facts {
		known[i] = v.Knows(fact)
	}
	return known, nil
}

// MaySee reports whether the reader may see all of the objects.
func (v *View) MaySee(ctx context.Context, objects ...authz.Object) (bool, error) {
	return v.MayKnow(ctx, existences(objects)...)
}

// MaySeeEach reports, for each of the objects, whether the reader may see it.
func (v *View) MaySeeEach(ctx context.Context, objects []authz.Object) ([]bool, error) {
	return v.MayKnowEach(ctx, existences(objects))
}

func existences(objects []authz.Object) []Fact {
	facts := make([]Fact, len(objects))
	for i, object := range objects {
		facts[i] = Existence(object)
	}
	return facts
}

// MayNameEach reports, for each of the subjects, whether an answer to the reader may name it. The subjects must be
// those of relationships of one object that the reader may see. An answer may always name people. It may also name a
// subject whose type has no permission in Rules.Objects, since such a subject is a part of the object. It may name
// any other subject only if the reader may see it.
func (v *View) MayNameEach(ctx context.Context, subjects []authz.Subject) ([]bool, error) {
	named := make([]bool, len(subjects))
	var objects []authz.Object
	var asked []int
	for i, subject := range subjects {
		isPart := len(v.rules.Objects(subject.Type)) == 0
		named[i] = isPart || subject.Wildcard || len(v.rules.Naming(subject.Object)) == 0
		if !named[i] {
			objects, asked = append(objects, subject.Object), append(asked, i)
		}
	}
	seen, err := v.MaySeeEach(ctx, objects)
	if err != nil {
		return nil, err
	}
	for j, i := range asked {
		named[i] = seen[j]
	}
	return named, nil
}

// MaySeeRelationship reports whether the reader may see a relationship. The subjects in "known" are those that the
// request names: see Rules.Relationship.
func (v *View) MaySeeRelationship(
	ctx context.Context, relationship authz.Relationship, known ...authz.Subject,
) (bool, error) {
	if err := v.ReadPlaces(ctx, relationship.Resource); err != nil {
		return false, err
	}
	return v.MayKnow(ctx, v.FactsOf(relationship, known...)...)
}

// MayKnowRole reports whether the reader may know the role of a subject on an object. Readers may always know their
// own roles. On an object of an own type, every relation counts as a role: see Rules.PeopleOf. On any other object
// whose type has no roles, there is nothing to hide, so MayKnowRole returns true.
func (v *View) MayKnowRole(ctx context.Context, subject authz.Subject, on authz.Object) (bool, error) {
	if subject == v.reader.Subject || !v.rules.HasRoles(on.Type) && !v.rules.isOwn(on.Type) {
		return true, nil
	}
	if err := v.ReadPlaces(ctx, on); err != nil {
		return false, err
	}
	return v.MayKnow(ctx, v.rules.PeopleOf(on, v.places)...)
}

// MayDependOn reports whether the effects that a preview shows may depend on a relationship. A preview shows the
// reader how an operation changes the permissions of people. If the reader may know the people in the relations of
// the resource, effects may depend on all of its relationships. Otherwise the resource must be of a type with roles,
// and effects may not depend on the roles of other people. They may depend on the reader's own roles, and on the
// resource's flags and place: the reader's own permissions already reveal these. The parameter "people" must be the
// result of Rules.PeopleOf for the resource, and Ask must have checked these facts.
func (v *View) MayDependOn(relationship authz.Relationship, people []Fact) bool {
	if v.Knows(people...) {
		return true
	}
	subject := relationship.Subject
	isOther := subject.Type == v.rules.People && !subject.Wildcard && subject.Object != v.reader.Subject.Object
	return v.rules.HasRoles(relationship.Resource.Type) && !isOther
}

// Require returns an error if the reader may not know a fact. The code is CodeNotFound if the reader may not see the
// object, or if objects of its type have no such fact. Otherwise it is CodeForbidden.
func (v *View) Require(ctx context.Context, fact Fact) error {
	if err := v.Ask(ctx, Existence(fact.Object), fact); err != nil {
		return err
	}
	permissions := v.rules.permissions(fact)
	switch {
	case !v.Knows(Existence(fact.Object)):
		return NotFound(fact.Object)
	case v.Knows(fact):
		return nil
	case len(permissions) == 0: // no object of the type has such a fact
		return NotFound(fact.Object)
	}
	return Lacks(authz.ActorOf(v.reader.Subject.Object), permissions[0], fact.Object)
}

// Permissions reports which of the permissions the reader has on an object, with one call of Check. It returns an error
// with CodeNotFound if the reader may not see the object.
func (v *View) Permissions(
	ctx context.Context, object authz.Object, permissions ...authz.Permission,
) (map[authz.Permission]bool, error) {
	shown := v.rules.permissions(Existence(object))
	var checks []authz.Check
	for _, permission := range slices.Concat(shown, permissions) {
		checks = append(checks, authz.Check{Subject: v.reader.Subject, Permission: permission, Resource: object})
	}
	allowed, err := v.check(ctx, checks)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(allowed[:len(shown)], true) {
		return nil, NotFound(object)
	}
	held := make(map[authz.Permission]bool, len(permissions))
	for i, permission := range permissions {
		held[permission] = allowed[len(shown)+i]
	}
	return held, nil
}

// NotFound returns the error for an object that does not exist, or that the reader may not see. The two cases have
// the same error.
func NotFound(object authz.Object) *authz.Error {
	return authz.Errorf(authz.CodeNotFound, "there is no %s, or the actor may not see it", object)
}

// Lacks returns the error for an actor who may see an object, but lacks a permission on it.
func Lacks(who authz.Actor, permission authz.Permission, object authz.Object) *authz.Error {
	err := authz.Errorf(authz.CodeForbidden, "%s lacks the permission %s on %s", who, permission, object)
	err.Permission = permission
	return err
}
