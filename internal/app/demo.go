package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/authz"
)

// step is one operation of the demo: the actor, a description, and the call.
type step struct {
	actor, says  string
	method, path string
	body         string
}

// company has the steps that create a small company, which uses every role set. Each step is one call of the API.
var company = []step{
	{
		"", "The backend puts two connectors into the catalogue", "PUT", "/v1/connectors/postgres",
		`{"capabilities":["views","postgres_database"]}`,
	},
	{
		"", "  and one that offers financial settings", "PUT", "/v1/connectors/ledger",
		`{"capabilities":["views","financial_settings"]}`,
	},
	{"", "pat administers the platform", "PUT", "/v1/platform/administrators/pat", ""},

	{
		"", "Acme buys a subscription with several owners; ada is the first", "POST", "/v1/subscriptions",
		`{"id":"acme","role_set":"multi_owner","owner":"ada","features":["dashboards","custom_roles"]}`,
	},
	{"ada", "ada makes bob a member of it", "PUT", "/v1/subscriptions/acme/members/bob", `{"roles":["member"]}`},

	{
		"bob", "bob creates a team account and owns it", "POST", "/v1/accounts",
		`{"id":"marketing","subscription":"acme","role_set":"team"}`,
	},
	{"bob", "bob invites uma, who becomes a user", "PUT", "/v1/accounts/marketing/members/uma", `{"roles":["user"]}`},
	{"bob", "bob invites gus as a guest", "PUT", "/v1/accounts/marketing/members/gus", `{"roles":["guest"]}`},
	{
		"uma", "uma connects the CRM; her connection is private", "POST", "/v1/connections",
		`{"id":"crm","account":"marketing","connector":"postgres"}`,
	},
	{
		"uma", "uma connects the warehouse, for everybody", "POST", "/v1/connections",
		`{"id":"warehouse","account":"marketing","connector":"postgres","visibility":"shared"}`,
	},
	{
		"uma", "uma builds an importer from one to the other", "POST", "/v1/importers",
		`{"id":"crm-to-warehouse","account":"marketing","source":"crm","destination":"warehouse"}`,
	},
	{
		"uma", "uma shares the CRM with bob by name", "PUT", "/v1/connections/crm/sharing",
		`{"visibility":"private","users":["bob"]}`,
	},

	{
		"ada", "ada creates an operations account and administers it", "POST", "/v1/accounts",
		`{"id":"factory","subscription":"acme","role_set":"operations"}`,
	},
	{
		"ada", "ada lets otto operate it and author flows", "PUT", "/v1/accounts/factory/members/otto",
		`{"roles":["operator","flow_author"]}`,
	},
	{"ada", "ada lets rita read", "PUT", "/v1/accounts/factory/members/rita", `{"roles":["read_only"]}`},
	{"ada", "ada opens a workspace", "POST", "/v1/workspaces", `{"id":"etl","account":"factory","open":true}`},
	{"otto", "otto authors a flow in it", "POST", "/v1/flows", `{"id":"nightly","workspace":"etl"}`},
	{"otto", "otto gives it a schedule", "POST", "/v1/schedules", `{"id":"every-night","workspace":"etl"}`},

	{
		"ada", "ada creates an analytics account and edits it", "POST", "/v1/accounts",
		`{"id":"insights","subscription":"acme","role_set":"analytics"}`,
	},
	{"ada", "ada lets rex read reports", "PUT", "/v1/accounts/insights/members/rex", `{"roles":["report_user"]}`},
	{"ada", "ada puts a report into the report centre", "POST", "/v1/reports", `{"id":"board","account":"insights"}`},
	{
		"ada", "ada creates a group for the data team", "POST", "/v1/subscriptions/acme/groups",
		`{"id":"data-team","title":"Data team"}`,
	},
	{
		"ada", "ada adds dora and dan to it", "PATCH", "/v1/groups/data-team/members", `{"add":["dora","dan"]}`,
	},
	{
		"ada", "ada lets the data team edit in insights", "PUT", "/v1/accounts/insights/groups/data-team",
		`{"roles":["editor"]}`,
	},

	{
		"ada", "ada defines a role for people who only see costs", "POST", "/v1/subscriptions/acme/roles",
		`{"id":"billing_viewer","title":"Billing viewer","grants":["account.view_usage","account.view_billing"]}`,
	},

	{
		"", "Globex buys a subscription with a single owner, gina", "POST", "/v1/subscriptions",
		`{"id":"globex","role_set":"single_owner","owner":"gina"}`,
	},
	{
		"gina", "gina appoints a business administrator", "PUT", "/v1/subscriptions/globex/members/bea",
		`{"roles":["business_admin"]}`,
	},
	{"bea", "bea appoints an IT administrator", "PUT", "/v1/subscriptions/globex/members/ian", `{"roles":["it_admin"]}`},
	{
		"gina", "gina creates a team account", "POST", "/v1/accounts",
		`{"id":"finance","subscription":"globex","role_set":"team"}`,
	},
	{
		"gina", "gina connects the ledger", "POST", "/v1/connections",
		`{"id":"books","account":"finance","connector":"ledger"}`,
	},
}

