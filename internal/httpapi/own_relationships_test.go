package httpapi_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/owntype"
	zed "github.com/sluice-authz/sluice/schema"
)

const ownSchema = `use import
use expiration
import "sluice/root.zed"
caveat in_hours(hour int) { hour >= 9 }
definition folder {
	relation viewer: user | user:* | user with expiration | user with in_hours | folder#viewer
	permission view = viewer
}
definition dashboard {
	relation account: account
	relation editor: user
	permission edit = editor & account->view
}
`

// serveOwn serves types of a company's own. It also has the keys "limited", for dashboards, and "inspecting".
func serveOwn(t *testing.T) *world {
	t.Helper()
	file, err := zed.Parse(t.Context(), ownSchema, "theirs.zed")
	if err != nil {
		t.Fatal(err)
	}
	served, err := zed.Describe(file.Text)
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := zed.ReadParameters(file.Text)
	if err != nil {
		t.Fatal(err)
	}
	product, err := zed.ProductTypes()
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, func(c *httpapi.Config) {
		c.OwnTypes = owntype.New(served, product, parameters)
		keys := c.Keys.All()
		for _, text := range []string{"limited:write:dashboard:limited", "inspecting:write+inspect:inspecting"} {
			key, err := apikey.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		if c.Keys, err = apikey.New(keys...); err != nil {
			t.Fatal(err)
		}
	})
}

const writeKey = "secret-of-write"

