package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// decisionAPI has the calls that decide checks, look up and read relationships.
type decisionAPI struct {
	*responder
	inspector

	engine  Engine
	metrics *Metrics
	timeout time.Duration // time limit of each write of a stream
}

// Check implements ServerInterface.
func (a *decisionAPI) Check(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[CheckRequest](c)
		if err != nil {
			return nil, err
		}
		var in reader
		check, at := in.check(body)
		if in.err != nil {
			return nil, in.err
		}
		if err := a.requireCheck(ctx, check); err != nil {
			return nil, err
		}
		decision, token, err := a.engine.Check(ctx, check, at)
		a.metrics.decision(decision, err)
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

// missingContext returns the missing context of a conditional decision, and nil for any other decision.
func missingContext(d authz.Decision) *MissingContext {
	if d.State != authz.Conditional {
		return nil
	}
	return &d.MissingContext
}

// DecidePermissions implements ServerInterface.
func (a *decisionAPI) DecidePermissions(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
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
		if err := a.requireCheck(ctx, check); err != nil {
			return nil, err
		}
		permissions, err := a.definitions.permissionsOf(ctx, check.Resource.Type)
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
		results, token, err := a.engine.CheckBulk(ctx, checks, at)
		if err != nil {
			return nil, err
		}
		answer := PermissionsDecision{Permissions: make(map[string]bool, len(results)), Token: string(token)}
		errs := make(PermissionErrors)
		for i, result := range results {
			a.metrics.decision(result.Decision, result.Err)
			name := string(permissions[i])
			answer.Permissions[name] = result.Err == nil && result.Decision.Allowed()
			switch {
			case result.Err == nil:
			case !isRequestError(result.Err) || a.definitions.isUnknownType(ctx, check.Subject.Type):
				return nil, result.Err
			default:
				errs[name] = *a.itemError(ctx, result.Err)
				answer.Errors = &errs
			}
		}
		return answer, nil
	})
}
