package schema

import (
	"strings"

	"github.com/authzed/spicedb/pkg/caveats/types"
	"github.com/authzed/spicedb/pkg/namespace"
	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/generator"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Expressions returns the expressions of all permissions and caveats of a schema without imports. The key of a
// permission is type#permission, and the key of a caveat is its name. Errors have code authz.CodeInvalid.
func Expressions(text string) (map[string]string, error) {
	compiled, err := Compiled(text)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, definition := range compiled.ObjectDefinitions {
		for _, relation := range definition.GetRelation() {
			if namespace.GetRelationKind(relation) != implv1.RelationMetadata_PERMISSION {
				continue
			}
			source, err := generator.GenerateRelationSource(relation, types.Default.TypeSet)
			if err != nil {
				return nil, authz.Errorf(authz.CodeInvalid, "%s", err.Error())
			}
			lines := strings.Split(strings.TrimSpace(source), "\n")
			_, expression, _ := strings.Cut(lines[len(lines)-1], " = ") // comments come before the last line
			out[definition.GetName()+"#"+relation.GetName()] = strings.TrimSpace(expression)
		}
	}
	for _, caveat := range compiled.CaveatDefinitions {
		source, _, err := generator.GenerateCaveatSource(caveat, types.Default.TypeSet)
		if err != nil {
			return nil, authz.Errorf(authz.CodeInvalid, "%s", err.Error())
		}
		_, body, _ := strings.Cut(source, "caveat "+caveat.GetName()+"(")
		_, body, _ = strings.Cut(body, "{")
		out[caveat.GetName()] = strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimSpace(body), "}")), " ")
	}
	return out, nil
}