func TestWriteRelationshipsIsDecoded(t *testing.T) {
	w := serveOwn(t)
	object := func(typ authz.Type, id authz.ID) authz.Object { return authz.Object{Type: typ, ID: id} }
	viewer := func(id authz.ID) authz.Relationship {
		return authz.Relationship{
			Resource: object("folder", "f"), Relation: "viewer", Subject: authz.Subject{Object: object("user", id)},
		}
	}
	expiring, conditional, plain := viewer("bob"), viewer("bob"), viewer("bob")
	expiring.ExpiresAt = time.Date(2040, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	conditional.Caveat, conditional.CaveatContext = "in_hours", `{"hour":12}`
	everybody := viewer("")
	everybody.Subject = authz.Everybody("user")
	members := viewer("")
	members.Subject = authz.Subject{Object: object("folder", "g"), Relation: "viewer"}
	hash := viewer("a#b")
	hash.Resource.ID = "x#y"
	one := func(action authz.Action, r authz.Relationship) operation.RelationshipWrite {
		return operation.RelationshipWrite{Updates: []authz.Update{{Action: action, Relationship: r}}}
	}
	with := func(filter authz.Filter, isAbsent bool) operation.RelationshipWrite {
		write := one(authz.Create, plain)
		write.Preconditions = []authz.Precondition{{Filter: filter, Absent: isAbsent}}
		return write
	}
	const create = `{"updates":[{"operation":"create","relationship":"folder:f#viewer@user:bob"}],"preconditions":[`
	for body, want := range map[string]operation.RelationshipWrite{
		`{"updates":[{"operation":"create","relationship":"folder:f#viewer@user:bob"}]}`:                                                                        one(authz.Create, plain),
		`{"updates":[{"operation":"touch","relationship":"folder:f#viewer@user:b@b.com"}]}`:                                                                     one(authz.Touch, viewer("b@b.com")),
		`{"updates":[{"operation":"delete","relationship":"folder:f#viewer@user:bob"}],"preconditions":null}`:                                                   one(authz.Delete, plain),
		`{"updates":[{"operation":"touch","relationship":"folder:f#viewer@user:*"}]}`:                                                                           one(authz.Touch, everybody),
		`{"updates":[{"operation":"touch","relationship":"folder:f#viewer@folder:g#viewer"}]}`:                                                                  one(authz.Touch, members),
		`{"updates":[{"operation":"touch","relationship":"folder:f#viewer@user:bob","expires_at":"2040-01-02T03:04:05.6Z"}]}`:                                   one(authz.Touch, expiring),
		`{"updates":[{"operation":"touch","relationship":"folder:f#viewer@user:bob","caveat":{"name":"in_hours","context":{"hour":12}}}]}`:                      one(authz.Touch, conditional),
		`{"updates":[{"operation":"touch","relationship":{"resource":"folder:f","relation":"viewer","subject":"user:*"}}]}`:                                     one(authz.Touch, everybody),
		`{"updates":[{"operation":"touch","relationship":{"resource":{"type":"folder","id":"f"},"relation":"viewer","subject":{"type":"user","id":"*"}}}]}`:     one(authz.Touch, viewer("*")),
		`{"updates":[{"operation":"touch","relationship":{"resource":{"type":"folder","id":"x#y"},"relation":"viewer","subject":{"type":"user","id":"a#b"}}}]}`: one(authz.Touch, hash),

		create + `{"must_match":{"resource":"folder:f"}}]}`: with(authz.Filter{Type: "folder", ID: "f"}, false),
		create + `{"must_not_match":{"resource":"dashboard:d","relation":"editor","subject":"user:bob"}}]}`: with(authz.Filter{
			Type: "dashboard", ID: "d", Relation: "editor", SubjectType: "user", SubjectID: "bob", SubjectPlain: true,
		}, true),
		create + `{"must_match":{"resource":"folder:f","subject":"user:*"}}]}`: with(authz.Filter{
			Type: "folder", ID: "f", SubjectType: "user", SubjectWildcard: true, SubjectPlain: true,
		}, false),
		create + `{"must_match":{"resource":"folder:f","subject":"folder:g#viewer"}}]}`: with(authz.Filter{
			Type: "folder", ID: "f", SubjectType: "folder", SubjectID: "g", SubjectRelation: "viewer",
		}, false),
	} {
		for _, actor := range []string{"", "alice"} {
			w.do(t, request{
				method: "POST", path: "/v1/relationships", body: body, key: writeKey, actor: actor,
				header: map[string][]string{"X-Request-Id": {"r1"}},
			}).want(t, 200, `{"token":"t1"}`)
			caller := operation.Caller{Actor: authz.Actor(actor), Key: "write-key", RequestID: "r1"}
			w.operations.wantCall(t, "WriteRelationships", caller, args(want))
		}
	}
	w.do(t, request{
		method: "DELETE", path: "/v1/relationships?resource=" + url.QueryEscape(`{"type":"folder","id":"x#y"}`), key: writeKey,
	}).want(t, 200, `{"token":"t1"}`)
	if got := w.operations.args[0]; w.operations.name != "DeleteRelationships" || got != object("folder", "x#y") {
		t.Errorf("called %s with %v", w.operations.name, got)
	}
}

func TestWriteRelationshipsIsValidated(t *testing.T) {
	w := serveOwn(t)
	update := func(relationship string, more ...string) string {
		return `{"updates":[{"operation":"touch","relationship":"folder:ok#viewer@user:bob"},` +
			`{"operation":"touch","relationship":` + relationship + strings.Join(more, "") + `}]}`
	}
	required := func(precondition string) string {
		return `{"updates":[{"operation":"touch","relationship":"folder:ok#viewer@user:bob"}],"preconditions":[` +
			precondition + `]}`
	}
	const field = `the field "updates[1].relationship": `
	for _, tt := range []struct{ key, body, code, says string }{
		{writeKey, `{"updates":[]}`, "invalid", `the field "updates" is empty`},
		{writeKey, `{"updates":[` + strings.Repeat("{},", 1000) + `{}]}`, "invalid", `updates[0].operation`},
		{writeKey, update(`"folder:f"`), "invalid", field + `"folder:f" is not a relationship: write resource#relation@subject`},
		{writeKey, update(`"folder#viewer@user:bob"`), "invalid", field + `"folder" is not a reference`},
		{writeKey, update(`"folder:f#viewer@bob"`), "invalid", field + `"bob" is not a reference`},
		{writeKey, update(`"folder:#viewer@user:bob"`), "invalid", field + "an id must not be empty"},
		{writeKey, update(`7`), "invalid", field},
		{writeKey, update(`{"resource":"folder:f","relation":"viewer"}`), "invalid", "subject"},
		{writeKey, update(`"account:acme#owner@user:bob"`), "invalid", field + "account is a type of the product"},
		{writeKey, update(`"idempotency_key:k#done@request:r"`), "invalid", field + "idempotency_key is a type of the product"},
		{writeKey, update(`"foldr:f#viewer@user:bob"`), "invalid", field + `the schema has no type "foldr"; the nearest is folder`},
		{writeKey, update(`"folder:f#owner@user:bob"`), "invalid", field + `folder has no relation "owner"; its relations are viewer`},
		{writeKey, update(`"folder:f#viewer@account:acme"`), "invalid", field + "folder#viewer does not accept account; it accepts folder#viewer, user,"},
		{writeKey, update(`"dashboard:d#editor@user:bob"`, `,"expires_at":"2040-01-01T00:00:00Z"`), "invalid", field + "dashboard#editor does not accept user with expiration; it accepts user"},
		{writeKey, update(`"dashboard:d#editor@user:bob"`, `,"expires_at":"soon"`), "invalid", "updates[1].expires_at"},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"caveat":{"name":"hours"}`), "invalid", `"updates[1].caveat.name": the schema has no caveat "hours"; its caveats are in_hours`},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"caveat":{"name":"in_hours","context":{"minute":1}}`), "invalid", `"updates[1].caveat.context": the caveat in_hours has no parameter minute; its parameters are hour`},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"caveat":{"name":"in_hours","context":{"hour":"x"}}`), "invalid", "must be of the type int"},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"caveat":{"name":"in_hours","context":{"hour":9007199254740993}}`), "invalid", "updates[1].caveat.context.hour"},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"caveat":{"name":"in_hours","context":{"hour":1e22}}`), "invalid", "which is no 64-bit integer"},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"caveat":{"name":"in_hours","context":{"hour":"`+strings.Repeat("1", 17000)+`"}}`), "too_large", "updates[1].caveat.context"},
		{writeKey, update(`"folder:ok#viewer@user:bob"`), "invalid", field + "it repeats updates[0].relationship"},
		{writeKey, update(`"folder:f#viewer@user:bob"`, `,"x":1`), "invalid", "updates[1].x"},
		{writeKey, `{"updates":[{"operation":"upsert","relationship":"folder:f#viewer@user:bob"}]}`, "invalid", `"updates[0].operation": "upsert" is not one of create, touch, delete`},
		{writeKey, `{"updates":[{"operation":"delete","relationship":"folder:f#viewer@user:bob","caveat":{"name":"in_hours"}}]}`, "invalid", "a delete has no expires_at and no caveat"},
		{writeKey, `{"updates":[{"operation":"delete","relationship":"account:acme#owner@user:bob"}]}`, "invalid", "account is a type of the product"},

		{writeKey, required(`{}`), "invalid", `"preconditions[0]": it must have exactly one of must_match and must_not_match`},
		{writeKey, required(`{"must_match":{"resource":"folder:f"},"must_not_match":{"resource":"folder:f"}}`), "invalid", "exactly one"},
		{writeKey, required(`{"must_match":{}}`), "invalid", "preconditions[0].must_match.resource"},
		{writeKey, required(`{"must_match":{"resource":"folder:f","relation":"owner"}}`), "invalid", `"preconditions[0].must_match": folder has no relation "owner"`},
		{writeKey, required(`{"must_match":{"resource":"folder:f","subject":"account:a"}}`), "invalid", "folder does not accept account"},
		{writeKey, required(`{"must_match":{"resource":"foldr:f"}}`), "invalid", "no type"},

		// A precondition may ask only about types that the key may write, unless the key has the scope inspect.
		{writeKey, required(`{"must_match":{"resource":"account:acme"}}`), "forbidden", "needs a key with the scope inspect"},
		{writeKey, required(`{"must_not_match":{"resource":"invitation:i"}}`), "forbidden", "needs a key with the scope inspect"},
		{"limited", `{"updates":[{"operation":"touch","relationship":"dashboard:d#editor@user:bob"}],"preconditions":[{"must_match":{"resource":"folder:f"}}]}`, "forbidden", `"preconditions[0].must_match.resource": the key may write relationships of dashboard, but not of folder`},
		{"limited", update(`"folder:f#viewer@user:bob"`), "forbidden", `"updates[0].relationship": the key may write relationships of dashboard, but not of folder`},
		{"limited", update(`"account:a#owner@user:bob"`), "forbidden", "not of folder"},
		{"limited", `{"updates":[{"operation":"touch","relationship":"account:a#owner@user:bob"}]}`, "invalid", "a type of the product"},
	} {
		status := map[string]int{"invalid": 400, "forbidden": 403, "too_large": 413}[tt.code]
		w.do(t, request{method: "POST", path: "/v1/relationships", body: tt.body, key: tt.key}).wantProblem(
			t, status, tt.code, tt.says,
		)
	}
	for resource, says := range map[string]string{
		"account:acme": "account is a type of the product", "foldr:f": "no type",
		"folder":          `"folder" is not a reference to an object: write type:id, for example dashboard:revenue`,
		"folder:f#viewer": "without the relation",
	} {
		w.do(t, request{method: "DELETE", path: "/v1/relationships?resource=" + url.QueryEscape(resource), key: writeKey}).
			wantProblem(t, 400, "invalid", `the parameter "resource": `, says)
	}
	w.do(t, request{method: "DELETE", path: "/v1/relationships", key: writeKey}).wantProblem(
		t, 400, "invalid", `the parameter "resource" is missing; for example resource=dashboard:revenue`,
	)
	w.do(t, request{method: "DELETE", path: "/v1/relationships?resource=folder:f", key: "limited"}).wantProblem(
		t, 403, "forbidden", "the key may write relationships of dashboard, but not of folder",
	)
	if w.operations.name != "" {
		t.Errorf("%s was called", w.operations.name)
	}
	w.do(t, request{method: "DELETE", path: "/v1/relationships?resource=dashboard:d", key: "limited"}).want(
		t, 200, `{"token":"t1"}`,
	)
	w.do(t, request{
		method: "POST", path: "/v1/relationships", body: required(`{"must_match":{"resource":"account:acme"}}`),
		key: "inspecting", actor: "alice",
	}).want(t, 200, `{"token":"t1"}`)
}

func (o *operations) WriteRelationships(
	ctx context.Context, by operation.Caller, write operation.RelationshipWrite,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "WriteRelationships", by, write)
}

func (o *operations) DeleteRelationships(
	ctx context.Context, by operation.Caller, object authz.Object,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "DeleteRelationships", by, object)
}
