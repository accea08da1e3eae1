package httpapi_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
)

// longError is an error with a text of nearly the largest length.
var longError = authz.Errorf(authz.CodeInvalid, "%s", strings.Repeat("x", 1500))

// largeDecision is a decision that lacks a context parameter with a name of 20 kB. A thousand of them exceed the
// largest answer.
var largeDecision = authz.Decision{State: authz.Conditional, MissingContext: []string{strings.Repeat("x", 20_000)}}

// large returns n ids of nearly the largest size.
func large(n int) []authz.ID {
	ids := make([]authz.ID, n)
	for i := range ids {
		ids[i] = authz.ID(fmt.Sprintf("%0250d", i))
	}
	return ids
}

// manyMembers returns members with roles on many accounts.
type manyMembers struct{ httpapi.Operations }

func (manyMembers) members() operation.Members {
	accounts := make(map[authz.ID]operation.Roles)
	for _, id := range large(500) {
		accounts[id] = operation.Roles{"user"}
	}
	var members operation.Members
	for _, id := range large(operation.MaxLimit) {
		members.Members = append(
			members.Members, operation.Member{User: id, Roles: operation.Roles{"owner"}, Accounts: accounts},
		)
	}
	return members
}

func (m manyMembers) SubscriptionMembers(
	context.Context, operation.Caller, authz.ID, bool, operation.Page,
) (operation.Members, authz.Token, error) {
	return m.members(), token, nil
}

func (m manyMembers) SubscriptionPeople(
	context.Context, operation.Caller, authz.ID, operation.Page,
) (operation.Members, authz.Token, error) {
	return m.members(), token, nil
}

// TestLargeAnswersFailWhileTheyAreBuilt makes every call with a potentially large answer exceed the limit. The call
// must fail before it has allocated several times the limit.
func TestLargeAnswersFailWhileTheyAreBuilt(t *testing.T) {
	w := serve(t, func(c *httpapi.Config) { c.Operations = manyMembers{c.Operations} })
	w.engine.bulk = func(
		_ context.Context, checks []authz.Check, _ authz.Consistency,
	) ([]authz.CheckResult, authz.Token, error) {
		results := make([]authz.CheckResult, len(checks))
		for i := range results {
			results[i].Decision = largeDecision
		}
		return results, token, nil
	}
	w.engine.resources = func(authz.ResourceQuery, authz.Consistency, authz.Page) iter.Seq2[authz.FoundResource, error] {
		return func(yield func(authz.FoundResource, error) bool) {
			next := func(i int) authz.FoundResource {
				return authz.FoundResource{ID: authz.ID(fmt.Sprintf("%0250d", i)), Decision: largeDecision}
			}
			yieldForever(next, yield)
		}
	}
	w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return func(yield func(authz.FoundSubject, error) bool) {
			next := func(i int) authz.FoundSubject {
				subject := authz.Object{Type: "user", ID: authz.ID(fmt.Sprintf("%0250d", i))}
				return authz.FoundSubject{Subject: authz.Subject{Object: subject}, Decision: largeDecision}
			}
			yieldForever(next, yield)
		}
	}
	many := func(item, rest string) string {
		return `{` + rest + `[` + strings.TrimSuffix(strings.Repeat(item+",", 1000), ",") + `]}`
	}
	entity := `"subject":{"type":"user","id":"a"},"action":{"name":"view"},"resource":{"type":"importer","id":"i1"}`
	for operation, r := range map[string]request{
		"checkBulk": {
			path: "/v1/check/bulk", body: many(`{"subject":"user:a","permission":"view","resource":"importer:i"}`, `"checks":`),
		},
		"lookupResources": {
			path: "/v1/lookup/resources",
			body: `{"subject":"user:a","permission":"view","resource_type":"importer","limit":1000}`,
		},
		"lookupSubjects": {
			path: "/v1/lookup/subjects", body: `{"resource":"importer:i1","permission":"view","subject_type":"user"}`,
		},
		"evaluateAll": {path: "/access/v1/evaluations", body: many(`{}`, entity+`,"evaluations":`)},
		"listSubscriptionMembers": {
			method: http.MethodGet, path: "/v1/subscriptions/s/members?by_account=true&limit=1000", key: operateKey,
			actor: "alice",
		},
		"listSubscriptionPeople": {
			method: http.MethodGet, path: "/v1/subscriptions/s/people?limit=1000", key: operateKey, actor: "alice",
		},
	} {
		if r.method == "" {
			r.method, r.key = http.MethodPost, checkKey
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := w.do(t, r)
		runtime.ReadMemStats(&after)
		got.wantProblem(t, http.StatusRequestEntityTooLarge, "too_large", "16777216")
		if used := after.TotalAlloc - before.TotalAlloc; used > 128<<20 {
			t.Errorf("%s allocated %d MiB before it rejected the answer", operation, used>>20)
		}
	}
}

