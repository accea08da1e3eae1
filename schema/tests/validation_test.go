// Package tests runs the validation files of this folder.
package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/development"
	devinterface "github.com/authzed/spicedb/pkg/proto/developer/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/authzed/spicedb/pkg/validationfile"
	"github.com/authzed/spicedb/pkg/validationfile/blocks"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/testsize"
	"github.com/sluice-authz/sluice/schema"
	"github.com/sluice-authz/sluice/schema/roletables"
)

// TestValidationFiles runs every validation file of this folder as zed validate does, but fails on warnings too. It
// requires that the files cover every cell of the tables.
func TestValidationFiles(t *testing.T) {
	tables, err := roletables.ReadFolder(os.DirFS("../testdata"))
	if err != nil {
		t.Fatal(err)
	}
	cells, least := 0, map[string]int{}
	for _, table := range tables {
		cells += table.Assertions()
		least[string(table.RoleSet.Name)+".yaml"] = table.Assertions()
	}
	if len(tables) != 6 || cells <= 700 {
		t.Errorf("%d tables with %d cells: want 6 with more than 700", len(tables), cells)
	}
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2*len(tables) {
		t.Errorf("%d files for %d tables: want two for each", len(files), len(tables))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want := max(1, least[filepath.Base(file)])
			if ran := validateFile(t, file); ran < want {
				t.Errorf("%d assertions: want at least %d", ran, want)
			}
		})
	}
}

// TestHolders checks every cell of the tables with groups and with service accounts as holders of the roles. They
// must have the same permissions as people with these roles, and no others.
func TestHolders(t *testing.T) {
	text, err := os.ReadFile(roletables.SchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := schema.Describe(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for holder, named := range map[roletables.Holder]string{
		roletables.Group: "@group:user#member", roletables.ServiceAccount: "@service_account:user",
	} {
		files, err := roletables.Validations(os.DirFS("../testdata"), holder, definitions)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(files["team.yaml"], named) {
			t.Errorf("team.yaml does not mention %s", named)
		}
		for name, content := range files {
			t.Run(string(holder)+"/"+name, func(t *testing.T) {
				t.Parallel()
				dev := newDevContext(t, []byte(content))
				checkAll(t, name, []byte(content), dev)
			})
		}
	}
}

// validateFile runs a file as zed validate does, and reports the failures. It returns the number of assertions.
func validateFile(t *testing.T, file string) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dev := newDevContext(t, content)
	if strings.HasSuffix(file, nothingElse) {
		checkAll(t, file, content, dev)
	} else {
		failed, err := development.RunAllAssertions(dev.DevContext, &dev.Assertions)
		if err != nil {
			t.Fatal(err)
		}
		report(t, file, failed)
	}
	_, failed, err := development.RunValidation(dev.DevContext, &dev.ExpectedRelations)
	if err != nil {
		t.Fatal(err)
	}
	report(t, file, failed)
	warnings, err := development.GetWarnings(t.Context(), dev.DevContext)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("%s:%d: %s", roletables.SchemaFile, w.Line, w.Message)
	}
	return len(dev.Assertions.AssertTrue) + len(dev.Assertions.AssertFalse)
}

func newDevContext(t *testing.T, content []byte) *development.YAMLDevContext {
	t.Helper()
	dev, problems, err := development.NewDevContextForYAML(t.Context(), content, development.WithSourceFS(os.DirFS(".")))
	if err != nil {
		t.Fatal(err)
	}
	if problems != nil {
		t.Fatal(problems.InputErrors)
	}
	t.Cleanup(dev.DevContext.Dispose)
	cacheSchema(dev.DevContext)
	return dev
}

