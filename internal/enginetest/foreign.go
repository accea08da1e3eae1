package enginetest

import (
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"
)

// ForeignRelationship returns a relationship with a caveat context that Sluice would reject. Tests write it directly
// to SpiceDB, as another tool could.
func ForeignRelationship(t *testing.T, relationship string, caveatContext map[string]any) []*v1.Relationship {
	t.Helper()
	parsed, err := tuple.ParseV1Rel(relationship)
	require.NoError(t, err)
	parsed.OptionalCaveat.Context, err = structpb.NewStruct(caveatContext)
	require.NoError(t, err)
	return []*v1.Relationship{parsed}
}
