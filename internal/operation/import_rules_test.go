package operation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
	"github.com/sluice-authz/sluice/schema"
)

// ends is the text of an expiration long after the test.
const ends = "[expiration:2999-01-01T00:00:00Z]"

// Digests of the ids "s" and "one" of two subscriptions. The ids of memberships contain them.
var inS, inOne = string(digest("s")), string(digest("one"))

// brokenImport is a change of testdata/company.txt, which follows every rule. After the change, it breaks exactly one
// rule.
type brokenImport struct {
	rule string
	// without is the line to remove. with has additional relationships, separated by spaces.
	without, with string
	// line is the line that the error names. If it is empty, the error names a line of the relationships in with.
	line string
	says string
}

var brokenImports = []brokenImport{
	{"id", "", "account:t#guest@user:importer=3Ai9", "", `the id "importer=3Ai9" of a user stands for "importer:i9": an id must not begin with`},
	{"id", "", "account:t#guest@user:bad=zz", "", `has a character '=' that begins no escape; write "bad=3Dzz" for the id "bad=zz"`},
	{"id", "", "account:t#guest@user:bad=3dzz", "", `has an escape of the wrong form; write "bad=3Dzz" for the id "bad=zz"`},
	{"id", "", "account:t#guest@user:stored=3Abad=3Dzz", "", "no caller can choose an id that begins with stored:"},
	{"id", "", "importer:a=0Ab#account@account:t", "", `stands for "a\nb": an id must not contain control`},
	{"id", "", "importer:a=E2=80=8Bb#account@account:t", "", "this one contains U+200B"},
	{"id", "", "importer:" + strings.Repeat("a", 257) + "#account@account:t", "", "at most 256 bytes long, this one has 257"},
	{"id", "", "offboarding:" + strings.Repeat("a", 257) + "#from@account:t offboarding:" + strings.Repeat("a", 257) + "#requested_by@user:olga", "", "at most 256 bytes"},
	{"id", "", "deletion:report/" + strings.Repeat("a", 257) + "#done@user:ed" + ends, "", "at most 256 bytes"},
	{"id", "", "removed_user:user=3Aed#from@account:t" + ends, "", `stands for "user:ed"`},
	{"id", "", "deletion:importer/stored=3Ai=3Dzz#done@user:ed" + ends, "", `"stored:i=zz" is an id that another tool stored`},
	{"platform", "", "platform:other#administrator@user:root", "", "the only platform is platform:main"},
	{"platform", "subscription:one#platform@platform:main", "subscription:one#platform@platform:other", "", "but subscription:one is on platform:other"},
	{"one place", "subscription:one#platform@platform:main", "", "subscription:one#single_owner@user:*", "has no platform"},
	{"one place", "account:t#subscription@subscription:s", "", "account:t#team@user:*", "has no subscription"},
	{"one place", "", "account:t#subscription@subscription:one", "", "several subscriptions"},
	{"one place", "", "importer:lost#creator@user:ed", "", "has no account"},
	{"one place", "", "importer:i2#account@account:of-one", "", "several accounts"},
	{"one place", "", "flow:f#workspace@workspace:r", "", "several workspaces"},
	{"one place", "", "service:x#workspace@workspace:x", "", "workspace:x has no account"},
	{"one place", "", "importer:i2#destination@connection:x connection:x#connector@connector:c", "importer:i2#destination@connection:x", "connection:x has no account"},
	{"role set", "account:of-one#team@user:*", "", "account:of-one#subscription@subscription:one", "has no role set"},
	{"role set", "", "account:t#analytics@user:*", "", "more than one role set: team, analytics"},
	{"role set", "", "subscription:one#multi_owner@user:*", "", "more than one role set"},
	{"role set", "", "account:t#analytics@service_account:*", "", "the role set analytics for service accounts, but not for user:*"},
	{"account creation", "subscription:s#members_create_accounts@user:*", "", "subscription:s#platform@platform:main", "exactly one of user_permissions"},
	{"account creation", "", "subscription:s#user_permissions@user:*", "", "more than one flag"},
	{"role of the set", "", "account:t#operator@user:ed", "", "which has no role operator; its roles are owner, user, guest"},
	{"role of the set", "", "subscription:one#member@user:ed", "", "which has no role member"},
	{"one role", "", "account:t#user@user:milton", "", "allows one base role a person"},
	{"one role", "", "subscription:s#owner@user:ed", "", "allows one base role a person"},
	{"base role", "", "account:o#flow_author@user:ed", "", "without a base role"},
	{"required role", "account:t#owner@user:olga", "", "account:t#subscription@subscription:s", "account:t has no owner"},
	{"required role", "account:o#administrator@user:olga", "", "account:o#subscription@subscription:s", "account:o has no administrator"},
	{"required role", "subscription:one#owner@user:olga", "", "subscription:one#platform@platform:main", "subscription:one has no owner"},
	{"single owner", "", "subscription:one#owner@user:oscar", "", "more than one owner: user:olga and user:oscar"},
	{"member", "", "account:n#editor@user:zoe", "", "no role on its subscription"},
	{"membership", "", "membership:zoe/" + inS + "#further@subscription:s", "", "no role on it"},
	{"membership", "", "membership:oscar/" + inS + "#first@account:n", "", "holds no permanent role on account:n"},
	{"membership", "", "membership:ed/" + inOne + "#first@account:n", "", "is not the membership of user:ed"},
	{"membership", "account:n#editor@user:ed", "", "membership:ed/" + inS + "#first@account:n", "holds no permanent role on account:n"},
	{"first reason", "", "account:n2#subscription@subscription:s account:n2#analytics@user:* account:n2#editor@user:ed membership:ed/" + inS + "#first@account:n2", "", "more than one first"},
	{"account of the kind", "", "importer:x#account@account:n", "", "must be in an account with the role set team"},
	{"account of the kind", "", "report:x#account@account:t", "", "role set analytics"},
	{"account of the kind", "", "connector:x#account@account:t", "", "role set operations"},
	{"connector", "", "connector:x#capability_views@user:*", "", "has no account"},
	{"connector", "", "connector:c#capability_financial_settings@service_account:*", "", "has the flag capability_financial_settings for service_account:*, but not for user:*: add connector:c#capability_financial_settings@user:*"},
	{"connector", "", "connector:x#catalogue@service_account:*", "", "but not for user:*: add connector:x#catalogue@user:*"},
	{"connector", "", "connector:own#capability_views@user:*", "", "only connectors of the catalogue have capabilities"},
	{"connector", "", "connector:own#catalogue@user:*", "", "in the catalogue and in an account"},
	{"connector", "connector:c#catalogue@user:*", "", "connector:c#capability_views@user:*", "has no account"},
	{"one creator", "", "importer:i#creator@user:olga", "", "more than one creator: user:uma and user:olga"},
	{"one creator", "", "connection:private#creator@user:olga", "", "more than one creator"},
	{"one creator", "connection:private#creator@user:gone", "", "connection:private#account@account:t", "private and has no creator"},
	{"one connector", "connection:shared#connector@connector:c", "", "connection:shared#account@account:t", "has no connector"},
	{"one connector", "", "connector:d#catalogue@user:* connection:shared#connector@connector:d", "", "several connectors"},
	{"one group", "", "connection_group:h#account@account:t connection:shared#member_of@connection_group:h", "", "more than one member_of"},
	{"importer ends", "", "importer:i#source@connection:shared", "", "more than one source"},
	{"importer ends", "", "importer:i#destination@connection:private", "", "more than one destination"},
	{"same account", "", "importer:i2#destination@connection:only", "", "its destination connection:only is in account:of-one"},
	{"same account", "", "connection:only#member_of@connection_group:g", "", "is in account:t"},
	{"same account", "", "connection:own#account@account:t connection:own#creator@user:uma connection:own#connector@connector:own", "", "its connector connector:own is in account:o"},
	{"same account", "", "connection:shared#shared@account:o", "", "its relation shared must not have the subject account:o"},
	{"same account", "", "workspace:w#open@account:n", "", "its relation open must not have the subject account:n"},
	{"private connection", "connection:only#shared@account:of-one", "", "connection:only#account@account:of-one", "connection:only is private"},
	{"private connection", "", "account:of-one#user@user:ed connection:only#shared_with@user:ed", "", "by name"},
	{"named member", "", "connection:private#shared_with@user:stranger", "", "holds no role on account:t"},
	{"named member", "", "workspace:r#member@user:stranger", "", "holds no role on account:o"},
	{"invitation", "invitation:open#role@role:owner" + ends, "", "invitation:open#place@account:t" + ends, "neither open"},
	{"invitation", "", "invitation:open#invitee@user:ned" + ends, "invitation:open#place@account:t" + ends, "neither open"},
	{"invitation", "", "invitation:open#accepted@user:nina" + ends, "invitation:open#place@account:t" + ends, "neither open"},
	{"invitation", "", "invitation:x#inviter@user:olga" + ends, "", "neither open"},
	{"invitation", "", "invitation:no#place@account:t" + ends, "invitation:no#declined@user:zoe" + ends, "neither open"},
	{"offered roles", "", "invitation:open#role@role:guest" + ends, "", "a person holds one of"},
	{"offered roles", "", "invitation:used#role@role:editor" + ends, "", "is not a role of the role set team"},
	{"offered roles", "invitation:open#role@role:owner" + ends, "invitation:open#role@custom_role:s/auditor" + ends + " invitation:x#place@account:o" + ends + " invitation:x#accepted@user:nina" + ends + " invitation:x#role@custom_role:s/auditor" + ends, "invitation:x#place@account:o" + ends, "offers custom_role:s/auditor on account:o, but the role belongs to account:t"},
	{"offered roles", "invitation:all#role@role:user" + ends, "invitation:all#role@custom_role:s/auditor" + ends, "", "only user may be offered to everybody"},
	{"offered roles", "invitation:all#role@role:user" + ends, "invitation:all#role@role:owner" + ends, "", "only user may be offered to everybody"},
	{"inviter", "invitation:open#inviter@user:olga" + ends, "invitation:open#inviter@user:stranger" + ends, "", "holds no role on account:t"},
	{"inviter", "invitation:to-s#inviter@user:root" + ends, "invitation:to-s#inviter@user:milton" + ends, "", "holds no role on"},
	{"latest invitation", "", "invitee:nina#latest@invitation:expired" + ends, "", "more than one latest"},
	{"latest invitation", "", "invitee:ed#latest@invitation:to-s" + ends, "", "does not name user:ed"},
	{"deletion", "", "deletion:nothing/x#done@user:ed" + ends, "", "names no object"},
	{"deletion", "", "deletion:connection_group/g#requested_by@user:ed", "", "names no object"},
	{"deletion", "", "deletion:membership/report/r#done@user:ed" + ends, "", "names no object"},
	{"deletion", "", "deletion:relationships/report=3Ar#relationships@platform:main", "", "names no object"},
	{"offboarding", "", "offboarding:x#keeps_roles@user:*", "", "has no from"},
	{"offboarding", "", "offboarding:uma#from@account:o", "", "several froms"},
	{"offboarding", "offboarding:uma#requested_by@user:olga", "", "offboarding:uma#from@account:t", "has no requested_by"},
	{"offboarding", "", "offboarding:uma#reassign_to@user:oscar", "", "more than one new owner"},
	{"offboarding", "offboarding:uma#reassign_to@user:olga", "offboarding:uma#reassign_to@user:uma", "", "as the new owner"},
	{"offboarding", "", "offboarding:former#reassign_to@user:olga", "", "reassigns nothing"},
	{"offboarding", "offboarding:uma#reassign_to@user:olga", "", "offboarding:uma#disconnects_private@user:*", "private connections"},
	{"offboarding", "", "offboarding:uma#moves_private@user:*", "", "private connections"},
	{"custom role", "custom_role:s/auditor#title@title:Auditor", "", "custom_role:s/auditor#scope@account:t", "has no title"},
	{"custom role", "", "custom_role:s/auditor#slot@custom_role_slot:account/t/2", "", "has several slots"},
	{"custom role", "custom_role:s/auditor#slot@custom_role_slot:account/t/1", "custom_role:s/auditor#slot@custom_role_slot:account/t/51", "", "which is none of account:t"},
	{"custom role", "custom_role:s/auditor#slot@custom_role_slot:account/t/1", "custom_role:s/auditor#slot@custom_role_slot:account/t/01", "", "which is none of account:t"},
	{"custom role", "", strings.ReplaceAll(strings.ReplaceAll(otherRole("custom_role:s/second", "account:t", 2), "custom_role:s/second#active@user:* ", ""), "custom_role:s/second#active@service_account:* ", ""), "custom_role:s/second#title@title:Second", "is not active"},
	{"custom role", "custom_role:s/auditor#active@user:*", "", "custom_role:s/auditor#active@service_account:*", "but not for user:*"},
	{"custom role", "custom_role:s/auditor#importer_view@service_account:*", "", "custom_role:s/auditor#importer_view@user:*", "but not for service_account:*"},
	{"custom role", "", "custom_role:s/auditor#importer_run@service_account:* custom_role:s/auditor#importer_run@user:*", "custom_role:s/auditor#version@custom_role_version:JE91HCX6XtEUMZogLDxk3YP6uvpYiEhtdyM5M_FDyIk", "but its content has"},
	{"custom role", "", "custom_role:s/auditor#description@description:Reads", "custom_role:s/auditor#version@custom_role_version:JE91HCX6XtEUMZogLDxk3YP6uvpYiEhtdyM5M_FDyIk", "but its content has"},
	{"custom role", "", otherRole("custom_role:one/second", "account:t", 2), "custom_role:one/second#title@title:Second", `its id must begin with "s/"`},
	{"custom role", "", otherRole("custom_role:second", "account:t", 2), "custom_role:second#title@title:Second", `its id must begin with "s/"`},
	{"custom role", "", otherRole("custom_role:s/owner", "account:t", 2), "custom_role:s/owner#title@title:Second", `"owner" is the name of a built-in role`},
	{"one slot", "", otherRole("custom_role:s/second", "account:t", 1), "custom_role:s/second#slot@custom_role_slot:account/t/1", "have the same slot"},
	{"role binding", bindingT + "#place@account:t", "", bindingT + "#role@custom_role:s/auditor", "has 1 role and 0 places"},
	{"role binding", bindingT + "#role@custom_role:s/auditor", "", bindingT + "#place@account:t", "has 0 roles and 1 place"},
	{"role binding", "", "role_binding:x/s/auditor#place@account:t role_binding:x/s/auditor#role@custom_role:s/auditor", "role_binding:x/s/auditor#place@account:t", "so it must have the id VsaV8"},
	{"role binding", "", bindingO + "#place@account:o " + bindingO + "#role@custom_role:s/auditor", bindingO + "#place@account:o", "but the role belongs to account:t"},
	{"binding of the place", "", "account:o#role_binding@" + bindingT, "", "which is of another place"},
	{"binding of the place", "", "account:o#last_role_binding@" + bindingT, "", "which is of another place"},
	{"idempotency key", "", "idempotency_key:k#done@request:other" + ends, "", "more than one done"},
}

