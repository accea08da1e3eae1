package operation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// checkIDs reports ids that the API does not accept. In a file that an export wrote, it accepts ids that another tool
// stored.
func checkIDs(r *ImportRules, line int, relationship authz.Relationship) {
	objects := []authz.Object{relationship.Resource}
	if !relationship.Subject.Wildcard {
		objects = append(objects, relationship.Subject.Object)
	}
	for _, object := range objects {
		if problem := r.problemOfID(object); problem != "" {
			r.problem(line, "%s", problem)
		}
	}
}

// problemOfID describes why no operation can have chosen the id of the object. It returns "" if one can.
func (r *ImportRules) problemOfID(object authz.Object) string {
	if object.ID.IsForeign() {
		if r.AcceptForeignIDs {
			return ""
		}
		return authz.DescribeForeign(object)
	}
	id := object.ID
	switch object.Type {
	case membershipType:
		id = memberOf(object)
	case deletionType:
		id = deletedObject(leftMembership(object)).ID
		if own, found := objectOfRelationships(object); found {
			id = own.ID
		}
	case authz.TypeCustomRole, authz.TypeRoleBinding, slotType:
		return "" // the rules of custom roles check these ids
	default: // the id of the object itself
	}
	_, err := authz.ParseID(string(id))
	switch {
	case err != nil:
		return fmt.Sprintf("the id of %s: %s", authz.WithArticle(object.Type), messageOf(err))
	case id.IsForeign() && !r.AcceptForeignIDs:
		return fmt.Sprintf(
			"the id of %s: %q is an id that another tool stored; only an export may contain it",
			authz.WithArticle(object.Type), authz.Echo(string(id)),
		)
	}
	return ""
}

// messageOf returns the message of an error without its code.
func messageOf(err error) string {
	var known *authz.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return err.Error()
}

// leftMembership returns, for the record that a member left an object, the record of the deletion of that object. It
// returns any other deletion unchanged.
func leftMembership(deletion authz.Object) authz.Object {
	if place, found := strings.CutPrefix(string(deletion.ID), "membership/"); found {
		deletion.ID = authz.ID(place)
	}
	return deletion
}

func checkPlatform(_ context.Context, r *ImportRules, o *importedObject) error {
	if o.Type == platform.Type && o.Object != platform {
		r.problem(o.line, "the only platform is %s, not %s", platform, o.Object)
	}
	if o.Type == "subscription" {
		for _, row := range o.subjects("platform") {
			if row.subject.Object != platform {
				r.problem(o.at(row), "the only platform is %s, but %s is on %s", platform, o.Object, row.subject)
			}
		}
	}
	return nil
}

func checkOnePlace(_ context.Context, r *ImportRules, o *importedObject) error {
	r.requireOne(o, kindOf(o.Type).place)
	return nil
}

// requireOne reports a problem unless an object has exactly one subject of a relation.
func (r *ImportRules) requireOne(o *importedObject, relation authz.Relation) {
	switch found := o.subjects(relation); {
	case len(found) == 0:
		r.problem(o.line, "%s has no %s: it needs exactly one", o.Object, relation)
	case len(found) > 1:
		r.problem(
			lastLine(found), "%s has several %ss: %s and %s; it needs exactly one", o.Object, relation, found[0].subject,
			found[1].subject,
		)
	}
}

func checkAccountOfKind(ctx context.Context, r *ImportRules, o *importedObject) error {
	account, ok, err := r.facts(ctx, o)
	if err != nil || !ok || slices.Contains(setOf[o.Type], account.set.Name) {
		return err
	}
	r.problem(o.line, "%s is in %s, which has the role set %s; %s must be in an account with the role set %s",
		o.Object, account.object, account.set.Name, authz.WithArticle(o.Type), strings.Join(texts(setOf[o.Type]), " or "))
	return nil
}

func checkConnector(_ context.Context, r *ImportRules, o *importedObject) error {
	r.requirePairs(o)
	catalogue, built := o.subjects("catalogue"), o.subjects("account")
	switch {
	case len(catalogue) > 0 && len(built) > 0:
		r.problem(
			lastLine(append(catalogue, built...)), "%s is in the catalogue and in an account; it must be in only one of them",
			o.Object,
		)
	case len(catalogue) == 0:
		r.requireOne(o, "account")
		for _, capability := range capabilities {
			for _, row := range o.subjects(capability.relation) {
				r.problem(
					o.at(row), "%s has the capability %s; only connectors of the catalogue have capabilities", o.Object,
					capability.name,
				)
			}
		}
	}
	return nil
}

