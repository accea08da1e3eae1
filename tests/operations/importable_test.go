package operations_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/schema"
)

// importable is an engine that checks all stored relationships against the rules of an import after every write.
type importable struct {
	authz.Engine
	t           *testing.T
	definitions []authz.Definition
	writes      int

	acceptForeignIDs bool // as the import of an export does
}

func (e *importable) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	token, err := e.Engine.Write(ctx, write)
	e.check(ctx, err, write.Metadata)
	return token, err
}

func (e *importable) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	token, err := e.Engine.DeleteAll(ctx, filter, preconditions, metadata)
	e.check(ctx, err, metadata)
	return token, err
}

func (e *importable) check(ctx context.Context, err error, metadata map[string]any) {
	e.t.Helper()
	if err != nil {
		return
	}
	e.writes++
	rules, line := operation.NewImportRules(e.definitions, nil), 0
	rules.AcceptForeignIDs = e.acceptForeignIDs
	var rows []string
	for _, definition := range e.definitions {
		for item, err := range e.Read(ctx, authz.Filter{Type: definition.Type}, authz.Fully(), authz.Page{}) {
			require.NoError(e.t, err)
			line++
			rows = append(rows, fmt.Sprint("line ", line, ": ", item.Relationship))
			rules.Add(line, item.Relationship)
		}
	}
	problems, err := rules.Problems(ctx)
	require.NoError(e.t, err)
	require.Empty(e.t, problems, "after a write of %v: %v", metadata["operation"], rows)
}

