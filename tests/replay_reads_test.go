package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// replayedRequest is a request of replays with its first answer. The caller reader reads the fields of the answer
// again.
type replayedRequest struct {
	scene
	reader caller
	path   []string // the segments of the path, without the query
	body   map[string]any
	first  map[string]any
}

// readsAgain maps the schema of an answer to a function that reads the fields of this answer with other requests, by
// the same caller. The function returns nil if the caller may not read the fields, or if they no longer exist. An
// answer whose only field is the token has no entry.
var readsAgain = map[string]func(r replayedRequest) map[string]any{
	"Subscription":        replayedRequest.readObject,
	"Account":             replayedRequest.readObject,
	"Importer":            replayedRequest.readObject,
	"CopiedImporter":      replayedRequest.readCopy,
	"Connection":          replayedRequest.readObject,
	"Connector":           replayedRequest.readObject,
	"Workspace":           replayedRequest.readObject,
	"Group":               replayedRequest.readGroup,
	"GroupRoles":          replayedRequest.readGroupRoles,
	"RoleDefinition":      replayedRequest.readRole,
	"ServiceAccount":      replayedRequest.readServiceAccount,
	"ServiceAccountRoles": replayedRequest.readServiceAccountRoles,
	"PartOfAccount":       replayedRequest.readObject,
	"PartOfWorkspace":     replayedRequest.readObject,
	"ChangedMember":       replayedRequest.readMember,
	"ChangedMembers":      replayedRequest.readMembers,
	"Invitation":          replayedRequest.readInvitation,
	"AcceptedInvitation":  replayedRequest.readAccepted,
}

// identities lists fields that a repeated answer may show even if the caller may not read the object. Except for the
// token, they are ids in the request.
var identities = []string{"id", "user", "group", "service_account", "inviter", "token"}

// reportOnly lists the fields that only the first answer to a removal has. A repeated answer does not have them.
var reportOnly = []string{"reassigned", "remaining"}

// schemaOfAnswer returns the name and the schema of the successful answer of an endpoint.
func (e endpoint) schemaOfAnswer(t testing.TB) (string, *openapi3.Schema) {
	t.Helper()
	for status, response := range e.operation.Responses.Map() {
		if content := response.Value.Content.Get("application/json"); content != nil && status < "300" {
			return content.Schema.Ref[strings.LastIndex(content.Schema.Ref, "/")+1:], content.Schema.Value
		}
	}
	t.Fatalf("%s has no successful answer", e)
	return "", nil
}

// TestReplaysCanHideEveryField checks every operation of the contract. The required fields of its answer must be ids
// in the request. The tests must read all other fields again.
func TestReplaysCanHideEveryField(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints(t) {
		if !e.has("Idempotency-Key") {
			continue
		}
		name, schema := e.schemaOfAnswer(t)
		for _, field := range schema.Required {
			if !slices.Contains(identities, field) {
				t.Errorf("%s: a repeated answer must be able to leave out %s.%s", e, name, field)
			}
		}
		for field := range schema.Properties {
			isStored := field != "token" && field != "replayed" && !slices.Contains(reportOnly, field)
			if isStored && readsAgain[name] == nil {
				t.Errorf("the answer of %s has %s.%s, which the tests do not read again", e, name, field)
			}
		}
	}
}

// readAgain returns the fields that the repeated answer to a request must have. It reads them with other requests,
// by the same caller. isShown reports whether the fields have the stored values.
func (s scene) readAgain(request string, first answer) (want map[string]any, isShown bool) {
	s.t.Helper()
	next, err := parseStep(s.in(request))
	if err != nil {
		s.t.Fatal(err)
	}
	step := next.(requestStep)
	path, _, _ := strings.Cut(step.path, "?")
	r := replayedRequest{scene: s, reader: s.caller, path: strings.Split(path, "/"), first: first.withoutToken(s.t)}
	r.body, _ = step.body.(map[string]any)
	if step.actor != "backend" {
		r.reader = s.by(step.actor)
	}
	for _, e := range endpoints(s.t) {
		if e.method != step.method || !e.matches("/v1/"+path) {
			continue
		}
		name, schema := e.schemaOfAnswer(s.t)
		if read := readsAgain[name]; read != nil {
			if want = read(r); want != nil {
				delete(want, "token")
				return want, true
			}
		}
		want = make(map[string]any)
		for _, field := range schema.Required {
			if field != "token" {
				want[field] = r.first[field]
			}
		}
		return want, false
	}
	s.t.Fatalf("%s is not in the contract", request)
	return nil, false
}

