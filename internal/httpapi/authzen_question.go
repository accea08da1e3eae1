package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// question is what AuthZEN asks. A search leaves out what it searches for: an id, or the action.
type question struct {
	subject  AccessEntity
	action   AccessAction
	resource AccessEntity
	context  Context
}

// readQuestion reads a question of which nothing may be missing. The error has code CodeInvalid.
func readQuestion(item EvaluationItem) (question, error) {
	subject, action, resource := optional(item.Subject), optional(item.Action), optional(item.Resource)
	asked := question{
		subject:  AccessEntity{Type: optional(subject.Type), ID: optional(subject.ID), Properties: subject.Properties},
		action:   AccessAction{Name: optional(action.Name), Properties: action.Properties},
		resource: AccessEntity{Type: optional(resource.Type), ID: optional(resource.ID), Properties: resource.Properties},
		context:  optional(item.Context),
	}
	var in reader
	in.present("subject", item.Subject != nil)
	in.entity("subject", asked.subject)
	in.present("action", item.Action != nil)
	in.text("action.name", asked.action.Name)
	in.present("resource", item.Resource != nil)
	in.entity("resource", asked.resource)
	in.sized(asked)
	return asked, in.err
}

// refuse keeps what is wrong with a field.
func (r *reader) refuse(field, format string, args ...any) {
	if r.err == nil {
		r.err = faultf(format, args...).in(field).err("")
	}
}

func (r *reader) present(field string, is bool) {
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

// readEvaluation reads one evaluation of a batch. Errors have code CodeInvalid.
func (v vocabulary) readEvaluation(raw json.RawMessage, defaults EvaluationItem) (authz.Check, error) {
	var item EvaluationItem
	if err := decodeLenient("the evaluation", raw, &item); err != nil {
		return authz.Check{}, err
	}
	item.Subject = item.Subject.or(defaults.Subject)
	item.Resource = item.Resource.or(defaults.Resource)
	item.Action = item.Action.or(defaults.Action)
	if item.Context == nil {
		item.Context = defaults.Context
	}
	asked, err := readQuestion(item)
	if err != nil {
		return authz.Check{}, err
	}
	return v.check(asked)
}

// or returns the entity, or the default if there is none. The entity takes its type and id from the default where it
// lacks them, since it would be none without, but never its properties.
func (e *PartialEntity) or(byDefault *PartialEntity) *PartialEntity {
	if e == nil || byDefault == nil {
		return first(e, byDefault)
	}
	return &PartialEntity{Type: first(e.Type, byDefault.Type), ID: first(e.ID, byDefault.ID), Properties: e.Properties}
}

// or returns the action, or the default if there is none, just as for entities.
func (a *PartialAction) or(byDefault *PartialAction) *PartialAction {
	if a == nil || byDefault == nil {
		return first(a, byDefault)
	}
	return &PartialAction{Name: first(a.Name, byDefault.Name), Properties: a.Properties}
}

// first returns the first of two values that is there.
func first[T any](value, otherwise *T) *T {
	if value != nil {
		return value
	}
	return otherwise
}
