package spicedb

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluice-authz/sluice/internal/authz"
)

// wildcard is SpiceDB's id for all subjects of a type. EncodeID never returns it.
const wildcard = "*"

func toObject(o authz.Object) *v1.ObjectReference {
	return &v1.ObjectReference{ObjectType: string(o.Type), ObjectId: authz.EncodeID(o.ID)}
}

func fromObject(o *v1.ObjectReference) authz.Object {
	return authz.Object{
		Type: authz.Type(o.GetObjectType()), ID: authz.DecodeID(authz.Type(o.GetObjectType()), o.GetObjectId()),
	}
}

func toSubject(s authz.Subject) *v1.SubjectReference {
	return &v1.SubjectReference{
		Object:           &v1.ObjectReference{ObjectType: string(s.Type), ObjectId: subjectID(s.ID, s.Wildcard)},
		OptionalRelation: string(s.Relation),
	}
}

func fromSubject(s *v1.SubjectReference) authz.Subject {
	subject := newSubject(authz.Type(s.GetObject().GetObjectType()), s.GetObject().GetObjectId())
	subject.Relation = authz.Relation(s.GetOptionalRelation())
	return subject
}

// newSubject returns the subject for an id in SpiceDB's encoding.
func newSubject(typ authz.Type, stored string) authz.Subject {
	if stored == wildcard {
		return authz.Everybody(typ)
	}
	return authz.Subject{Object: authz.Object{Type: typ, ID: authz.DecodeID(typ, stored)}}
}

func subjectID(id authz.ID, everybody bool) string {
	if everybody {
		return wildcard
	}
	return authz.EncodeID(id)
}

// checkStoredLength returns an error with CodeInvalid for an id whose encoding is too long for SpiceDB.
func checkStoredLength(ids ...authz.ID) error {
	for _, id := range ids {
		if stored := authz.EncodeID(id); len(stored) > authz.MaxStoredBytes {
			return authz.Errorf(authz.CodeInvalid, "the id %q has %s in its stored form, but SpiceDB stores at most %d",
				authz.Echo(string(id)), authz.Count(len(stored), "byte", "bytes"), authz.MaxStoredBytes)
		}
	}
	return nil
}

// toRelationship converts a relationship. The error has CodeInvalid if SpiceDB cannot store an id or the caveat
// context exactly.
func toRelationship(r authz.Relationship) (*v1.Relationship, error) {
	if err := checkStoredLength(r.Resource.ID, r.Subject.ID); err != nil {
		return nil, err
	}
	relationship := &v1.Relationship{
		Resource: toObject(r.Resource),
		Relation: string(r.Relation),
		Subject:  toSubject(r.Subject),
	}
	if !r.ExpiresAt.IsZero() {
		relationship.OptionalExpiresAt = timestamppb.New(r.ExpiresAt)
	}
	if r.Caveat != "" {
		context, err := toCaveatContext(r.CaveatContext)
		if err != nil {
			return nil, err
		}
		relationship.OptionalCaveat = &v1.ContextualizedCaveat{CaveatName: r.Caveat, Context: context}
	}
	return relationship, nil
}

// toCaveatContext parses the caveat context of a relationship, a JSON object. It returns nil for an empty text.
func toCaveatContext(text string) (*structpb.Struct, error) {
	if text == "" {
		return nil, nil
	}
	values, err := authz.ParseContext("caveat_context", text)
	if err != nil {
		return nil, err
	}
	return toStruct("caveat_context", values)
}

// fromCaveatContext is the inverse of toCaveatContext. It writes all digits of a large whole number, which another tool
// may have stored. So toCaveatContext returns the same number.
func fromCaveatContext(context *structpb.Struct) string {
	if len(context.GetFields()) == 0 {
		return ""
	}
	text, _ := json.Marshal(exactly(context.AsMap())) // never fails: the values come from JSON
	return string(text)
}

// maxShort is the largest number that encoding/json always writes with all its digits.
const maxShort = 1 << 53

