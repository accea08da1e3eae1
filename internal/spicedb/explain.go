package spicedb

import (
	"context"
	"strings"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Explain implements authz.Engine.
func (c *Client) Explain(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (_ authz.Decision, _ *authz.Trace, _ authz.Token, err error) {
	defer c.observe("Explain", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	response, err := c.check(ctx, check, at, true)
	if err != nil {
		return authz.Decision{}, nil, "", err
	}
	trace := fromTrace(response.GetDebugTrace().GetCheck())
	decision := fromPermissionship(response.GetPermissionship(), response.GetPartialCaveatInfo())
	return decision, trace, fromToken(response.GetCheckedAt()), nil
}

func fromTrace(t *v1.CheckDebugTrace) *authz.Trace {
	if t == nil {
		return nil
	}
	trace := &authz.Trace{
		Name:       authz.Permission(t.GetPermission()),
		IsRelation: t.GetPermissionType() == v1.CheckDebugTrace_PERMISSION_TYPE_RELATION,
		Subject:    fromSubject(t.GetSubject()),
		State:      fromTraceState(t.GetResult()),
		Condition:  fromCaveat(t.GetCaveatEvaluationInfo()),
		ExpiresAt:  fromTime(t.GetOptionalExpiresAt()),
		Cached:     t.GetWasCachedResult(),
	}
	if trace.Condition != nil {
		trace.State = trace.Condition.State // SpiceDB's result does not take the caveat into account
	}
	// SpiceDB joins the ids of several resources with commas, which no stored id contains.
	for id := range strings.SplitSeq(t.GetResource().GetObjectId(), ",") {
		typ := authz.Type(t.GetResource().GetObjectType())
		trace.Resources = append(trace.Resources, authz.Object{Type: typ, ID: authz.DecodeID(typ, id)})
	}
	for _, part := range t.GetSubProblems().GetTraces() {
		trace.Parts = append(trace.Parts, fromTrace(part))
	}
	return trace
}

// fromTraceState returns Conditional if the resources have different decisions.
func fromTraceState(p v1.CheckDebugTrace_Permissionship) authz.State {
	switch p {
	case v1.CheckDebugTrace_PERMISSIONSHIP_HAS_PERMISSION:
		return authz.Allowed
	case v1.CheckDebugTrace_PERMISSIONSHIP_CONDITIONAL_PERMISSION, v1.CheckDebugTrace_PERMISSIONSHIP_UNSPECIFIED:
		return authz.Conditional
	case v1.CheckDebugTrace_PERMISSIONSHIP_NO_PERMISSION:
	}
	return authz.Denied
}

func fromCaveat(info *v1.CaveatEvalInfo) *authz.Condition {
	if info == nil {
		return nil
	}
	condition := &authz.Condition{Caveat: info.GetCaveatName(), Expression: info.GetExpression(), State: authz.Conditional}
	switch info.GetResult() {
	case v1.CaveatEvalInfo_RESULT_TRUE:
		condition.State = authz.Allowed
	case v1.CaveatEvalInfo_RESULT_FALSE:
		condition.State = authz.Denied
	case v1.CaveatEvalInfo_RESULT_MISSING_SOME_CONTEXT:
		condition.MissingContext = conditional(info.GetPartialCaveatInfo()).MissingContext
	case v1.CaveatEvalInfo_RESULT_UNEVALUATED, v1.CaveatEvalInfo_RESULT_UNSPECIFIED:
	}
	return condition
}