// The bindings of the company's custom role on the accounts t and o. The first one is stored.
const (
	bindingT = "role_binding:VsaV8JCkML-ff9Oh0E-SMxca9hOj1Py3Hz9R3xQC8kM/s/auditor"
	bindingO = "role_binding:603BgDLygACkqW7XZb1wXMaiLaGXUrgEJT4K9FIg_0A/s/auditor"
)

// otherRole returns the relationships of a custom role without grants.
func otherRole(role, scope string, slot int) string {
	version := CustomRole{Title: "Second"}.Version()
	place := strings.Replace(scope, ":", "/", 1)
	return fmt.Sprintf("%s#title@title:Second %[1]s#version@custom_role_version:%s %[1]s#active@user:* "+
		"%[1]s#active@service_account:* %[1]s#slot@custom_role_slot:%[3]s/%[4]d %[1]s#scope@%[5]s", role, version, place, slot, scope)
}

func companyRows(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("testdata/company.txt")
	require.NoError(t, err)
	return strings.Fields(string(content))
}

// problemsOf checks rows against all rules, except the rule whose name is the parameter but. The first row is on line
// 1.
func problemsOf(t *testing.T, definitions []authz.Definition, rows []string, but string) []error {
	t.Helper()
	r := NewImportRules(definitions, nil)
	require.True(t, r.product)
	r.rules = slices.DeleteFunc(slices.Clone(productRules), func(rule productRule) bool { return rule.name == but })
	for i, row := range rows {
		r.Add(i+1, txtest.Relationship(t, row))
	}
	problems, err := r.Problems(t.Context())
	require.NoError(t, err)
	return problems
}

