package schema

import (
	"maps"
	"slices"
	"strings"

	convert "github.com/authzed/spicedb/pkg/caveats"
	"github.com/authzed/spicedb/pkg/caveats/types"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CheckTypes checks that SpiceDB can store the caveat context of a relationship. The context must be a JSON object.
// Each of its values must have the type of the caveat's parameter. Otherwise the error has code authz.CodeInvalid.
func (p Parameters) CheckTypes(caveat, context string) error {
	var values structpb.Struct
	if err := values.UnmarshalJSON([]byte(context)); err != nil {
		return authz.Errorf(authz.CodeInvalid, "the context of the caveat %s is no JSON object", caveat)
	}
	parameters := p[caveat]
	given := p.WithStoredTimes(caveat, values.AsMap())
	for _, name := range slices.Sorted(maps.Keys(given)) {
		of, known := parameters[name]
		if !known {
			return authz.Errorf(
				authz.CodeInvalid, "the caveat %s has no parameter %s; its parameters are %s", caveat, authz.Echo(name),
				strings.Join(slices.Sorted(maps.Keys(parameters)), ", "),
			)
		}
		one := map[string]any{name: given[name]}
		_, err := convert.ConvertContextToParameters(
			types.Default.TypeSet, one, parameters, convert.ErrorForUnknownParameters,
		)
		if err != nil {
			return authz.Errorf(
				authz.CodeInvalid, "the parameter %s of the caveat %s must be of the type %s", name, caveat,
				convert.ParameterTypeString(of),
			)
		}
	}
	return nil
}
