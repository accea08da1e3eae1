package schema

import (
	"slices"
	"strings"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Name is a relation or permission of a type.
type Name struct {
	Type authz.Type
	Name authz.Permission
}

// ConditionalAll lists the relations and permissions whose evaluation may read both an all() arrow and a caveat. The
// text is a schema without imports. Errors have code authz.CodeInvalid.
func ConditionalAll(text string) (map[Name]bool, error) {
	if !strings.Contains(text, "all(") {
		return nil, nil
	}
	compiled, err := Compiled(text)
	if err != nil {
		return nil, err
	}
	g := newGraph(compiled)
	names := make(map[Name]bool)
	for from := range g.relations {
		closure := g.closure(from)
		for at := range closure {
			if hasAll(g.relations[at].GetUsersetRewrite()) && len(g.reachable(from)) > 0 {
				names[Name{authz.Type(from.on), authz.Permission(from.name)}] = true
				break
			}
		}
	}
	return names, nil
}

// hasAll reports whether an expression contains an arrow with all().
func hasAll(rewrite *core.UsersetRewrite) bool {
	for _, operation := range []*core.SetOperation{rewrite.GetUnion(), rewrite.GetIntersection(), rewrite.GetExclusion()} {
		if slices.ContainsFunc(operation.GetChild(), func(child *core.SetOperation_Child) bool {
			function := child.GetFunctionedTupleToUserset()
			return function.GetFunction() == core.FunctionedTupleToUserset_FUNCTION_ALL || hasAll(child.GetUsersetRewrite())
		}) {
			return true
		}
	}
	return false
}