// checkAll runs the assertions of a file. SpiceDB's tools need a minute for them. So in the normal size of the test,
// the in-memory replica decides them. Other tests compare the in-memory replica with SpiceDB.
func checkAll(t *testing.T, file string, content []byte, dev *development.YAMLDevContext) {
	t.Helper()
	if !testsize.IsLong() {
		on := fixed(t, content)
		for _, a := range dev.Assertions.AssertTrue {
			require.True(t, allows(t, on, a), "%s:%d: %s", file, a.SourcePosition.LineNumber, a.RelationshipWithContextString)
		}
		for _, a := range dev.Assertions.AssertFalse {
			require.False(t, allows(t, on, a), "%s:%d: %s", file, a.SourcePosition.LineNumber, a.RelationshipWithContextString)
		}
		return
	}
	checkInBulk(
		t, file, dev.DevContext, dev.Assertions.AssertTrue, v1.CheckPermissionResponse_PERMISSIONSHIP_HAS_PERMISSION,
	)
	checkInBulk(
		t, file, dev.DevContext, dev.Assertions.AssertFalse, v1.CheckPermissionResponse_PERMISSIONSHIP_NO_PERMISSION,
	)
}

// fixed returns an in-memory replica that holds the relationships of a file.
func fixed(t *testing.T, content []byte) *replica.Fixed {
	t.Helper()
	file, err := validationfile.DecodeValidationFile(content)
	require.NoError(t, err)
	empty, err := withoutRelationships()
	require.NoError(t, err)
	var stored []*v1.Relationship
	for _, r := range file.Relationships.Relationships {
		stored = append(stored, tuple.ToV1Relationship(r))
	}
	return empty.With(stored)
}

// withoutRelationships returns an in-memory replica that has the schema and no relationships.
var withoutRelationships = sync.OnceValues(func() (*replica.Fixed, error) {
	text, err := os.ReadFile(roletables.SchemaFile)
	if err != nil {
		return nil, err
	}
	return replica.NewFixed(string(text), nil)
})

func allows(t *testing.T, on *replica.Fixed, a blocks.Assertion) bool {
	t.Helper()
	subject, resource := a.Relationship.Subject, a.Relationship.Resource
	decision, err := on.Check(t.Context(), authz.Check{
		Subject:    authz.Subject{Object: objectOf(subject)},
		Permission: authz.Permission(resource.Relation),
		Resource:   objectOf(resource),
	}, time.Now())
	require.NoError(t, err)
	return decision.Allowed()
}

func objectOf(o tuple.ObjectAndRelation) authz.Object {
	typ := authz.Type(o.ObjectType)
	return authz.Object{Type: typ, ID: authz.DecodeID(typ, o.ObjectID)}
}

// nothingElse is the end of the names of the files which check that nothing else is granted.
const nothingElse = "_nothing_else.yaml"

// checkInBulk runs the assertions of a file in bulk checks. For single checks, SpiceDB would write an explanation of
// each.
func checkInBulk(
	t *testing.T, file string, dev *development.DevContext, all []blocks.Assertion,
	want v1.CheckPermissionResponse_Permissionship,
) {
	t.Helper()
	conn, stop, err := dev.RunV1InMemoryService()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for assertions := range slices.Chunk(all, 500) {
		request := &v1.CheckBulkPermissionsRequest{
			Consistency: &v1.Consistency{Requirement: &v1.Consistency_FullyConsistent{FullyConsistent: true}},
		}
		for _, a := range assertions {
			r := tuple.ToV1Relationship(a.Relationship)
			request.Items = append(request.Items, &v1.CheckBulkPermissionsRequestItem{
				Resource: r.GetResource(), Permission: r.GetRelation(), Subject: r.GetSubject(),
			})
		}
		answer, err := v1.NewPermissionsServiceClient(conn).CheckBulkPermissions(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for i, pair := range answer.GetPairs() {
			if pair.GetItem().GetPermissionship() != want {
				t.Errorf(
					"%s:%d: %s: %v", file, assertions[i].SourcePosition.LineNumber, assertions[i].RelationshipWithContextString, pair,
				)
			}
		}
		if len(answer.GetPairs()) != len(assertions) {
			t.Errorf("%s: %d answers to %d checks", file, len(answer.GetPairs()), len(assertions))
		}
	}
}

func report(t *testing.T, file string, failed []*devinterface.DeveloperError) {
	t.Helper()
	for _, f := range failed {
		t.Errorf("%s:%d: %s", file, f.Line, f.Message)
	}
}
