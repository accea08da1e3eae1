package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/pages"
)

// maxSubjects is the highest number of subjects in an answer that is not a stream. It includes the subjects that a
// wildcard excludes.
const maxSubjects = 10_000

// LookupResources implements ServerInterface.
func (a *decisionAPI) LookupResources(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ResourceLookup](c)
		if err != nil {
			return nil, err
		}
		var in reader
		query := authz.ResourceQuery{
			Subject:    in.subject("subject", body.Subject),
			Permission: in.permission("permission", body.Permission),
			Type:       in.typ("resource_type", body.ResourceType),
			Context:    in.context(body.Context),
		}
		limit := in.limit("limit", body.Limit)
		at := in.consistency("consistency", body.Consistency)
		if in.err != nil {
			return nil, in.err
		}
		if err := a.requireInspection(ctx, query.Subject, query.Type, query.Permission); err != nil {
			return nil, err
		}
		cursor, err := callOf(c).openCursor(optional(body.Cursor))
		if err != nil {
			return nil, err
		}
		found, err := a.lookupResources(ctx, query, at, limit, cursor)
		if err != nil {
			a.metrics.decision(authz.Decision{}, err)
		}
		return found, err
	})
}

// lookupResources answers with a page. Its cursor contains the token of the first page and the cursor of the engine. It
// is valid only for the same query and consistency.
func (a *decisionAPI) lookupResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, limit int, cursor string,
) (FoundResources, error) {
	var none FoundResources
	token, position, err := a.resumeList(ctx, query, at, cursor)
	if err != nil {
		return none, err
	}
	page := FoundResources{Resources: []FoundResource{}, Token: string(token)}
	var last authz.FoundResource
	var size answerSize
	for found, err := range a.engine.LookupResources(
		ctx, query, authz.AtSnapshot(token), authz.Page{Limit: limit + 1, Cursor: position},
	) {
		if err != nil {
			return none, err
		}
		if len(page.Resources) == limit {
			page.NextCursor = pages.CursorsOf(query, at).New(string(token) + " " + pages.Cursor(query, last))
			break
		}
		resource, err := reference(authz.Subject{Object: authz.Object{Type: query.Type, ID: found.ID}})
		if err != nil {
			return none, err
		}
		a.metrics.decision(found.Decision, found.Err)
		page.Resources = append(page.Resources, FoundResource{
			Resource: resource, Allowed: found.Err == nil && found.Decision.Allowed(), MissingContext: missingContext(
				found.Decision,
			),
			Error: a.itemError(ctx, found.Err),
		})
		if err := size.add(&page.Resources[len(page.Resources)-1]); err != nil {
			return none, err
		}
		last = found
	}
	return page, nil
}

// resumeList returns the token of the list and the cursor of the engine, which is empty on the first page.
func (a *decisionAPI) resumeList(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, cursor string,
) (authz.Token, string, error) {
	if cursor == "" {
		token, err := a.snapshotToken(
			ctx,
			authz.Check{Subject: query.Subject, Permission: query.Permission, Resource: placeholder(query.Type)},
			at,
		)
		return token, "", err
	}
	content, err := pages.CursorsOf(query, at).Parse(cursor)
	if err != nil {
		return "", "", err
	}
	token, position, _ := strings.Cut(content, " ")
	return authz.Token(token), position, nil
}

// LookupSubjects implements ServerInterface.
func (a *decisionAPI) LookupSubjects(c *gin.Context) {
	if callOf(c).streams {
		a.streamSubjects(c)
		return
	}
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		query, token, err := a.subjectQuery(ctx, c)
		if err != nil {
			return nil, err
		}
		answer := FoundSubjects{Subjects: []FoundSubject{}, Token: string(token)}
		count := 0
		var size answerSize
		for found, err := range a.engine.LookupSubjects(ctx, query, authz.AtSnapshot(token)) {
			if err = cmp.Or(err, ctx.Err()); err != nil {
				a.metrics.decision(authz.Decision{}, err)
				return nil, err
			}
			if count += 1 + len(found.Excluded); count > maxSubjects {
				return nil, authz.Errorf(
					authz.CodeTooLarge,
					"there are more than %d subjects; the header Accept: %s returns them all as a stream",
					maxSubjects,
					ndjson,
				)
			}
			shown, err := a.showSubject(ctx, found)
			if err == nil {
				err = size.add(&shown)
			}
			if err != nil {
				return nil, err
			}
			a.metrics.decision(found.Decision, found.Err)
			answer.Subjects = append(answer.Subjects, shown)
		}
		return answer, nil
	})
}

// subjectQuery reads a look-up of subjects, and returns the token of the revision that it reads.
func (a *decisionAPI) subjectQuery(
	ctx context.Context, c *gin.Context,
) (query authz.SubjectQuery, token authz.Token, err error) {
	body, err := decode[SubjectLookup](c)
	if err != nil {
		return query, "", err
	}
	var in reader
	query = authz.SubjectQuery{
		Resource:        in.object("resource", body.Resource),
		Permission:      in.permission("permission", body.Permission),
		Type:            in.typ("subject_type", body.SubjectType),
		SubjectRelation: in.optionalRelation("subject_relation", body.SubjectRelation),
		Context:         in.context(body.Context),
	}
	at := in.consistency("consistency", body.Consistency)
	if in.err != nil {
		return query, "", in.err
	}
	subject := authz.Subject{Object: placeholder(query.Type), Relation: query.SubjectRelation}
	if err := a.requireInspection(ctx, subject, query.Resource.Type, query.Permission); err != nil {
		return query, "", err
	}
	token, err = a.snapshotToken(
		ctx,
		authz.Check{Subject: subject, Permission: query.Permission, Resource: placeholder(query.Resource.Type)},
		at,
	)
	if err != nil {
		a.metrics.decision(authz.Decision{}, err)
	}
	return query, token, err
}

// snapshotToken returns the token of a revision. It gets the token from a cheap check, because a look-up without
// results has none. The check also rejects names that the schema lacks.
func (a *decisionAPI) snapshotToken(ctx context.Context, check authz.Check, at authz.Consistency) (authz.Token, error) {
	_, token, err := a.engine.Check(ctx, check, at)
	return token, err
}

// placeholder returns an object that most likely does not exist, for a check whose answer does not matter.
func placeholder(typ authz.Type) authz.Object { return authz.Object{Type: typ, ID: "-"} }

// limit reads the highest number of entries on a page.
func (r *reader) limit(field string, value *int) int {
	if value == nil {
		return operation.DefaultLimit
	}
	if *value < 1 || *value > operation.MaxLimit {
		r.keep(field, authz.Errorf(authz.CodeInvalid, "must be a number from 1 to %d", operation.MaxLimit))
	}
	return *value
}

func (r *reader) typ(field, value string) authz.Type {
	typ, err := authz.ParseType(value)
	r.keep(field, err)
	return typ
}

// optionalRelation reads an optional relation.
func (r *reader) optionalRelation(field string, value *string) authz.Relation {
	if value == nil {
		return ""
	}
	relation, err := authz.ParseRelation(*value)
	r.keep(field, err)
	return relation
}