func productDefinitions(t *testing.T, more string) []authz.Definition {
	t.Helper()
	text, err := schema.Flatten()
	require.NoError(t, err)
	definitions, err := schema.Describe(text + more)
	require.NoError(t, err)
	return definitions
}

// TestImportRejectsRepeatedRelationships repeats each relationship of the company. The only problem is the repetition.
func TestImportRejectsRepeatedRelationships(t *testing.T) {
	definitions := productDefinitions(t, "")
	company := companyRows(t)
	problems := problemsOf(t, definitions, slices.Concat(company, company), "")
	require.Len(t, problems, len(company))
	for i, problem := range problems {
		row := txtest.Relationship(t, company[i]).String()
		says := fmt.Sprintf("line %d: %s repeats line %d (rule no repetition)", len(company)+i+1, row, i+1)
		require.ErrorContains(t, problem, says)
	}
}

// TestImportRules breaks one rule at a time. An error names the line and the rule. Without that rule there is no error.
// The cases break every rule.
func TestImportRules(t *testing.T) {
	definitions := productDefinitions(t, "")
	company := companyRows(t)
	require.Empty(t, problemsOf(t, definitions, company, ""))
	broken := make(map[string]bool)
	for i, c := range brokenImports {
		t.Run(fmt.Sprint(c.rule, " ", i), func(t *testing.T) {
			broken[c.rule] = true
			rows := slices.Clone(company)
			if c.without != "" {
				i := slices.Index(rows, c.without)
				require.GreaterOrEqual(t, i, 0, c.without)
				rows = slices.Delete(rows, i, i+1)
			}
			added := strings.Fields(c.with)
			rows = append(rows, added...)
			named := slices.Index(rows, c.line)
			if c.line == "" {
				named = len(rows) - 1
				if c.rule == "id" {
					named = len(rows) - len(added)
				}
			}
			require.GreaterOrEqual(t, named, 0, c.line)
			problems := problemsOf(t, definitions, rows, "")
			require.NotEmpty(t, problems)
			for _, problem := range problems {
				require.ErrorIs(t, problem, authz.CodeInvalid)
				require.ErrorContains(t, problem, "(rule "+c.rule+")")
			}
			require.ErrorContains(t, problems[0], fmt.Sprintf("line %d: ", named+1))
			require.ErrorContains(t, problems[0], c.says)
			require.Empty(t, problemsOf(t, definitions, rows, c.rule), "no other rule finds it")
		})
	}
	for _, rule := range productRules {
		require.True(t, broken[rule.name], "no case breaks the rule %s", rule.name)
	}
}

