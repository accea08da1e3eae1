package app_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

// company are relationships that follow every rule of the product.
var company = []string{
	"platform:main#administrator@user:root",
	"subscription:s#platform@platform:main",
	"subscription:s#multi_owner@user:*",
	"subscription:s#members_create_accounts@user:*",
	"subscription:s#owner@user:olga",
	"subscription:s#owner@user:oscar",
	"subscription:s#member@user:ed",
	"subscription:one#platform@platform:main",
	"subscription:one#single_owner@user:*",
	"subscription:one#user_permissions@user:*",
	"subscription:one#owner@user:olga",
	"subscription:one#it_admin@user:olga",
	"account:t#subscription@subscription:s",
	"account:t#team@user:*",
	"account:t#owner@user:olga",
	"account:t#guest@user:milton",
	"account:o#subscription@subscription:s",
	"account:o#operations@user:*",
	"account:o#administrator@user:olga",
	"account:o#operator@user:peter",
	"account:o#flow_author@user:peter",
	"account:o#flow_author@user:alone", // whose base role has expired
	"account:n#subscription@subscription:s",
	"account:n#analytics@user:*",
	"account:n#editor@user:ed",
	"account:of-one#subscription@subscription:one",
	"account:of-one#team@user:*", // the owner of the subscription reaches it
	"connector:c#catalogue@user:*",
	"connector:own#account@account:o",
	"connection:private#account@account:t",
	"connection:private#connector@connector:c",
	"connection:private#creator@user:gone",
	"connection:shared#account@account:t",
	"connection:shared#shared@account:t",
	"connection:shared#member_of@connection_group:g",
	"connection_group:g#account@account:t",
	"importer:i#account@account:t",
	"importer:i#source@connection:private",
	"importer:i#destination@connection:shared",
	"workspace:w#account@account:o",
	"workspace:w#open@account:o",
	"flow:f#workspace@workspace:w",
	"schedule:sc#workspace@workspace:w",
	"service:se#workspace@workspace:w",
	"integration:in#account@account:o",
	"export:e#account@account:n",
	"report:r#account@account:n",
	"account:being-deleted#guest@user:milton", // the cut has ended its role set
	"deletion:account/being-deleted#begun_by@user:olga",
	"importer:in-it#account@account:being-deleted",
	"importer:i2#account@account:t",
	"importer:i2#source@connection:being-deleted",
	"deletion:connection/being-deleted#begun_by@user:olga",
}

// companyFile is a validation YAML of relationships. firstLine is the line of the first.
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