// yieldForever yields results until the reader stops.
func yieldForever[T any](next func(i int) T, yield func(T, error) bool) {
	for i := 0; ; i++ {
		if !yield(next(i), nil) {
			return
		}
	}
}

// TestSearchResultsAreLimited gives endless results to AuthZEN searches.
func TestSearchResultsAreLimited(t *testing.T) {
	w := serve(t)
	w.engine.resources = func(authz.ResourceQuery, authz.Consistency, authz.Page) iter.Seq2[authz.FoundResource, error] {
		return func(yield func(authz.FoundResource, error) bool) {
			next := func(i int) authz.FoundResource {
				return authz.FoundResource{ID: authz.ID(fmt.Sprint(i)), Decision: authz.Decision{State: authz.Allowed}}
			}
			yieldForever(next, yield)
		}
	}
	w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return func(yield func(authz.FoundSubject, error) bool) {
			next := func(i int) authz.FoundSubject {
				subject := authz.Object{Type: "user", ID: authz.ID(fmt.Sprint(i))}
				return authz.FoundSubject{Subject: authz.Subject{Object: subject}, Err: longError}
			}
			yieldForever(next, yield)
		}
	}
	for path, body := range map[string]string{
		"resource": `{"subject":{"type":"user","id":"a"},"action":{"name":"view"},"resource":{"type":"importer"}}`,
		"subject":  `{"subject":{"type":"user"},"action":{"name":"view"},"resource":{"type":"importer","id":"i1"}}`,
	} {
		got := w.do(t, request{method: http.MethodPost, path: "/access/v1/search/" + path, key: checkKey, body: body})
		got.wantProblem(t, http.StatusRequestEntityTooLarge, "too_large", "250000")
	}
}

// TestStreamLinesAreLimited gives a stream one subject with more exclusions than a line may hold.
func TestStreamLinesAreLimited(t *testing.T) {
	w := serve(t)
	w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return func(yield func(authz.FoundSubject, error) bool) {
			yield(
				authz.FoundSubject{
					Subject: authz.Everybody(
						"user",
					), Excluded: large(80_000), Decision: authz.Decision{State: authz.Allowed},
				},
				nil,
			)
		}
	}
	got := w.do(t, request{
		method: http.MethodPost, path: "/v1/lookup/subjects", key: checkKey, header: http.Header{
			"Accept": {"application/x-ndjson"},
		},
		body: `{"resource":"importer:i1","permission":"view","subject_type":"user"}`,
	})
	got.wantProblem(t, http.StatusRequestEntityTooLarge, "too_large", "16777216")
}

