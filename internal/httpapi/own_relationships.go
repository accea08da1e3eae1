package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/owntype"
)

type relationshipOperations interface {
	WriteRelationships(
		ctx context.Context, by operation.Caller, write operation.RelationshipWrite,
	) (operation.Done, error)
	DeleteRelationships(ctx context.Context, by operation.Caller, object authz.Object) (operation.Done, error)
}

// writeRelationships decodes POST /v1/relationships.
func writeRelationships(r request) (writeCall, error) {
	body, err := decodeBody[RelationshipWrite](r)
	if err != nil {
		return nil, err
	}
	in := relationshipReader{own: r.own, call: r.call}
	write := in.write(body)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.WriteRelationships(ctx, r.caller(), write)
		return doneAnswer(done), done, err
	}, nil
}

// deleteRelationships decodes DELETE /v1/relationships.
func deleteRelationships(r request) (writeCall, error) {
	text := r.query.Get("resource")
	object, err := queryObject(text)
	switch {
	case err == nil:
		err = r.mayWrite(r.own, object.Type)
	case !strings.ContainsAny(text, ":{"):
		err = authz.Errorf(
			authz.CodeInvalid, "%q is not a reference to an object: write type:id, for example dashboard:revenue", text,
		)
	}
	if err != nil {
		return nil, withPlace(`the parameter "resource"`, err)
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.DeleteRelationships(ctx, r.caller(), object)
		return doneAnswer(done), done, err
	}, nil
}

// mayWrite returns an error unless callers may write relationships of a type, and the key of the call may. The error
// has CodeInvalid for a type that nobody may write, and CodeForbidden for one that another key may write.
func (k *call) mayWrite(own *owntype.Rules, typ authz.Type) error {
	if err := own.CheckType(typ); err != nil {
		return err
	}
	if key := (apikey.Key{Scopes: k.scopes, WriteTypes: k.writeTypes}); !key.MayWrite(typ) {
		return authz.Errorf(authz.CodeForbidden, "the key may write relationships of %s, but not of %s",
			owntype.List(k.writeTypes), typ)
	}
	return nil
}

// relationshipReader parses the body of a write of relationships, and records the first error.
type relationshipReader struct {
	reader

	own  *owntype.Rules
	call *call
}

func (r *relationshipReader) write(body RelationshipWrite) (write operation.RelationshipWrite) {
	if len(body.Updates) == 0 {
		r.err = authz.Errorf(authz.CodeInvalid, `the field "updates" is empty; it must have at least one update`)
	}
	first := make(map[authz.Filter]int, len(body.Updates))
	for i, sent := range body.Updates {
		if r.err != nil {
			return write
		}
		field := fmt.Sprintf("updates[%d]", i)
		update := r.update(field, sent)
		if earlier, repeated := first[authz.Exactly(update.Relationship)]; repeated {
			r.keep(field+".relationship", authz.Errorf(authz.CodeInvalid,
				"it repeats updates[%d].relationship; one request changes a relationship once", earlier))
		}
		first[authz.Exactly(update.Relationship)] = i
		write.Updates = append(write.Updates, update)
	}
	for i, sent := range optional(body.Preconditions) {
		if r.err != nil {
			return write
		}
		write.Preconditions = append(write.Preconditions, r.precondition(fmt.Sprintf("preconditions[%d]", i), sent))
	}
	return write
}

func (r *relationshipReader) update(field string, sent RelationshipUpdate) (update authz.Update) {
	if !sent.Operation.Valid() {
		r.keep(field+".operation", authz.Errorf(
			authz.CodeInvalid, "%q is not one of create, touch, delete", authz.Echo(string(sent.Operation)),
		))
	}
	relationship, err := parseRelationship(sent.Relationship.union)
	if err == nil {
		err = r.call.mayWrite(r.own, relationship.Resource.Type)
	}
	r.keep(field+".relationship", err)
	if r.err != nil {
		return update
	}
	update.Relationship = relationship
	if sent.Operation == DeleteRelationship {
		update.Action = authz.Delete
		if sent.ExpiresAt != nil || sent.Caveat != nil {
			r.keep(field, authz.Errorf(authz.CodeInvalid,
				"a delete has no expires_at and no caveat: it deletes the relationship with any of them"))
		}
		r.keep(field+".relationship", r.own.CheckDeletion(relationship))
		return update
	}
	if sent.Operation == TouchRelationship {
		update.Action = authz.Touch
	}
	update.Relationship.ExpiresAt = endOf(sent.ExpiresAt)
	if sent.Caveat != nil {
		r.caveat(field+".caveat", *sent.Caveat, &update.Relationship)
	}
	r.keep(field+".relationship", r.own.CheckRelationship(update.Relationship))
	return update
}

