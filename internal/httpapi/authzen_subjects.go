package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// SearchSubjects implements ServerInterface.
func (s *server) SearchSubjects(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[SubjectSearch](c)
		if err != nil {
			return nil, err
		}
		asked := question{
			subject: AccessEntity{Type: body.Subject.Type, Properties: body.Subject.Properties},
			action:  body.Action, resource: body.Resource, context: optional(body.Context),
		}
		var in reader
		in.text("subject.type", asked.subject.Type)
		in.text("action.name", asked.action.Name)
		in.entity("resource", asked.resource)
		page := in.page("subject", asked, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := s.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := s.findSubjects(ctx, v, asked)
		if err != nil {
			return nil, err
		}
		ids, shown, err := page.of(found.ids)
		return SubjectSearchResults{Page: shown, Context: found.context(), Results: entities(body.Subject.Type, ids)}, err
	})
}

// subjects are those with a permission: by name in order, and everybody else if it is given to all of the type.
type subjects struct {
	ids       []string
	everybody bool
	except    []string
}

// findSubjects finds nobody where the schema does not know what is asked for.
func (s *server) findSubjects(ctx context.Context, v vocabulary, asked question) (found subjects, err error) {
	query, unknown := v.subjectQuery(asked)
	if unknown != nil {
		return found, nil
	}
	if err := s.requireInspection(ctx, query.Type, query.Resource.Type, query.Permission); err != nil {
		return found, err
	}
	for _, query.Context = range contextsOf(v.context(asked)) {
		if found, err = s.lookUpSubjects(ctx, query); !errors.Is(err, authz.CodeInvalid) {
			break
		}
	}
	return found, err
}

func (s *server) lookUpSubjects(ctx context.Context, query authz.SubjectQuery) (subjects, error) {
	var all subjects
	for found, err := range s.Engine.LookupSubjects(ctx, query, authz.Consistency{}) {
		switch err = cmp.Or(err, ctx.Err()); {
		case err != nil:
			return all, err
		case len(found.Excluded) > maxSubjects:
			return all, authz.Errorf(authz.CodeTooLarge, "there are more than %d exceptions from everybody", maxSubjects)
		case !found.Decision.Allowed():
		case found.Subject.Wildcard:
			all.everybody, all.except = true, texts(found.Excluded)
		default:
			all.ids = append(all.ids, string(found.Subject.ID))
		}
	}
	slices.Sort(all.ids)
	all.ids = slices.Compact(all.ids)
	slices.Sort(all.except)
	all.except = slices.DeleteFunc(all.except, func(id string) bool {
		_, named := slices.BinarySearch(all.ids, id)
		return named
	})
	return all, nil
}

func (v vocabulary) subjectQuery(asked question) (authz.SubjectQuery, error) {
	subject, err := v.definition(asked.subject.Type)
	if err != nil {
		return authz.SubjectQuery{}, err
	}
	resource, err := v.object(asked.resource)
	if err != nil {
		return authz.SubjectQuery{}, err
	}
	permission, err := v.permission(asked.resource.Type, asked.action.Name)
	return authz.SubjectQuery{Resource: resource, Permission: permission, Type: subject.Type}, err
}

// context tells of those who have no name in the results. A wildcard is none of them, since the id "*" is the letter.
func (all subjects) context() *SubjectSearchContext {
	if !all.everybody {
		return nil
	}
	return &SubjectSearchContext{Everybody: Everybody{Except: all.except}}
}

func entities(typ string, ids []string) []FoundEntity {
	found := make([]FoundEntity, len(ids))
	for i, id := range ids {
		found[i] = FoundEntity{Type: typ, ID: id}
	}
	return found
}