// boundedAnswers has the calls whose answer contains a list, or an object with arbitrary keys. For each, it says what
// bounds the size of the answer.
var boundedAnswers = map[string]string{
	"checkBulk": counted, "lookupResources": counted, "lookupSubjects": counted, "evaluateAll": counted,
	"preview":                 counted,
	"listSubscriptionMembers": counted, "listSubscriptionPeople": counted, "accessThen": counted,
	"listAccountMembers": counted, "patchAccountMembers": counted,
	"searchSubjects": "1,000 results, as many errors, 10,000 exceptions", "searchResources": "1,000 results and errors",
	"searchActions": schema,
	"check":         schema, "decidePermissions": schema, "describePermissions": schema, "listRoleSets": schema,
	"evaluate":            schema,
	"listAccountContents": page, "listWorkspaceContents": page, "listRelationships": page,
	"listSubscriptionAccounts": page,
	"listUserAccounts":         page, "listSubscriptions": page, "getAccountMember": schema,
	"getSubscriptionMember": schema,
	"getImporter":           "two ends", "createImporter": "two ends", "setImporterConnections": "two ends",
	"getConnection": request1000, "getWorkspace": request1000, "getConnector": schema,
	"listAccountInvitations": page, "listSubscriptionInvitations": page,
	"listAudit": "8 MiB a page", "reportOffboarding": "1,000 ids of each kind",
	"explain":             "objects, combinations and suggestions",
	"removeAccountMember": "1,000 ids of each kind", "removeSubscriptionMember": "1,000 ids of each kind",
	"putSubscriptionMember": schema, "putAccountMember": schema, "putMemberAccounts": request1000,
	"shareConnection":    request1000,
	"setWorkspaceAccess": request1000, "createConnection": request1000, "groupConnection": request1000,
	"ungroupConnection": request1000,
	"listAccountRoles":  pageOfRoles, "listSubscriptionRoles": pageOfRoles,
	"getAccountRole": schema, "getSubscriptionRole": schema, "createAccountRole": schema, "createSubscriptionRole": schema,
	"putAccountRole": schema, "putSubscriptionRole": schema, "listAccountRoleHolders": page,
	"listSubscriptionRoleHolders": page,
	"listGroups":                  page, "listGroupMembers": page, "listAccountGroups": page,
	"getAccountGroup": schema, "getSubscriptionGroupRoles": schema, "putAccountGroup": schema, "putSubscriptionGroupRoles": schema,
	"listAccountServiceAccounts": page, "listSubscriptionServiceAccounts": page, "getServiceAccount": schema,
	"createAccountServiceAccount": schema, "createSubscriptionServiceAccount": schema,
	"getAccountServiceAccountRoles": schema, "putAccountServiceAccountRoles": schema,
	"putSubscriptionServiceAccountRoles": schema,
	"createWorkspace":                    request1000, "putConnector": schema, "createSubscription": schema, "putFeatures": schema,
	"getSubscription": schema, "inviteToAccount": schema, "inviteToSubscription": schema, "acceptInvitation": schema,
	"copyImporter": "two ends",
}

const (
	counted     = "counted while it is built"
	schema      = "names of the schema"
	page        = "1,000 items of a few ids a page"
	pageOfRoles = "the roles of a role set, and 150 custom ones"
	request1000 = "1,000 names, the limit of one request"
)

// TestEveryAnswerWithAListIsBounded asserts that boundedAnswers has exactly the calls of the contract with a list in
// their answer.
func TestEveryAnswerWithAListIsBounded(t *testing.T) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, item := range contract.Paths.Map() {
		for _, operation := range item.Operations() {
			for status, answer := range operation.Responses.Map() {
				for _, media := range answer.Value.Content {
					if strings.HasPrefix(status, "2") && media.Schema != nil && hasList(media.Schema.Value, nil) {
						found[operation.OperationID] = true
					}
				}
			}
		}
	}
	for operation := range found {
		if boundedAnswers[operation] == "" {
			t.Errorf("the answer of %s has a list; limit its size while it is built, and add it to boundedAnswers", operation)
		}
	}
	for operation := range boundedAnswers {
		if !found[operation] {
			t.Errorf("boundedAnswers has %s, whose answer has no list", operation)
		}
	}
}

// hasList reports whether a schema contains a list or an object with arbitrary keys.
func hasList(s *openapi3.Schema, within []*openapi3.Schema) bool {
	for _, outer := range within {
		if outer == s {
			return false
		}
	}
	within = append(within, s)
	if s.Type.Is(openapi3.TypeArray) || s.AdditionalProperties.Schema != nil || s.AdditionalProperties.Has != nil &&
		*s.AdditionalProperties.Has {
		return true
	}
	refs := append(append(append(openapi3.SchemaRefs{}, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, property := range s.Properties {
		refs = append(refs, property)
	}
	for _, ref := range refs {
		if ref != nil && hasList(ref.Value, within) {
			return true
		}
	}
	return false
}
