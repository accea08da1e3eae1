package app_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

// companyRows returns relationships that follow every rule of the product.
func companyRows(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("../operation/testdata/company.txt")
	require.NoError(t, err)
	return strings.Fields(string(content))
}

// companyFile returns a validation YAML with the relationships, and the line of the first one.
func companyFile(t *testing.T, rows []string) (text string, firstLine int) {
	t.Helper()
	product, err := schema.Flatten()
	require.NoError(t, err)
	head := "schema: |-\n  " + strings.ReplaceAll(strings.TrimSpace(product), "\n", "\n  ") + "\nrelationships: |-\n"
	return head + "  " + strings.Join(rows, "\n  ") + "\n", strings.Count(head, "\n") + 1
}

func checkImport(t *testing.T, engine app.Store, rows []string) (firstLine int, err error) {
	t.Helper()
	text, firstLine := companyFile(t, rows)
	count, err := transfer.CheckAll(t.Context(), strings.NewReader(text), app.ImportRules(engine))
	if err == nil {
		require.EqualValues(t, len(rows), count)
	}
	return firstLine, err
}

// TestImportRulesNameLines checks that the error names the line of the file and the rule. The package operation tests
// the rules.
func TestImportRulesNameLines(t *testing.T) {
	company := companyRows(t)
	_, err := checkImport(t, nil, company)
	require.NoError(t, err)
	for row, says := range map[string]string{
		"account:t#analytics@user:*":                               "account:t has more than one role set: team, analytics (rule role set)",
		"house:h#owner@user:ed":                                    "the schema has no type house (rule schema)",
		"account:t#boss@user:ed":                                   "the type account has no relation boss (rule schema)",
		"account:t#owner@account:o":                                "account#owner does not accept the subject type account (rule schema)",
		"importer:i#creator@user:two":                              "importer:i has more than one creator: user:uma and user:two (rule one creator)",
		"account:t#owner@user:ed[expiration:2999-01-01T00:00:00Z]": "account#owner does not accept the subject type user with an expiration (rule schema)",
	} {
		first, err := checkImport(t, nil, append(slices.Clone(company), row))
		require.ErrorIs(t, err, authz.CodeInvalid)
		require.ErrorContains(t, err, fmt.Sprintf("line %d: %s", first+len(company), says))
	}
}

// TestImportRulesRefuseLargeIntegers imports an integer that does not fit into the 64 bits of its parameter. The
// error must name the line, and nothing may be written.
func TestImportRulesRefuseLargeIntegers(t *testing.T) {
	text := "schema: |-\n  caveat equal(number int, most int) { number == most }\n  definition user {}\n" +
		"  definition item {\n    relation viewer: user with equal\n  }\nrelationships: |-\n" +
		"  item:i#viewer@user:a[equal:{\"most\":5}]\n  item:i#viewer@user:b[equal:{\"most\":1e22}]\n"
	_, err := transfer.CheckAll(t.Context(), strings.NewReader(text), app.ImportRules(nil))
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.ErrorContains(t, err, "line 9: ")
	require.ErrorContains(t, err, "declare the parameter as string")
}

// TestImportRulesRejectWhatSpiceDBRejects checks relationships that fit their relation, but that SpiceDB cannot write.
// The error names the line and the rule.
func TestImportRulesRejectWhatSpiceDBRejects(t *testing.T) {
	const head = "schema: |-\n  use expiration\n" +
		"  caveat limit(number int, name string, more list<int>) { number > 0 && name == '' && more.size() > 0 }\n" +
		"  definition user {}\n  definition item {\n    relation viewer: user | user with limit | user with expiration\n" +
		"  }\n" +
		"relationships: |-\n  item:i#viewer@user:a\n" +
		"  item:i#viewer@user:b[limit:{\"number\":5,\"name\":\"n\",\"more\":[1]}]\n" +
		"  item:i#viewer@user:c[limit]\n"
	check := func(row string) error {
		_, err := transfer.CheckAll(t.Context(), strings.NewReader(head+row+"\n"), app.ImportRules(nil))
		return err
	}
	require.NoError(t, check(""))
	_, err := transfer.CheckAll(
		t.Context(), strings.NewReader("# a file\nschema: |-\n\n  definition user {}\n  definition = 3\n"), app.ImportRules(nil),
	)
	require.ErrorContains(t, err, "line 5: column 12 of the schema: ")
	for row, says := range map[string]string{
		"item:i#viewer@user:a":                                    "item:i#viewer@user:a repeats line 9 (rule no repetition)",
		"item:i#viewer@user:a[limit]":                             "item:i#viewer@user:a repeats line 9 (rule no repetition)",
		"item:i#viewer@user:b[expiration:2999-01-01T00:00:00Z]":   "item:i#viewer@user:b repeats line 10 (rule no repetition)",
		"item:i#viewer@user:e[limit:{\"number\":\"x\"}]":          "the parameter number of the caveat limit must be of the type int (rule caveat context)",
		"item:i#viewer@user:e[limit:{\"number\":1.5}]":            "the parameter number of the caveat limit must be of the type int (rule caveat context)",
		"item:i#viewer@user:e[limit:{\"name\":7}]":                "the parameter name of the caveat limit must be of the type string (rule caveat context)",
		"item:i#viewer@user:e[limit:{\"more\":[1,true]}]":         "the parameter more of the caveat limit must be of the type list<int> (rule caveat context)",
		"item:i#viewer@user:e[limit:{\"number\":1,\"number\":2}]": `"item:i#viewer@user:e[limit:…": the field "caveat_context" has the key "number" twice`,
		"item:i#viewer@user:e[limit:{\"numbers\":1}]":             "the caveat limit has no parameter numbers; its parameters are more, name, number (rule caveat context)",
	} {
		err := check("  " + row)
		require.ErrorIs(t, err, authz.CodeInvalid, row)
		require.EqualError(t, err, "line 12: "+says)
	}
}

