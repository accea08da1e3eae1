package owntype_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/owntype"
	"github.com/sluice-authz/sluice/schema"
)

const text = `use import
use expiration
import "sluice/root.zed"
caveat in_hours(hour int, days list<int>) { hour >= 9 }
definition folder {
	relation parent: folder
	relation viewer: user | user:* | user with expiration | user with in_hours | folder#viewer
	permission view = viewer + parent->view
}
definition dashboard {
	relation account: account
	relation editor: user
	permission edit = editor & account->view
}
definition tag {}
`

func rulesOf(t *testing.T, text string) *owntype.Rules {
	t.Helper()
	file, err := schema.Parse(t.Context(), text, "theirs.zed")
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := schema.Describe(file.Text)
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := schema.ReadParameters(file.Text)
	if err != nil {
		t.Fatal(err)
	}
	product, err := schema.ProductTypes()
	if err != nil {
		t.Fatal(err)
	}
	return owntype.New(definitions, product, parameters)
}

// check requires an error with CodeInvalid that contains the text want, or no error if want is empty.
func check(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") ||
		err != nil && (!strings.Contains(err.Error(), want) || authz.CodeOf(err) != authz.CodeInvalid) {
		t.Errorf("%s: the error is %v, want %q", what, err, want)
	}
}

func TestOnlyTypesThatAreNotTheProductsAreAccepted(t *testing.T) {
	rules, without := rulesOf(t, text), rulesOf(t, "use import\nimport \"sluice/root.zed\"")
	product, err := schema.ProductTypes()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range product {
		check(t, string(typ), rules.CheckType(typ), "is a type of the product")
		check(t, string(typ), rules.CheckType(typ), "types of your own are dashboard, folder, tag")
		check(t, string(typ), without.CheckType(typ), "the schema has no types of your own")
	}
	check(t, "folder", rules.CheckType("folder"), "")
	check(t, "foldr", rules.CheckType("foldr"), `has no type "foldr"; the nearest is folder; types of your own are`)
	check(t, "stamp", rules.CheckType("sluice_schema"), "has no type")
}

func TestRelationshipsMustFitTheSchema(t *testing.T) {
	rules := rulesOf(t, text)
	const accepted = "it accepts folder#viewer, user, user with expiration, user with in_hours, user:*"
	for _, tt := range []struct {
		resource, relation, subject string
		wildcard, expires           bool
		caveat                      string
		err, deletion               string
	}{
		{resource: "folder:f", relation: "viewer", subject: "user:bob"},
		{resource: "folder:f", relation: "viewer", subject: "user:bob", expires: true},
		{resource: "folder:f", relation: "viewer", subject: "user:bob", caveat: "in_hours"},
		{resource: "folder:f", relation: "viewer", subject: "user:x", wildcard: true},
		{resource: "folder:f", relation: "viewer", subject: "folder:g#viewer"},
		{
			resource: "folder:f", relation: "viewer", subject: "folder:g",
			err: "folder#viewer does not accept folder; " + accepted, deletion: accepted,
		},
		{
			resource: "folder:f", relation: "viewer", subject: "user:bob", caveat: "in_hours", expires: true,
			err: "does not accept user with in_hours and expiration; " + accepted,
		},
		{
			resource: "dashboard:d", relation: "editor", subject: "user:bob", expires: true,
			err: "dashboard#editor does not accept user with expiration; it accepts user",
		},
		{
			resource: "dashboard:d", relation: "editor", subject: "user:x", wildcard: true,
			err: "it accepts user; user:* means everybody", deletion: "it accepts user; user:* means everybody",
		},
		{
			resource: "dashboard:d", relation: "editr", subject: "user:bob",
			err:      `dashboard has no relation "editr"; its relations are account, editor`,
			deletion: `dashboard has no relation "editr"`,
		},
		{
			resource: "dashboard:d", relation: "edit", subject: "user:bob",
			err:      "edit is a permission of dashboard, which is computed and not stored; its relations are",
			deletion: "edit is a permission",
		},
		{
			resource: "tag:t", relation: "any", subject: "user:bob", err: "it has no relations", deletion: "it has no relations",
		},
		{resource: "folder:stored:A=", relation: "viewer", subject: "user:bob", err: "another tool stored"},
		{resource: "folder:f", relation: "viewer", subject: "user:stored:A=", err: "another tool stored"},
	} {
		resource, err := authz.ParseObject(tt.resource)
		if err != nil {
			t.Fatal(err)
		}
		subject, err := authz.ParseSubject(tt.subject)
		if err != nil {
			t.Fatal(err)
		}
		if tt.wildcard {
			subject = authz.Everybody(subject.Type)
		}
		r := authz.Relationship{
			Resource: resource, Relation: authz.Relation(tt.relation), Subject: subject, Caveat: tt.caveat,
		}
		if tt.expires {
			r.ExpiresAt = time.Now()
		}
		check(t, r.String(), rules.CheckRelationship(r), tt.err)
		check(t, "the deletion of "+r.String(), rules.CheckDeletion(r), tt.deletion)
		check(t, "the filter for "+r.String(), rules.CheckFilter(authz.Exactly(r)), filterError(tt.deletion))
	}
	check(t, "a filter", rules.CheckFilter(authz.Filter{Type: "account", ID: "a", SubjectType: "user"}), "")
	check(t, "a filter", rules.CheckFilter(authz.Filter{Type: "accont", ID: "a"}), `no type "accont"`)
	check(t, "a filter", rules.CheckFilter(authz.Filter{Type: "folder", SubjectType: "account"}),
		"folder does not accept account; it accepts folder, folder#viewer, user,")
}

// filterError returns the part of an error text that CheckFilter returns too: everything before the hint about
// user:*.
func filterError(text string) string {
	before, _, _ := strings.Cut(text, "; user:*")
	return before
}

func TestCaveatsMustFitTheSchema(t *testing.T) {
	rules := rulesOf(t, text)
	check(t, "a caveat", rules.CheckCaveat("in_hours"), "")
	check(t, "a caveat", rules.CheckCaveat("in_hour"), `no caveat "in_hour"; its caveats are in_hours`)
	check(t, "a caveat", rulesOf(t, "definition tag {}").CheckCaveat("in_hours"), "the schema has no caveats")
	context := func(values map[string]any, text string) error {
		return rules.CheckContext("in_hours", "caveat.context", values, text)
	}
	check(t, "a context", context(map[string]any{"hour": 3.0}, `{"hour":3}`), "")
	check(t, "a context", context(map[string]any{"hour": "x"}, `{"hour":"x"}`), "must be of the type int")
	check(t, "a context", context(map[string]any{"our": 3.0}, `{"our":3}`), "its parameters are days, hour")
	check(t, "a context", context(map[string]any{"days": []any{1e22}}, `{"days":[1e22]}`), `"caveat.context.days[0]"`)
}