// TestEveryWriteCanBeImported performs operations of every kind, some of them in several writes. After each write,
// the stored relationships follow the rules of an import. So an export of any moment can be imported.
func TestEveryWriteCanBeImported(t *testing.T) {
	text, err := schema.Flatten()
	require.NoError(t, err)
	definitions, err := schema.Describe(text)
	require.NoError(t, err)
	engine := &importable{Engine: newEngine(t), t: t, definitions: definitions}
	s := operation.New(engine)
	ctx := t.Context()
	company(t, s)
	ok := func(_ operation.Done, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	must := func(_ any, _ operation.Done, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	account := func(id authz.ID) authz.Object { return authz.Object{Type: "account", ID: id} }
	acme := authz.Object{Type: "subscription", ID: "acme"}
	invite := func(inviter authz.ID, to authz.Object, invitee authz.ID, role string) string {
		t.Helper()
		invitation, _, err := s.Invite(ctx, by(inviter), operation.NewInvitation{
			To: to, Invitee: invitee, Roles: []string{role},
		})
		require.NoError(t, err)
		return invitation.ID
	}
	soon := time.Now().Add(time.Hour)

	// roles, permanent or with an end, and the memberships that some of these roles grant
	ok(s.AddPlatformAdministrator(ctx, by(""), "root"))
	must(s.PutAccountMember(ctx, by("root"), "analytics", "ed", []string{"editor"}, time.Time{}))
	must(s.PutAccountMember(ctx, by("ada"), "analytics", "tim", []string{"editor"}, soon))
	must(s.PutSubscriptionMember(ctx, by("ada"), "acme", "ed", []string{"member"}))
	must(s.PutAccountMember(ctx, by("ada"), "analytics", "eva", []string{"editor"}, time.Time{}))
	must(s.CreateAccount(ctx, by("ada"), operation.NewAccount{ID: "more", Subscription: "acme", RoleSet: "analytics"}))
	must(s.PutAccountMember(ctx, by("ada"), "more", "eva", []string{"editor"}, time.Time{}))
	ok(s.RemoveAccountMember(ctx, by("ada"), "analytics", "eva"))
	ok(s.RemoveAccountMember(ctx, by("eva"), "more", "eva"))
	must(s.PutAccountMember(ctx, by("ada"), "operations", "tia", []string{"operator", "flow_author"}, soon))
	must(s.PutAccountMember(ctx, by("ada"), "operations", "tia", []string{"read_only"}, time.Time{}))
	caller := by("")
	caller.Reason = "lost"
	must(s.PutAccountMember(ctx, caller, "operations", "otto", []string{"administrator"}, time.Time{}))
	must(s.PutFeatures(ctx, by(""), "acme", []string{"user_permissions"}))
	once := by("ada")
	once.Idempotency = &operation.Idempotency{Key: "k", Request: "request", Secret: []byte("secret")}
	must(s.PatchAccountMembers(ctx, once, "team", map[authz.ID][]string{"uma": {"user"}, "gus": {"guest"}, "bob": {"user"}}, time.Time{}))

	// invitations in every state
	must(s.AcceptInvitation(ctx, by("nina"), invite("uma", account("team"), "", "user")))
	ok(s.DeclineInvitation(ctx, by("nora"), invite("root", account("team"), "nora", "owner")))
	invite("ada", account("team"), "nora", "owner")
	invite("ada", account("team"), "nora", "guest")
	must(s.AcceptInvitation(ctx, by("mia"), invite("ada", acme, "mia", "member")))
	invite("root", account("operations"), "otto", "integration_author")
	invite("root", account("analytics"), "", "editor")
	ok(s.RemovePlatformAdministrator(ctx, by(""), "root"))

	// objects in accounts
	must(s.ShareConnection(ctx, by("uma"), "crm", operation.Sharing{Visibility: "private", Users: []authz.ID{"bob", "nina"}}))
	must(s.PutAccountMember(ctx, by("ada"), "team", "bob", []string{"guest"}, time.Time{}))
	must(s.CopyImporter(ctx, by("uma"), "i1", "i2"))
	must(s.CreateConnection(ctx, by("nina"), operation.NewConnection{ID: "files", Account: "team", Connector: "postgres"}))
	must(s.CreateSubscription(ctx, by(""), operation.NewSubscription{ID: "solo", RoleSet: "single_owner", Owner: "sam"}))
	must(s.CreateAccount(ctx, by("sam"), operation.NewAccount{ID: "room", Subscription: "solo", RoleSet: "team"}))
	must(s.CreateConnection(ctx, by("sam"), operation.NewConnection{ID: "shared", Account: "room", Connector: "postgres"}))
	must(s.GroupConnection(ctx, by("sam"), "shared", "group"))
	must(s.UngroupConnection(ctx, by("sam"), "shared"))
	invite("sam", account("room"), "rita", "user")
	ok(s.TransferSubscription(ctx, by("sam"), "solo", "tess"))

	// removals, also interrupted ones and some that need many writes
	must(s.HandOverAccountMember(ctx, by("ada"), "team", "nina", operation.Handover{To: "uma", Private: "disconnect"}))
	many := make(map[authz.ID][]string)
	for i := range 66 {
		id := authz.ID(fmt.Sprint("a", i))
		must(operation.New(engine.Engine).CreateAccount(ctx, by("ada"), operation.NewAccount{ID: id, Subscription: "acme", RoleSet: "analytics"}))
		many[id] = []string{"editor"}
	}
	must(s.PutMemberAccounts(ctx, by("ada"), "acme", "liz", many, time.Time{}))
	_, err = operation.New(&crashing{engine, 1}).RemoveSubscriptionMember(ctx, by("ada"), "acme", "liz")
	if !errors.Is(err, errCrash) {
		require.NoError(t, err)
	}
	require.NoError(t, s.Resume(ctx))
	must(s.PutSubscriptionMember(ctx, by("ada"), "acme", "bea", []string{"owner"}))
	must(s.PutAccountMember(ctx, by("ada"), "team", "bea", []string{"owner"}, time.Time{}))
	ok(s.EraseUser(ctx, by(""), "uma"))
	ok(s.Delete(ctx, by("bea"), authz.Object{Type: "connection", ID: "warehouse"}))
	ok(s.Delete(ctx, by("bea"), account("team")))
	ok(s.Delete(ctx, by("bea"), acme))
	require.Greater(t, engine.writes, 70)
}