// TestImportRulesWithStored checks imported relationships together with stored ones.
func TestImportRulesWithStored(t *testing.T) {
	engine, err := app.MakeStore(t.Context(), app.StoreConfig{Datastore: "sqlite", DataDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	text, _ := companyFile(t, companyRows(t))
	options := transfer.Options{
		Apply: func(ctx context.Context, schema string) error {
			_, err := app.ImportSchema(ctx, engine, schema)
			return err
		},
		Rules: app.ImportRules(engine), Progress: func(int64, int64) {},
	}
	_, err = transfer.ImportFrom(t.Context(), engine, strings.NewReader(text), options)
	require.NoError(t, err)
	_, err = transfer.ImportFrom(t.Context(), engine, strings.NewReader(text), options)
	require.NoError(t, err, "a second import of the same file")
	_, err = checkImport(
		t, engine,
		[]string{
			"account:t#guest@user:new", "importer:new#account@account:t", "importer:new#source@connection:private",
			"connection:shared#shared_with@user:new",
		},
	)
	require.NoError(t, err)
	for row, says := range map[string]string{
		"account:t#analytics@user:*":                "more than one role set",
		"account:t#user@user:olga":                  "allows one base role a person",
		"account:n#user@user:ed":                    "has no role user",
		"importer:i#account@account:o":              "has several accounts",
		"subscription:one#owner@user:oscar":         "more than one owner",
		"importer:i#source@connection:other":        "connection:other has no account",
		"connection:shared#connector@connector:own": "several connectors",
		"importer:i#creator@user:olga":              "more than one creator",
		"connection:shared#shared_with@user:no":     "holds no role",
	} {
		_, err := checkImport(t, engine, []string{row})
		require.ErrorContains(t, err, says, row)
	}
}

// TestExportOmitsLeftovers checks that an export omits exactly the relationships that expired roles left behind, so
// that it can be imported again.
func TestExportOmitsLeftovers(t *testing.T) {
	company := companyRows(t)
	stored := slices.DeleteFunc(
		slices.Clone(company), func(row string) bool { return strings.Contains(row, "expiration:2001") },
	)
	left := slices.DeleteFunc(slices.Clone(stored), func(row string) bool {
		return !strings.Contains(row, "carl") && !strings.HasPrefix(row, "invitation:all#")
	})
	left = append(left, "invitee:ned#latest@invitation:left[expiration:2999-01-01T00:00:00Z]")
	more := []string{left[len(left)-1]}
	for relation, subject := range map[string]string{
		"place": "account:t", "inviter": "user:carl", "invitee": "user:ned", "role": "role:user",
	} {
		more = append(more, "invitation:left#"+relation+"@"+subject+"[expiration:2999-01-01T00:00:00Z]")
	}
	left = append(left, more[1:]...)
	stored = append(stored, more...)
	require.Len(t, left, 10)

	engine, err := app.MakeStore(t.Context(), app.StoreConfig{Datastore: "sqlite", DataDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	product, err := schema.Flatten()
	require.NoError(t, err)
	_, err = app.ImportSchema(t.Context(), engine, product)
	require.NoError(t, err)
	require.NoError(t, engine.Import(t.Context(), stored))
	var all, kept bytes.Buffer
	require.NoError(t, transfer.ExportTo(t.Context(), engine, &all, func(int64, int64) {}))
	require.NoError(t, transfer.ExportTo(t.Context(), app.ExportSource(engine), &kept, func(int64, int64) {}))
	count, err := transfer.CheckAll(t.Context(), bytes.NewReader(kept.Bytes()), app.ImportRules(nil))
	require.NoError(t, err)
	require.EqualValues(t, len(stored)-len(left), count)
	for _, row := range left {
		require.Contains(t, all.String(), row+"\n")
		require.NotContains(t, kept.String(), row+"\n")
	}
	_, err = transfer.CheckAll(t.Context(), bytes.NewReader(all.Bytes()), app.ImportRules(nil))
	require.ErrorContains(t, err, "(rule named member)")
}