// Demo creates the demo company through the operations of a server, and prints each step. The key of the client needs
// the scopes operate and provision. If objects exist already, Demo does not change them, and its last line has their
// number. It always sets roles and sharing again.
func Demo(ctx context.Context, to *client.Client, out io.Writer) error {
	existing, objects := 0, 0
	for _, s := range company {
		status, err := s.perform(ctx, to)
		if err != nil {
			return fmt.Errorf("%s (%s %s): %w", strings.TrimSpace(s.says), s.method, s.path, err)
		}
		if _, err := fmt.Fprintf(out, "%-66s %-4s %-40s %s\n", s.says, s.method, s.path, status); err != nil {
			return err
		}
		if s.method == http.MethodPost {
			objects++
		}
		if status == existsAlready {
			existing++
		}
	}
	if existing == 0 {
		return nil
	}
	_, err := fmt.Fprintf(
		out,
		"\n%s existed already (of %d) and did not change. Connectors, roles and sharing are as listed above again.\n",
		authz.Count(existing, "object", "objects"),
		objects,
	)
	return err
}

// existsAlready is the status of a step whose object exists.
const existsAlready = "exists already, unchanged"

func (s step) perform(ctx context.Context, to *client.Client) (status string, err error) {
	through := to.REST()
	if s.actor != "" {
		through = to.As(s.actor).REST()
	}
	var body []byte
	if s.body != "" {
		body = []byte(s.body)
	}
	response, err := through.Call(ctx, s.method, s.path, body)
	switch {
	case errors.Is(err, client.Conflict):
		return existsAlready, nil
	case err != nil:
		return "", err
	}
	return http.StatusText(response.StatusCode), response.Body.Close()
}

// DemoCalls returns three curl commands to try on the demo company.
func DemoCalls(base, key string) string {
	const lines = `  # May uma run her importer? Yes.
  curl -s {base}/v1/check -H "Authorization: Bearer {key}" -H 'Content-Type: application/json' -d '{"subject":"user:uma","permission":"run","resource":"importer:crm-to-warehouse"}'

  # May gus run it? No: a guest may run only his own importers. If you make gus a user, the same check allows it.
  curl -s {base}/v1/accounts/marketing/members/gus -X PUT -H "Authorization: Bearer {key}" -H 'Sluice-Actor: bob' -H 'Content-Type: application/json' -d '{"roles":["user"]}'

  # What may gus do to the importer?
  curl -s {base}/v1/permissions -H "Authorization: Bearer {key}" -H 'Content-Type: application/json' -d '{"subject":"user:gus","resource":"importer:crm-to-warehouse"}'
`
	return strings.NewReplacer("{base}", base, "{key}", key).Replace(lines)
}
