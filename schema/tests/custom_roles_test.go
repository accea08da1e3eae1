package tests

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/validationfile/blocks"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/testsize"
	"github.com/sluice-authz/sluice/schema"
	"github.com/sluice-authz/sluice/schema/customroles"
	"github.com/sluice-authz/sluice/schema/roletables"
)

// TestCustomRolesOnSpiceDB checks permissions in random situations with custom roles. SpiceDB and the in-memory
// replica must return the same decisions. The tests of the package customroles compare the in-memory replica with
// the definition of custom roles.
func TestCustomRolesOnSpiceDB(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(roletables.SchemaFile)
	require.NoError(t, err)
	all, err := schema.Describe(string(text))
	require.NoError(t, err)
	var grantable []string
	for _, d := range all {
		for _, p := range d.Permissions {
			if p.Grantable {
				grantable = append(grantable, string(d.Type)+"."+string(p.Name))
			}
		}
	}
	for seed := range uint64(testsize.Of(2, 20)) {
		r := rand.New(rand.NewPCG(seed, 15))
		s := customroles.New(r, grantable)
		var b strings.Builder
		b.WriteString("schemaFile: " + roletables.SchemaFile + "\nrelationships: |-\n")
		for _, relationship := range append(s.BuiltIn, s.Custom...) {
			b.WriteString("  " + relationship + "\n")
		}
		b.WriteString("assertions:\n  assertTrue:\n")
		for range 300 {
			o := s.Objects[r.IntN(len(s.Objects))]
			for _, d := range all {
				if d.Type == o.Type {
					b.WriteString("    - " + o.Ref + "#" + string(d.Public()[r.IntN(len(d.Public()))]) + "@" + s.Subject + "\n")
				}
			}
		}
		dev := newDevContext(t, []byte(b.String()))
		on := fixed(t, []byte(b.String()))
		answers := map[bool][]blocks.Assertion{}
		for _, a := range dev.Assertions.AssertTrue {
			allowed := allows(t, on, a)
			answers[allowed] = append(answers[allowed], a)
		}
		checkInBulk(t, "allowed", dev.DevContext, answers[true], v1.CheckPermissionResponse_PERMISSIONSHIP_HAS_PERMISSION)
		checkInBulk(t, "denied", dev.DevContext, answers[false], v1.CheckPermissionResponse_PERMISSIONSHIP_NO_PERMISSION)
	}
}
