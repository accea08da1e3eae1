package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// question is a question of AuthZEN. In a search, the entity to find has no id, and an action to find has no name.
type question struct {
	subject  AccessEntity
	action   AccessAction
	resource AccessEntity
	context  Context
}

// readQuestion reads a complete question. Its errors have CodeInvalid.
func readQuestion(item EvaluationItem) (question, error) {
	subject, action, resource := optional(item.Subject), optional(item.Action), optional(item.Resource)
	q := question{
		subject: AccessEntity{Type: optional(subject.Type), ID: optional(subject.ID), Properties: subject.Properties},
		action:  AccessAction{Name: optional(action.Name), Properties: action.Properties},
		resource: AccessEntity{
			Type:       optional(resource.Type),
			ID:         optional(resource.ID),
			Properties: resource.Properties,
		},
		context: optional(item.Context),
	}
	var in reader
	in.requirePresent("subject", item.Subject != nil)
	in.entity("subject", q.subject)
	in.requirePresent("action", item.Action != nil)
	in.text("action.name", q.action.Name)
	in.requirePresent("resource", item.Resource != nil)
	in.entity("resource", q.resource)
	in.checkContextSize(q)
	return q, in.err
}

// refuse records an error about a field, unless there is one already.
func (r *reader) refuse(field, format string, args ...any) {
	if r.err == nil {
		r.err = faultf(format, args...).in(field).err("")
	}
}

func (r *reader) requirePresent(field string, is bool) {
	if !is {
		r.refuse(field, "is missing")
	}
}

func (r *reader) text(field, value string) {
	if strings.TrimSpace(value) == "" {
		r.refuse(field, "is missing or blank")
	}
	if c, found := authz.Invisible(value); found {
		r.refuse(field, "must not contain control or other invisible characters; this one contains %U", c)
	}
}

func (r *reader) entity(field string, value AccessEntity) {
	r.text(field+".type", value.Type)
	r.text(field+".id", value.ID)
}

// readEvaluation reads one evaluation of a batch. Its errors have CodeInvalid.
func (v vocabulary) readEvaluation(raw json.RawMessage, defaults EvaluationItem) (authz.Check, error) {
	var item EvaluationItem
	if err := decodeLenient("the evaluation", raw, &item); err != nil {
		return authz.Check{}, err
	}
	item.Subject = item.Subject.withDefault(defaults.Subject)
	item.Resource = item.Resource.withDefault(defaults.Resource)
	item.Action = item.Action.withDefault(defaults.Action)
	if item.Context == nil {
		item.Context = defaults.Context
	}
	q, err := readQuestion(item)
	if err != nil {
		return authz.Check{}, err
	}
	return v.check(q)
}

// withDefault returns the entity, or the default if there is none. If the entity has no type or no id, it gets the one
// of the default. It never gets the properties of the default.
func (e *PartialEntity) withDefault(byDefault *PartialEntity) *PartialEntity {
	if e == nil || byDefault == nil {
		return orDefault(e, byDefault)
	}
	return &PartialEntity{
		Type:       orDefault(e.Type, byDefault.Type),
		ID:         orDefault(e.ID, byDefault.ID),
		Properties: e.Properties,
	}
}

// withDefault returns the action, or the default if there is none. If the action has no name, it gets the name of the
// default.
func (a *PartialAction) withDefault(byDefault *PartialAction) *PartialAction {
	if a == nil || byDefault == nil {
		return orDefault(a, byDefault)
	}
	return &PartialAction{Name: orDefault(a.Name, byDefault.Name), Properties: a.Properties}
}

// orDefault returns the value, or the default if it is nil.
func orDefault[T any](value, byDefault *T) *T {
	if value != nil {
		return value
	}
	return byDefault
}
