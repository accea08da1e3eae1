package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Check implements ServerInterface.
func (s *server) Check(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[CheckRequest](c)
		if err != nil {
			return nil, err
		}
		var in reader
		check, at := in.check(body)
		if in.err != nil {
			return nil, in.err
		}
		if err := s.requireCheck(ctx, check); err != nil {
			return nil, err
		}
		decision, token, err := s.Engine.Check(ctx, check, at)
		s.Metrics.decision(decision, err)
		return Decision{
			Allowed:        decision.Allowed(),
			MissingContext: missingContext(decision),
			Token:          string(token),
		}, err
	})
}

// check reads a check and its consistency.
func (r *reader) check(body CheckRequest) (authz.Check, authz.Consistency) {
	return authz.Check{
		Subject:    r.subject("subject", body.Subject),
		Permission: r.permission("permission", body.Permission),
		Resource:   r.object("resource", body.Resource),
		Context:    r.context(body.Context),
	}, r.consistency("consistency", body.Consistency)
}

// missingContext shows the missing context of a conditional decision. It returns nil for any other decision.
func missingContext(d authz.Decision) *MissingContext {
	if d.State != authz.Conditional {
		return nil
	}
	return &d.MissingContext
}

// DecidePermissions implements ServerInterface.
func (s *server) DecidePermissions(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[PermissionsRequest](c)
		if err != nil {
			return nil, err
		}
		var in reader
		check := authz.Check{
			Subject:  in.subject("subject", body.Subject),
			Resource: in.object("resource", body.Resource),
			Context:  in.context(body.Context),
		}
		at := in.consistency("consistency", body.Consistency)
		if in.err != nil {
			return nil, in.err
		}
		if err := s.requireCheck(ctx, check); err != nil {
			return nil, err
		}
		permissions, err := s.permissionsOf(ctx, check.Resource.Type)
		if err != nil {
			return nil, err
		}
		if weight(check.Context, maxBatchContext)*len(permissions) > maxBatchContext {
			return nil, authz.Errorf(
				authz.CodeTooLarge,
				"the context is larger than %d bytes, counted once for each permission; send a smaller context",
				maxBatchContext,
			)
		}
		checks := make([]authz.Check, len(permissions))
		for i, permission := range permissions {
			checks[i] = check
			checks[i].Permission = permission
		}
		results, token, err := s.Engine.CheckBulk(ctx, checks, at)
		if err != nil {
			return nil, err
		}
		answer := PermissionsDecision{Permissions: make(map[string]bool, len(results)), Token: string(token)}
		errs := make(PermissionErrors)
		for i, result := range results {
			s.Metrics.decision(result.Decision, result.Err)
			name := string(permissions[i])
			answer.Permissions[name] = result.Err == nil && result.Decision.Allowed()
			switch {
			case result.Err == nil:
			case !isRequestError(result.Err) || s.isUnknownType(ctx, check.Subject.Type):
				return nil, result.Err
			default:
				errs[name] = *s.itemError(ctx, result.Err)
				answer.Errors = &errs
			}
		}
		return answer, nil
	})
}

// permissionsOf returns the public permissions of a type. The error has CodeInvalid if the schema does not have the
// type, or the type has none.
func (s *server) permissionsOf(ctx context.Context, typ authz.Type) ([]authz.Permission, error) {
	definitions, err := s.Definitions(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(definitions))
	for i, definition := range definitions {
		names[i] = string(definition.Type)
		if definition.Type != typ {
			continue
		}
		permissions := definition.Public()
		if len(permissions) == 0 {
			return nil, authz.Errorf(authz.CodeInvalid, "the type %q has no permissions", typ)
		}
		return permissions, nil
	}
	return nil, unknownType(typ, names)
}

// isUnknownType reports whether the schema does not have the type, so that no question about it can be decided.
func (s *server) isUnknownType(ctx context.Context, typ authz.Type) bool {
	definitions, err := s.Definitions(ctx)
	return err == nil && !slices.ContainsFunc(definitions, func(d authz.Definition) bool { return d.Type == typ })
}