// get returns the fields of the answer to a GET, or nil if the caller may not read the object.
func (r replayedRequest) get(path string) map[string]any {
	a := r.reader.call(http.MethodGet, path, nil)
	if a.status == http.StatusNotFound || a.status == http.StatusForbidden {
		return nil
	}
	if a.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s", a.request, a.status, a.body)
	}
	var fields map[string]any
	a.decode(r.t, &fields)
	return fields
}

// find returns the entry of a list whose field has the value, or nil.
func find(list map[string]any, name, field string, value any) map[string]any {
	entries, _ := list[name].([]any)
	for _, entry := range entries {
		if entry, _ := entry.(map[string]any); entry[field] == value {
			return entry
		}
	}
	return nil
}

// related returns the subjects of an object's relationships by relation, without their types. It reads with the
// rights of the backend.
func (r replayedRequest) related(object string) map[string][]string {
	related := make(map[string][]string)
	var page struct {
		Relationships []struct{ Relation, Subject string }
	}
	r.caller.must(http.MethodGet, "relationships?limit=1000&resource="+object, nil).decode(r.t, &page)
	for _, row := range page.Relationships {
		_, id, _ := strings.Cut(row.Subject, ":")
		related[row.Relation] = append(related[row.Relation], id)
	}
	return related
}

// flagsOf returns those of the names for which the object has a flag. The relation of a flag is the prefix and the
// name.
func flagsOf(related map[string][]string, prefix string, names ...string) []any {
	found := []any{}
	for _, name := range names {
		if len(related[prefix+name]) > 0 {
			found = append(found, name)
		}
	}
	return found
}

// readObject reads the object with the id in the first answer.
func (r replayedRequest) readObject() map[string]any {
	id := r.first["id"].(string)
	if r.reader.actor != "" {
		return r.get(r.path[0] + "/" + id)
	}
	related := r.related(strings.TrimSuffix(r.path[0], "s") + ":" + id)
	switch {
	case len(related) == 0:
		return nil
	case r.path[0] == "subscriptions":
		return map[string]any{
			"id": id, "role_set": flagsOf(related, "", "single_owner", "multi_owner")[0],
			"features": flagsOf(related, "", "user_permissions", "dashboards", "custom_roles"),
		}
	case r.path[0] == "connectors":
		return map[string]any{"id": id, "capabilities": flagsOf(
			related, "capability_", "views", "financial_settings", "postgres_database",
		)}
	}
	r.t.Fatalf("the backend cannot read %v", r.path)
	return nil
}

// readGroup reads a group.
func (r replayedRequest) readGroup() map[string]any { return r.get("groups/" + r.first["id"].(string)) }

// readGroupRoles reads the roles of a group on an account or a subscription.
func (r replayedRequest) readGroupRoles() map[string]any { return r.get(strings.Join(r.path, "/")) }

// readRole reads a role of an account or a subscription.
func (r replayedRequest) readRole() map[string]any {
	return r.get(strings.Join(append(r.path[:3:3], r.first["id"].(string)), "/"))
}

// readServiceAccount reads a service account.
func (r replayedRequest) readServiceAccount() map[string]any {
	return r.get("service-accounts/" + r.first["id"].(string))
}

// readServiceAccountRoles reads the roles of a service account on an account, or on its subscription.
func (r replayedRequest) readServiceAccountRoles() map[string]any {
	if r.path[0] == "accounts" {
		return r.get(strings.Join(r.path, "/"))
	}
	account := r.get("service-accounts/" + r.path[3])
	if account == nil {
		return nil
	}
	return map[string]any{"service_account": account["id"], "roles": account["roles"]}
}

