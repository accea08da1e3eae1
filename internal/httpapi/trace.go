package httpapi

import "github.com/sluice-authz/sluice/internal/authz"

func (f referrer) trace(t *authz.Trace) TraceNode {
	node := TraceNode{
		Name: string(t.Name), Kind: "permission", Result: TraceNodeResult(stateName(t.State)),
		Resources: make([]Reference, len(t.Resources)), Cached: nilIfFalse(t.Cached),
	}
	if t.IsRelation {
		node.Kind = "relation"
	}
	for i, resource := range t.Resources {
		node.Resources[i] = f.object(resource)
	}
	if t.Condition != nil {
		node.Condition = &TraceCondition{
			Caveat: nilIfEmpty(t.Condition.Caveat), Expression: t.Condition.Expression,
			Result: TraceConditionResult(stateName(t.Condition.State)),
		}
		if len(t.Condition.MissingContext) > 0 {
			node.Condition.MissingContext = &t.Condition.MissingContext
		}
	}
	if len(t.Parts) > 0 {
		parts := make([]TraceNode, len(t.Parts))
		for i, part := range t.Parts {
			parts[i] = f.trace(part)
		}
		node.Parts = &parts
	}
	return node
}

func stateName(s authz.State) string {
	switch s {
	case authz.Allowed:
		return allowed
	case authz.Conditional:
		return conditional
	default:
		return denied
	}
}