// TestImportRules breaks one rule of the product at a time: the error names the line and the rule.
func TestImportRules(t *testing.T) {
	_, err := checkImport(t, nil, company)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		without, with string // lines of the company
		line          string // that is named
		says          string
	}{
		"an account without a role set":               {"account:t#team@user:*", "", "account:t#subscription@subscription:s", "account:t has no role set: it needs exactly one of team, operations, analytics"},
		"an account with two role sets":               {"", "account:t#analytics@user:*", "account:t#analytics@user:*", "account:t has more than one role set: team, analytics"},
		"an account without a subscription":           {"account:t#subscription@subscription:s", "", "account:t#team@user:*", "account:t has no subscription"},
		"an account in two subscriptions":             {"", "account:t#subscription@subscription:one", "account:t#subscription@subscription:one", "account:t has several subscriptions"},
		"an account in no subscription that exists":   {"", "account:x#subscription@subscription:x", "account:x#subscription@subscription:x", "subscription:x has no role set"},
		"a team account without an owner":             {"account:t#owner@user:olga", "", "account:t#subscription@subscription:s", "account:t has no owner: under the role set team it needs one"},
		"an operations account without administrator": {"account:o#administrator@user:olga", "", "account:o#subscription@subscription:s", "account:o has no administrator"},
		"a role that the role set lacks":              {"", "account:t#editor@user:ed", "account:t#editor@user:ed", "account:t has the role set team, which has no role editor; its roles are owner, user, guest"},
		"two roles where one is allowed":              {"", "account:t#user@user:milton", "account:t#user@user:milton", "a person holds one of user, guest"},
		"a subscription without a role set":           {"subscription:s#multi_owner@user:*", "", "subscription:s#platform@platform:main", "subscription:s has no role set"},
		"a subscription without a platform":           {"subscription:s#platform@platform:main", "", "subscription:s#multi_owner@user:*", "subscription:s has no platform"},
		"a subscription on another platform":          {"", "subscription:s#platform@platform:other", "subscription:s#platform@platform:other", "subscription:s has several platforms"},
		"another platform":                            {"", "platform:other#administrator@user:root", "platform:other#administrator@user:root", "there is one platform, platform:main"},
		"a subscription without the feature's flag":   {"subscription:s#members_create_accounts@user:*", "", "subscription:s#platform@platform:main", "exactly one of user_permissions, members_create_accounts"},
		"a subscription without an owner":             {"subscription:one#owner@user:olga", "", "subscription:one#platform@platform:main", "subscription:one has no owner"},
		"two owners under single_owner":               {"", "subscription:one#owner@user:oscar", "subscription:one#owner@user:oscar", "subscription:one has more than one owner: user:olga and user:oscar"},
		"a role of the other role set":                {"", "subscription:one#member@user:ed", "subscription:one#member@user:ed", "which has no role member"},
		"an importer without an account":              {"importer:i#account@account:t", "", "importer:i#source@connection:private", "importer:i has no account"},
		"an importer in two accounts":                 {"", "importer:i#account@account:o", "importer:i#account@account:o", "importer:i has several accounts"},
		"an object that only somebody created":        {"", "importer:lost#creator@user:ed", "importer:lost#creator@user:ed", "importer:lost has no account"},
		"an object in an account that is not there":   {"", "report:x#account@account:x", "report:x#account@account:x", "account:x has no role set"},
		"a flow without a workspace that exists":      {"workspace:w#account@account:o", "", "workspace:w#open@account:o", "workspace:w has no account"},
		"a source in another account":                 {"", "importer:i#source@connection:abroad\n  connection:abroad#account@account:of-one\n  connection:abroad#shared@account:of-one", "importer:i#source@connection:abroad", "its source connection:abroad in another, account:of-one"},
		"a source that is not there":                  {"", "importer:i#source@connection:x", "importer:i#source@connection:x", "connection:x has no account"},
		"shared with another account":                 {"", "connection:shared#shared@account:o", "connection:shared#shared@account:o", "shared cannot be account:o"},
		"open to another account":                     {"", "workspace:w#open@account:n", "workspace:w#open@account:n", "open cannot be account:n"},
		"a private connection where none can be":      {"", "connection:p#account@account:of-one", "connection:p#account@account:of-one", "connection:p is private"},
		"a connector in the catalogue and an account": {"", "connector:own#catalogue@user:*", "connector:own#account@account:o", "connector:own is in the catalogue and in an account"},
		"an unknown type":                             {"", "house:h#owner@user:ed", "house:h#owner@user:ed", "the schema has no type house"},
		"an unknown relation":                         {"", "account:t#boss@user:ed", "account:t#boss@user:ed", "the type account has no relation boss"},
		"an owner for a limited time":                 {"", "account:t#owner@user:ed[expiration:2999-01-01T00:00:00Z]", "account:t#owner@user:ed[expiration:2999-01-01T00:00:00Z]", "account#owner does not accept the subject type user with an expiration"},
		"a subject of another type":                   {"", "account:t#owner@account:o", "account:t#owner@account:o", "account#owner does not accept the subject type account"},
	} {
		t.Run(name, func(t *testing.T) {
			rows := slices.Clone(company)
			if c.without != "" {
				i := slices.Index(rows, c.without)
				require.GreaterOrEqual(t, i, 0)
				rows = slices.Delete(rows, i, i+1)
			}
			if c.with != "" {
				rows = append(rows, c.with)
			}
			first, err := checkImport(t, nil, rows)
			require.ErrorIs(t, err, authz.CodeInvalid)
			lines := strings.Split(strings.ReplaceAll(strings.Join(rows, "\n"), "\n  ", "\n"), "\n")
			named := slices.Index(lines, c.line)
			require.GreaterOrEqual(t, named, 0)
			found := slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool {
				return strings.Contains(line, lineOf(first+named)) && strings.Contains(line, c.says)
			})
			require.True(t, found, "%q at line %d is not in:\n%v", c.says, first+named, err)
		})
	}

	t.Run("what expired counts for nothing", func(t *testing.T) {
		_, err := checkImport(t, nil, append(slices.Clone(company), "account:t#user@user:milton[expiration:2001-01-01T00:00:00Z]"))
		require.NoError(t, err)
	})
}

func lineOf(n int) string { return fmt.Sprintf("line %d: ", n) }

// TestImportRulesWithStored: what is stored already completes what is imported, and contradicts it.
func TestImportRulesWithStored(t *testing.T) {
	engine, err := app.MakeStore(t.Context(), app.StoreConfig{Datastore: "sqlite", DataDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	text, _ := companyFile(t, company)
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
	require.NoError(t, err, "again")
	_, err = checkImport(t, engine, []string{"account:t#guest@user:new", "importer:new#account@account:t", "importer:new#source@connection:private"})
	require.NoError(t, err)
	for row, says := range map[string]string{
		"account:t#analytics@user:*":         "more than one role set",
		"account:t#user@user:olga":           "a person holds one of",
		"account:n#user@user:ed":             "has no role user",
		"importer:i#account@account:o":       "has several accounts",
		"subscription:one#owner@user:oscar":  "more than one owner",
		"importer:i#source@connection:other": "connection:other has no account",
	} {
		_, err := checkImport(t, engine, []string{row})
		require.ErrorContains(t, err, says, row)
	}
}