// readCopy reads a copied importer. The field left_out names the connections of the original that the copy does not
// have.
func (r replayedRequest) readCopy() map[string]any {
	copied, original := r.readObject(), r.get("importers/"+r.path[1])
	if copied == nil {
		return nil
	}
	if original != nil {
		leftOut := []any{}
		for _, end := range []string{"source", "destination"} {
			if hasEnd(original, end) && !hasEnd(copied, end) {
				leftOut = append(leftOut, end)
			}
		}
		copied["left_out"] = leftOut
	}
	delete(copied, "hidden_ends")
	return copied
}

func hasEnd(importer map[string]any, end string) bool {
	hidden, _ := importer["hidden_ends"].([]any)
	return importer[end] != nil || slices.Contains(hidden, any(end))
}

// readMember reads the roles of the person in the path. If the request has accounts, it also reads the person's
// roles on these.
func (r replayedRequest) readMember() map[string]any {
	place, user := strings.Join(r.path[:2], "/"), r.path[3]
	switch accounts, _ := r.body["accounts"].(map[string]any); {
	case r.reader.actor == "":
		var roles []any
		for relation, subjects := range r.related(strings.TrimSuffix(r.path[0], "s") + ":" + r.path[1]) {
			if slices.Contains(subjects, user) {
				roles = append(roles, relation)
			}
		}
		if roles == nil {
			return nil
		}
		return map[string]any{"user": user, "roles": roles}
	case accounts == nil:
		member := r.get(place + "/members/" + user)
		delete(member, "via") // operations do not return roles that the person has through groups
		return member
	default:
		return r.readMemberAccounts(place, user, accounts)
	}
}

func (r replayedRequest) readMemberAccounts(place, user string, accounts map[string]any) map[string]any {
	shown, ends := make(map[string]any), make(map[string]any)
	want := map[string]any{"user": user, "accounts": shown}
	if members := r.get(place + "/members"); members != nil {
		want["roles"] = rolesIn(find(members, "members", "user", user))
	}
	for account := range accounts {
		if members := r.get("accounts/" + account + "/members"); members != nil {
			member := find(members, "members", "user", user)
			shown[account] = rolesIn(member)
			if at := member["expires_at"]; at != nil {
				ends[account] = at
			}
		}
	}
	if len(ends) > 0 {
		want["accounts_expire_at"] = ends
	}
	if len(shown) == 0 && want["roles"] == nil {
		return nil
	}
	return want
}

// rolesIn returns the roles of a member in a list, or an empty list for a person who is not in it.
func rolesIn(member map[string]any) any {
	if member == nil {
		return []any{}
	}
	return member["roles"]
}

// readMembers reads the roles of the people in the body of the request.
func (r replayedRequest) readMembers() map[string]any {
	members := r.get(strings.Join(r.path[:2], "/") + "/members")
	if members == nil {
		return nil
	}
	var want []any
	changed, _ := r.first["members"].([]any)
	for _, entry := range changed {
		fields, _ := entry.(map[string]any)
		user := fields["user"]
		member := find(members, "members", "user", user)
		if member == nil {
			member = map[string]any{"user": user, "roles": []any{}}
		}
		delete(member, "via")
		want = append(want, member)
	}
	return map[string]any{"members": want}
}

// readInvitation finds the invitation in the list of open invitations. The list does not have all fields, so
// readInvitation copies the others from the first answer.
func (r replayedRequest) readInvitation() map[string]any {
	listed := find(r.get(strings.Join(r.path, "/")), "invitations", "handle", r.first["handle"])
	if listed == nil {
		return nil
	}
	for _, field := range []string{"id", "account", "subscription"} {
		if value := r.first[field]; value != nil {
			listed[field] = value
		}
	}
	return listed
}

// readAccepted reads the roles of the actor on the account in the first answer.
func (r replayedRequest) readAccepted() map[string]any {
	want := r.get("accounts/" + r.first["account"].(string) + "/members/" + r.reader.actor)
	if want != nil {
		want["account"] = r.first["account"]
	}
	return want
}