// requirePairs reports the flags of a connector that are stored for service accounts, but not for people.
// app.CompleteFlags, at the start of a server and at the end of an import, adds only the missing flags for service
// accounts.
func (r *ImportRules) requirePairs(o *importedObject) {
	relations := []authz.Relation{"catalogue"}
	for _, capability := range capabilities {
		relations = append(relations, capability.relation)
	}
	for _, relation := range relations {
		rows := o.subjects(relation)
		isForPeople := func(row importedRow) bool { return row.subject == everybody }
		if len(rows) > 0 && !slices.ContainsFunc(rows, isForPeople) {
			r.problem(
				o.at(rows[0]), "%s has the flag %s for %s, but not for %s: add %s#%s@%[4]s", o.Object, relation, rows[0].subject,
				everybody, o.Object, relation,
			)
		}
	}
}

func checkOneConnector(_ context.Context, r *ImportRules, o *importedObject) error {
	r.requireOne(o, "connector")
	return nil
}

// checkCreator reports several creators. It also reports a private connection without a creator, which nobody could
// view or delete. Where no connection may be private, another rule reports a private one.
func checkCreator(ctx context.Context, r *ImportRules, o *importedObject) error {
	account, ok, err := r.facts(ctx, o)
	if err != nil {
		return err
	}
	isPrivate := o.Type == "connection" && ok && account.privateConnections() && len(o.subjects(sharedWithTheWhole)) == 0
	if isPrivate && len(o.subjects(creator)) == 0 {
		r.problem(
			o.line, "%s is private and has no creator: add %s#creator@user:ID, or share it with its account", o.Object, o.Object,
		)
	}
	return atMostOne(creator)(ctx, r, o)
}

// checkSameAccount reports relationships that connect objects of different accounts.
func checkSameAccount(ctx context.Context, r *ImportRules, o *importedObject) error {
	account, ok, err := r.facts(ctx, o)
	if err != nil || !ok {
		return err
	}
	for _, row := range o.rows {
		switch row.relation {
		case "shared", "open":
			if row.subject.Object != account.object {
				r.problem(
					o.at(row), "%s is in %s; its relation %s must not have the subject %s", o.Object, account.object,
					row.relation, row.subject,
				)
			}
		case "source", "destination", "member_of", "connector":
			other := r.object(row.subject.Object, o.at(row))
			if err := r.complete(ctx, other); err != nil {
				return err
			}
			deleted, err := r.isDeleted(ctx, other)
			if err != nil {
				return err
			}
			if deleted {
				continue
			}
			for _, place := range other.subjects("account") { // another rule reports an object without an account
				if place.subject.Object != account.object {
					r.problem(
						o.at(row), "%s is in %s, but its %s %s is in %s", o.Object, account.object, row.relation, row.subject,
						place.subject,
					)
				}
			}
		}
	}
	return nil
}

func checkPrivate(ctx context.Context, r *ImportRules, o *importedObject) error {
	account, ok, err := r.facts(ctx, o)
	if err != nil || !ok || account.privateConnections() {
		return err
	}
	const where = "only a connection of a team account in a subscription under multi_owner can be"
	if len(o.subjects(sharedWithTheWhole)) == 0 {
		r.problem(o.line, "%s is private; %s: add %s#shared@%s", o.Object, where, o.Object, account.object)
	}
	for _, row := range o.subjects(sharedWithSomeNamed) {
		r.problem(o.at(row), "%s is shared with %s by name; %s", o.Object, row.subject, where)
	}
	return nil
}

// checkNamed reports people with a connection share or workspace membership who hold no role on the account. It accepts
// a person whose role has expired, since an export leaves out the role but contains these relationships.
func checkNamed(ctx context.Context, r *ImportRules, o *importedObject) error {
	facts, ok, err := r.facts(ctx, o)
	if err != nil || !ok {
		return err
	}
	account := r.object(facts.object, o.line)
	for _, row := range o.rows {
		if row.line == 0 || !isNaming(o.Type, row.relation) {
			continue
		}
		if who := row.subject.ID; !r.had(account, who) {
			leaving, err := r.isLeaving(ctx, who, row.line)
			if err != nil {
				return err
			}
			if !leaving {
				r.problem(row.line, "%s names %s, but this person holds no role on %s", o.Object, row.subject, facts.object)
			}
		}
	}
	return nil
}