// caveat reads the caveat of a relationship.
func (r *relationshipReader) caveat(field string, sent RelationshipCaveat, into *authz.Relationship) {
	if err := r.own.CheckCaveat(sent.Name); err != nil {
		r.keep(field+".name", err)
		return
	}
	into.Caveat = sent.Name
	values := map[string]any(optional(sent.Context))
	field += ".context"
	switch {
	case len(values) == 0:
		return
	case weight(values, maxContext) > maxContext:
		r.keep(field, authz.Errorf(authz.CodeTooLarge,
			"it is larger than %d bytes; each value and each name counts 8 bytes plus its text", maxContext))
		return
	}
	text, err := json.Marshal(values)
	if err == nil {
		err = r.own.CheckContext(sent.Name, field, values, string(text))
	}
	r.keep(field, err)
	into.CaveatContext = string(text)
}

func (r *relationshipReader) precondition(field string, sent RelationshipPrecondition) (p authz.Precondition) {
	filter := sent.MustMatch
	name := field + ".must_match"
	if sent.MustNotMatch != nil {
		filter, p.Absent, name = sent.MustNotMatch, true, field+".must_not_match"
	}
	if (sent.MustMatch == nil) == (sent.MustNotMatch == nil) {
		r.keep(field, authz.Errorf(authz.CodeInvalid, "it must have exactly one of must_match and must_not_match"))
		return p
	}
	object := r.object(name+".resource", filter.Resource)
	if r.err == nil {
		r.keep(name+".resource", r.mayRequire(object.Type))
	}
	p.Filter = authz.Filter{Type: object.Type, ID: object.ID}
	if filter.Relation != nil {
		relation, err := authz.ParseRelation(*filter.Relation)
		r.keep(name+".relation", err)
		p.Filter.Relation = relation
	}
	if filter.Subject != nil {
		subject, err := parseStoredSubject(filter.Subject.union)
		r.keep(name+".subject", err)
		p.Filter.SubjectType, p.Filter.SubjectID, p.Filter.SubjectWildcard = subject.Type, subject.ID, subject.Wildcard
		p.Filter.SubjectRelation, p.Filter.SubjectPlain = subject.Relation, subject.Relation == ""
	}
	if r.err == nil {
		r.keep(name, r.own.CheckFilter(p.Filter))
	}
	return p
}

// mayRequire returns an error unless the key may learn from a precondition whether a relationship of a type is stored.
// A key with the scope inspect may learn everything, and another key only about the types that it may write.
func (r *relationshipReader) mayRequire(typ authz.Type) error {
	if r.call.scopes.Any(apikey.Inspect) {
		return nil
	}
	if r.own.IsProduct(typ) {
		return inspectionRequired(fmt.Sprintf(
			"the precondition reveals what is stored about %s, a type of the product", typ,
		))
	}
	return r.call.mayWrite(r.own, typ)
}

// parseRelationship reads a relationship, as a string or in the object form. Its errors have CodeInvalid.
func parseRelationship(raw json.RawMessage) (r authz.Relationship, err error) {
	if isString(raw) {
		return splitRelationship(unquote(raw))
	}
	var parts RelationshipObject
	if err = decodeStrict("a relationship", raw, &parts); err != nil {
		return r, err
	}
	if r.Resource, err = parseObject(parts.Resource.union); err != nil {
		return r, withPlace("resource", err)
	}
	if r.Relation, err = authz.ParseRelation(parts.Relation); err != nil {
		return r, withPlace("relation", err)
	}
	r.Subject, err = parseStoredSubject(parts.Subject.union)
	return r, withPlace("subject", err)
}

// splitRelationship parses resource#relation@subject.
func splitRelationship(text string) (r authz.Relationship, err error) {
	resource, rest, hasRelation := strings.Cut(text, "#")
	relation, subject, hasSubject := strings.Cut(rest, "@")
	if !hasRelation || !hasSubject {
		return r, authz.Errorf(authz.CodeInvalid,
			"%q is not a relationship: write resource#relation@subject, for example dashboard:revenue#editor@user:bob",
			authz.Echo(text))
	}
	if r.Resource, err = authz.ParseObject(resource); err != nil {
		return r, err
	}
	if r.Relation, err = authz.ParseRelation(relation); err != nil {
		return r, err
	}
	r.Subject, err = storedSubject(subject)
	return r, err
}

// parseStoredSubject reads the subject of a relationship. As in answers, the string type:* stands for everybody of the
// type. In the object form, "*" is an id.
func parseStoredSubject(raw json.RawMessage) (authz.Subject, error) {
	if isString(raw) {
		return storedSubject(unquote(raw))
	}
	return parseSubject(raw)
}

func storedSubject(text string) (authz.Subject, error) {
	typ, id, _ := strings.Cut(text, ":")
	if id != "*" {
		return authz.ParseSubject(text)
	}
	parsed, err := authz.ParseType(typ)
	return authz.Everybody(parsed), err
}