func exactly(value any) any {
	switch v := value.(type) {
	case float64:
		if math.Abs(v) > maxShort && v == math.Trunc(v) {
			return json.Number(strconv.FormatFloat(v, 'f', 0, 64))
		}
	case []any:
		for i := range v {
			v[i] = exactly(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = exactly(v[key])
		}
	}
	return value
}

func fromRelationship(r *v1.Relationship) authz.Relationship {
	return authz.Relationship{
		Resource:      fromObject(r.GetResource()),
		Relation:      authz.Relation(r.GetRelation()),
		Subject:       fromSubject(r.GetSubject()),
		ExpiresAt:     fromTime(r.GetOptionalExpiresAt()),
		Caveat:        r.GetOptionalCaveat().GetCaveatName(),
		CaveatContext: fromCaveatContext(r.GetOptionalCaveat().GetContext()),
	}
}

// The first and the last expiration that this package returns. SpiceDB stores any number of seconds, but the zero time
// means no expiration, and RFC 3339 ends with the year 9999.
var (
	firstExpiration = time.Time{}.Add(time.Microsecond)
	lastExpiration  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// fromTime converts a timestamp. It returns the zero time for nil.
func fromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	switch at := t.AsTime(); {
	case at.Before(firstExpiration):
		return firstExpiration
	case at.After(lastExpiration):
		return lastExpiration
	default:
		return at
	}
}

// toConsistency converts a consistency. This package does not track writes, so Default is fully consistent.
func toConsistency(at authz.Consistency) (*v1.Consistency, error) {
	token := toToken(at.Token)
	switch at.Freshness {
	case authz.MinimizeLatency:
		return &v1.Consistency{Requirement: &v1.Consistency_MinimizeLatency{MinimizeLatency: true}}, nil
	case authz.AtLeastAsFresh, authz.ExactSnapshot:
		if at.Token == "" {
			return nil, authz.Errorf(authz.CodeInvalid, "the consistency needs a token")
		}
		if at.Freshness == authz.ExactSnapshot {
			return &v1.Consistency{Requirement: &v1.Consistency_AtExactSnapshot{AtExactSnapshot: token}}, nil
		}
		return &v1.Consistency{Requirement: &v1.Consistency_AtLeastAsFresh{AtLeastAsFresh: token}}, nil
	case authz.Default, authz.FullyConsistent:
		return &v1.Consistency{Requirement: &v1.Consistency_FullyConsistent{FullyConsistent: true}}, nil
	default:
		return nil, authz.Errorf(authz.CodeInvalid, "%d is not a freshness", at.Freshness)
	}
}

func toFilter(f authz.Filter) (*v1.RelationshipFilter, error) {
	if err := checkStoredLength(f.ID, f.SubjectID); err != nil {
		return nil, err
	}
	subject := f.SubjectID != "" || f.SubjectWildcard || f.SubjectRelation != "" || f.SubjectPlain
	switch {
	case f.Type == "" && f.SubjectType == "":
		return nil, authz.Errorf(authz.CodeInvalid, "a filter needs the type of the resource or of the subject")
	case f.SubjectType == "" && subject:
		return nil, authz.Errorf(authz.CodeInvalid, "a filter by subject needs the subject's type")
	case f.SubjectPlain && f.SubjectRelation != "":
		return nil, authz.Errorf(authz.CodeInvalid, "a filter selects subjects with a relation or without one, not both")
	}
	filter := &v1.RelationshipFilter{
		ResourceType:       string(f.Type),
		OptionalResourceId: authz.EncodeID(f.ID),
		OptionalRelation:   string(f.Relation),
	}
	if f.SubjectType != "" {
		filter.OptionalSubjectFilter = &v1.SubjectFilter{
			SubjectType:       string(f.SubjectType),
			OptionalSubjectId: subjectID(f.SubjectID, f.SubjectWildcard),
		}
		if f.SubjectRelation != "" || f.SubjectPlain {
			filter.OptionalSubjectFilter.OptionalRelation = &v1.SubjectFilter_RelationFilter{Relation: string(f.SubjectRelation)}
		}
	}
	return filter, nil
}

func toPreconditions(preconditions []authz.Precondition) ([]*v1.Precondition, error) {
	out := make([]*v1.Precondition, 0, len(preconditions))
	for _, p := range preconditions {
		filter, err := toFilter(p.Filter)
		if err != nil {
			return nil, err
		}
		operation := v1.Precondition_OPERATION_MUST_MATCH
		if p.Absent {
			operation = v1.Precondition_OPERATION_MUST_NOT_MATCH
		}
		out = append(out, &v1.Precondition{Operation: operation, Filter: filter})
	}
	return out, nil
}

// toStruct converts a caveat context or metadata. It returns nil for an empty map. If a double cannot hold a number
// exactly, the error has CodeInvalid and names the path of the field. The parameter what is the first part of that
// path.
func toStruct(what string, values map[string]any) (*structpb.Struct, error) {
	if len(values) == 0 {
		return nil, nil
	}
	if err := authz.CheckNumbers(what, values); err != nil {
		return nil, err
	}
	converted, err := structpb.NewStruct(values)
	if err != nil {
		return nil, &authz.Error{
			Code: authz.CodeInvalid, Message: "the " + what + " contains a value that JSON cannot express", Cause: err,
		}
	}
	return converted, nil
}

// toMetadata converts the metadata of a write. Invisible characters are invalid, since some receivers of metadata
// cannot store them.
func toMetadata(values map[string]any) (*structpb.Struct, error) {
	converted, err := toStruct("metadata", values)
	if err != nil {
		return nil, err
	}
	if c, found := invisibleIn(structpb.NewStructValue(converted)); found {
		return nil, authz.Errorf(authz.CodeInvalid, "the metadata contains the control or invisible character %U", c)
	}
	return converted, nil
}

// invisibleIn returns the first invisible character in the texts and field names of a value.
func invisibleIn(value *structpb.Value) (rune, bool) {
	if c, found := authz.Invisible(value.GetStringValue()); found {
		return c, true
	}
	for _, item := range value.GetListValue().GetValues() {
		if c, found := invisibleIn(item); found {
			return c, true
		}
	}
	for name, field := range value.GetStructValue().GetFields() {
		if c, found := authz.Invisible(name); found {
			return c, true
		}
		if c, found := invisibleIn(field); found {
			return c, true
		}
	}
	return 0, false
}

func fromToken(t *v1.ZedToken) authz.Token { return authz.Token(t.GetToken()) }

func toToken(t authz.Token) *v1.ZedToken { return &v1.ZedToken{Token: string(t)} }

func fromPermissionship(p v1.CheckPermissionResponse_Permissionship, partial *v1.PartialCaveatInfo) authz.Decision {
	switch p {
	case v1.CheckPermissionResponse_PERMISSIONSHIP_HAS_PERMISSION:
		return authz.Decision{State: authz.Allowed}
	case v1.CheckPermissionResponse_PERMISSIONSHIP_CONDITIONAL_PERMISSION:
		return conditional(partial)
	case v1.CheckPermissionResponse_PERMISSIONSHIP_NO_PERMISSION, v1.CheckPermissionResponse_PERMISSIONSHIP_UNSPECIFIED:
	}
	return authz.Decision{}
}

func fromLookup(p v1.LookupPermissionship, partial *v1.PartialCaveatInfo) authz.Decision {
	switch p {
	case v1.LookupPermissionship_LOOKUP_PERMISSIONSHIP_HAS_PERMISSION:
		return authz.Decision{State: authz.Allowed}
	case v1.LookupPermissionship_LOOKUP_PERMISSIONSHIP_CONDITIONAL_PERMISSION:
		return conditional(partial)
	case v1.LookupPermissionship_LOOKUP_PERMISSIONSHIP_UNSPECIFIED:
	}
	return authz.Decision{}
}

func conditional(partial *v1.PartialCaveatInfo) authz.Decision {
	missing := slices.Sorted(slices.Values(partial.GetMissingRequiredContext()))
	return authz.Decision{State: authz.Conditional, MissingContext: slices.Compact(missing)}
}