// TestImportRulesAreDocumented checks that docs/durable.md has the sentence of every rule.
func TestImportRulesAreDocumented(t *testing.T) {
	content, err := os.ReadFile("../../docs/durable.md")
	require.NoError(t, err)
	for _, rule := range productRules {
		require.Contains(t, string(content), "| "+rule.name+" | "+rule.sentence+" |")
	}
}

// TestImportHoldsOwnTypesToSchemaAndIDs checks objects of types that a user declared: they may have any relationship
// that the schema accepts, if the API accepts the ids.
func TestImportHoldsOwnTypesToSchemaAndIDs(t *testing.T) {
	definitions := productDefinitions(t, "\ndefinition page {\n  relation account: account\n  relation editor: user | page\n}\n")
	rows := append(companyRows(t), "page:a=3Db#editor@user:new", "page:p#account@account:nowhere", "page:p#account@account:t")
	require.Empty(t, problemsOf(t, definitions, rows, ""))
	for row, says := range map[string]string{
		"page:p#reader@user:ed":            "the type page has no relation reader (rule schema)",
		"page:a=zz#editor@user:ed":         `the id "a=zz" of a page has a character '=' that begins no escape; write "a=3Dzz"`,
		"page:p#editor@page:a=zz":          `the id "a=zz" of a page`,
		"page:p#editor@user:a=7":           `the id "a=7" of a user`,
		"page:importer=3Ai9#editor@user:u": `the id "importer=3Ai9" of a page stands for "importer:i9"`,
	} {
		problems := problemsOf(t, definitions, append(rows, row), "")
		require.Len(t, problems, 1, row)
		require.ErrorContains(t, problems[0], fmt.Sprintf("line %d: ", len(rows)+1))
		require.ErrorContains(t, problems[0], says)
	}
}

