package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// suggestedCall returns the call of this API that performs the action of a suggestion. The linter gochecksumtype
// requires a case for every type of action.
func suggestedCall(action operation.Action) (method, path string, body map[string]any) {
	switch a := action.(type) {
	case operation.AddAdministrator:
		return http.MethodPut, callPath("platform", "administrators", a.Person), nil
	case operation.GiveAccountRoles:
		body = map[string]any{"roles": toStrings(a.Roles)}
		if !a.Until.IsZero() {
			body["expires_at"] = a.Until.Format(time.RFC3339)
		}
		return http.MethodPut, callPath("accounts", a.Account, "members", a.Person), body
	case operation.GiveSubscriptionRoles:
		body = map[string]any{"roles": toStrings(a.Roles)}
		return http.MethodPut, callPath("subscriptions", a.Subscription, "members", a.Person), body
	case operation.TransferOwnership:
		return http.MethodPost, callPath("subscriptions", a.Subscription, "transfer"), map[string]any{"to": string(a.To)}
	case operation.TurnOnFeature:
		body = map[string]any{"features": toStrings(a.Features)}
		return http.MethodPut, callPath("subscriptions", a.Subscription, "features"), body
	case operation.ShareWith:
		body = map[string]any{"visibility": string(a.Visibility)}
		if len(a.Users) > 0 {
			body["users"] = toStrings(a.Users)
		}
		return http.MethodPut, callPath("connections", a.Connection, "sharing"), body
	case operation.AdmitTo:
		body = map[string]any{"open": a.Open}
		if len(a.Users) > 0 {
			body["users"] = toStrings(a.Users)
		}
		return http.MethodPut, callPath("workspaces", a.Workspace, "access"), body
	case operation.AddCapability:
		return http.MethodPut, callPath("connectors", a.Connector), map[string]any{"capabilities": a.Capabilities}
	}
	return "", "", nil
}

// callPath returns the path of a call with percent-encoded segments.
func callPath(segments ...authz.ID) string {
	path := "/v1"
	for _, segment := range segments {
		path += "/" + url.PathEscape(string(segment))
	}
	return path
}
