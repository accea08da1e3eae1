package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

func TestSuggestedCallRendersEachAction(t *testing.T) {
	until := time.Date(2030, time.March, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		action       operation.Action
		method, path string
		body         string
	}{
		{operation.AddAdministrator{Person: "bob"}, "PUT", "/v1/platform/administrators/bob", "null"},
		{
			operation.GiveAccountRoles{Account: "sales", Person: "b/b", Roles: []authz.Role{"owner"}},
			"PUT", "/v1/accounts/sales/members/b%2Fb", `{"roles":["owner"]}`,
		},
		{
			operation.GiveAccountRoles{Account: "a b", Person: "bob", Roles: []authz.Role{"user"}, Until: until},
			"PUT", "/v1/accounts/a%20b/members/bob", `{"roles":["user"],"expires_at":"2030-03-04T05:06:07Z"}`,
		},
		{
			operation.GiveSubscriptionRoles{Subscription: "s", Person: "bob", Roles: []authz.Role{"member"}},
			"PUT", "/v1/subscriptions/s/members/bob", `{"roles":["member"]}`,
		},
		{operation.TransferOwnership{Subscription: "s", To: "bob"}, "POST", "/v1/subscriptions/s/transfer", `{"to":"bob"}`},
		{
			operation.TurnOnFeature{Subscription: "s", Features: []authz.Feature{"dashboards"}},
			"PUT", "/v1/subscriptions/s/features", `{"features":["dashboards"]}`,
		},
		{
			operation.ShareWith{Connection: "c", Person: "bob", Visibility: "private", Users: []authz.ID{"ada", "bob"}},
			"PUT", "/v1/connections/c/sharing", `{"visibility":"private","users":["ada","bob"]}`,
		},
		{
			operation.ShareWith{Connection: "c", Person: "bob", Visibility: "shared"},
			"PUT", "/v1/connections/c/sharing", `{"visibility":"shared"}`,
		},
		{
			operation.AdmitTo{Workspace: "w", Person: "bob", Users: []authz.ID{"bob"}},
			"PUT", "/v1/workspaces/w/access", `{"open":false,"users":["bob"]}`,
		},
		{operation.AdmitTo{Workspace: "w", Person: "bob", Open: true}, "PUT", "/v1/workspaces/w/access", `{"open":true}`},
		{
			operation.AddCapability{Connector: "crm", Capabilities: []string{"views"}},
			"PUT", "/v1/connectors/crm", `{"capabilities":["views"]}`,
		},
	} {
		method, path, body := suggestedCall(c.action)
		require.Equal(t, c.method+" "+c.path, method+" "+path)
		encoded, err := json.Marshal(body)
		require.NoError(t, err)
		require.JSONEq(t, c.body, string(encoded), c.path)
	}
}