// TestImportAcceptsForeignIDsOfExports checks that the rules accept, in an export, the ids that another tool stored.
func TestImportAcceptsForeignIDsOfExports(t *testing.T) {
	definitions := productDefinitions(t, "\ndefinition page {\n  relation editor: user\n}\n")
	rules := NewImportRules(definitions, nil)
	rules.AcceptForeignIDs = true
	rows := append(companyRows(t), "page:a=zz#editor@user:a=7")
	for _, c := range brokenImports {
		if c.rule == "id" && !strings.HasPrefix(c.with, "deletion:report/") {
			rows = append(rows, strings.Fields(c.with)...)
		}
	}
	for i, row := range rows {
		require.True(t, rules.Add(i+1, txtest.Relationship(t, row)), row)
	}
	problems, err := rules.Problems(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestImportRefusesFlagsWithoutTheirObject checks that a flag relationship alone (`account:x#team@user:*`) does not
// make an object: the import refuses it.
func TestImportRefusesFlagsWithoutTheirObject(t *testing.T) {
	definitions := productDefinitions(t, "")
	company := companyRows(t)
	for _, definition := range definitions {
		for relation, accepted := range definition.Accepts {
			isWildcard := func(s authz.SubjectType) bool { return s.Wildcard }
			if !isOfProduct(definition.Type) || !slices.ContainsFunc(accepted, isWildcard) {
				continue
			}
			row := fmt.Sprintf("%s:alone#%s@user:*", definition.Type, relation)
			if slices.ContainsFunc(accepted, func(s authz.SubjectType) bool { return s.Wildcard && s.Expires }) {
				row += ends
			}
			problems := problemsOf(t, definitions, append(company, row), "")
			if relation == "catalogue" { // a connector of the catalogue needs no other relationship
				require.Empty(t, problems)
				continue
			}
			require.NotEmpty(t, problems, row)
			require.ErrorContains(t, problems[0], fmt.Sprintf("line %d: ", len(company)+1))
		}
	}
}
