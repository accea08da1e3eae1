package customroles_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/testsize"
	"github.com/sluice-authz/sluice/schema"
	"github.com/sluice-authz/sluice/schema/customroles"
)

func definitions(t *testing.T) (text string, all []authz.Definition) {
	t.Helper()
	text, err := schema.Flatten()
	require.NoError(t, err)
	all, err = schema.Describe(text)
	require.NoError(t, err)
	return text, all
}

// product is Sluice's schema: its text, the public permissions of each type, and those that custom roles can grant.
type product struct {
	text      string
	public    map[authz.Type][]authz.Permission
	grantable []string
}

func newProduct(t *testing.T) product {
	t.Helper()
	text, all := definitions(t)
	p := product{text: text, public: make(map[authz.Type][]authz.Permission)}
	for _, d := range all {
		p.public[d.Type] = d.Public()
		for _, permission := range d.Permissions {
			if permission.Grantable {
				p.grantable = append(p.grantable, string(d.Type)+"."+string(permission.Name))
			}
		}
	}
	return p
}

// compare compares the decisions of a schema with the definition of custom roles (Situation.Allows), in random
// situations. It returns the first difference. If there is none, depended counts how often each permission was
// granted only by a custom role.
func (p product) compare(t *testing.T, text string, situations int) (difference string, depended map[string]int) {
	t.Helper()
	empty, err := replica.NewFixed(text, nil)
	require.NoError(t, err)
	depended = make(map[string]int)
	for seed := range uint64(situations) {
		s := customroles.New(rand.New(rand.NewPCG(seed, 14)), p.grantable)
		builtIn := asked(t, empty.With(relationships(t, s.BuiltIn)), s.Subject)
		custom := asked(t, empty.With(relationships(t, append(slices.Clone(s.BuiltIn), s.Custom...))), s.Subject)
		for _, o := range s.Objects {
			for _, permission := range p.public[o.Type] {
				want := s.Allows(permission, o, builtIn)
				if custom(permission, o.Ref) != want {
					return fmt.Sprintf("seed %d: %s#%s@%s: want %t, with\n%s", seed, o.Ref, permission, s.Subject, want,
						strings.Join(s.Custom, "\n")), nil
				}
				if want && !builtIn(permission, o.Ref) {
					depended[string(o.Type)+"."+string(permission)]++
				}
			}
		}
	}
	return "", depended
}

// TestExactlyTheSubset checks that custom roles grant exactly the permissions that their definition allows. It
// checks every type of object. The subjects are people, members of groups, and service accounts. They hold roles on
// a subscription, on accounts and on single objects.
func TestExactlyTheSubset(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	difference, depended := p.compare(t, p.text, testsize.Of(40, 3000))
	require.Empty(t, difference)
	for _, name := range p.grantable {
		require.Positive(t, depended[name], "no situation depends on a role that grants %s", name)
	}
	require.Len(t, depended, len(p.grantable), "a permission that is not grantable was granted")
}

// TestWrongSchemasAreFound puts mistakes into the schema, so that it grants more or less than the definition allows.
// It checks that compare finds each mistake.
func TestWrongSchemasAreFound(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	mistakes := map[string]string{
		"(role_binding->as_importer_run & account->view)":            "role_binding->as_importer_run",
		"(shared_with & account->as_member)":                         "shared_with",
		"(member & account->as_member)":                              "member",
		"(as_admitted & account->as_custom_connection_use)":          "account->as_custom_connection_use",
		"(role_binding->as_connection_rename & as_open)":             "(role_binding->as_connection_rename & account->view)",
		"(as_admitted & account->as_custom_flow_run)":                "account->as_custom_flow_run",
		"(role_binding->as_flow_edit & account->view)":               "(role_binding->as_flow_edit & as_admitted)",
		"holder & role->account_view_usage":                          "holder",
		"role_binding->as_holder & as_active":                        "role_binding->as_holder",
		"subscription->as_custom_report_edit":                        "subscription->as_custom_report_view",
		"+ as_custom_role_holder":                                    "+ role_binding->as_holder",
		"(as_custom_account_create_connection & team)":               "as_custom_account_create_connection",
		"assign_roles = as_team_owner":                               "assign_roles = as_custom_account_edit + as_team_owner",
		"as_custom_modify_views & connector->as_views":               "as_custom_rename & connector->as_views",
		"+ as_custom_account_remove_members":                         "",
		"account->as_administrator + account->as_integration_author": "account->as_custom_integration_edit",
	}
	for i, from := range slices.Sorted(maps.Keys(mistakes)) {
		require.True(t, strings.Contains(p.text, from), from) //nolint:testifylint // the text is too long for a message
		if i%testsize.Of(5, 1) != 0 {
			continue
		}
		difference, _ := p.compare(t, strings.Replace(p.text, from, mistakes[from], 1), 400)
		require.NotEmpty(t, difference, "%s instead of %s", mistakes[from], from)
	}
}

// asked returns a function that checks permissions of a subject, and keeps the decisions.
func asked(t *testing.T, on *replica.Fixed, subject string) customroles.Asked {
	t.Helper()
	typ, id, _ := strings.Cut(subject, ":")
	type question struct {
		permission authz.Permission
		object     string
	}
	known := make(map[question]bool)
	return func(permission authz.Permission, object string) bool {
		q := question{permission, object}
		if allowed, isKnown := known[q]; isKnown {
			return allowed
		}
		of, resource, _ := strings.Cut(object, ":")
		decision, err := on.Check(t.Context(), authz.Check{
			Subject:    authz.Subject{Object: authz.Object{Type: authz.Type(typ), ID: authz.ID(id)}},
			Permission: permission,
			Resource:   authz.Object{Type: authz.Type(of), ID: authz.ID(resource)},
		}, time.Now())
		require.NoError(t, err)
		known[q] = decision.Allowed()
		return known[q]
	}
}

func relationships(t *testing.T, texts []string) []*v1.Relationship {
	t.Helper()
	all := make([]*v1.Relationship, len(texts))
	for i, text := range texts {
		parsed, err := tuple.Parse(text)
		require.NoError(t, err, text)
		all[i] = tuple.ToV1Relationship(parsed)
	}
	return all
}

// neverGrantable lists the public permissions that no custom role can grant. Some of them give access to other
// people, or delete an account or a subscription. The others belong to the platform, or follow from other
// permissions.
var neverGrantable = strings.Fields(`
	account.assign_roles account.delete account.invite_members account.manage_roles
	custom_role.manage custom_role.view group.manage group.view service_account.manage service_account.view
	platform.administer platform.manage_cloud_services platform.manage_settings
	subscription.cancel subscription.create_account subscription.invite_business_admin subscription.invite_it_admin
	subscription.invite_member subscription.invite_owner subscription.invite_read_only subscription.manage_groups
	subscription.manage_roles subscription.pay subscription.transfer_ownership
`)

// TestNeverGrantable checks that neverGrantable lists exactly the permissions that the schema does not mark as
// grantable.
func TestNeverGrantable(t *testing.T) {
	t.Parallel()
	_, all := definitions(t)
	var found []string
	for _, d := range all {
		for _, p := range d.Permissions {
			if !p.Internal && !p.Grantable {
				found = append(found, string(d.Type)+"."+string(p.Name))
			}
			require.False(t, p.Internal && p.Grantable, "the schema step %s.%s is grantable", d.Type, p.Name)
		}
	}
	require.ElementsMatch(t, neverGrantable, found)
}
