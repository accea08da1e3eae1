package operations_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// guarded is an engine that counts writes. The test fails if, after a write, no relationship matches holder. holder
// selects a role that must always have a holder, for example owner.
type guarded struct {
	authz.Engine
	t      *testing.T
	holder authz.Filter
	writes int
	before func(write int) // called before each write; may be nil
}

func (g *guarded) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if g.before != nil {
		g.before(g.writes)
	}
	token, err := g.Engine.Write(ctx, write)
	if err == nil {
		g.writes++
		require.NotEmpty(g.t, matching(g.t, g.Engine, g.holder), "nobody holds the required role after write %d", g.writes)
	}
	return token, err
}

func matching(t *testing.T, engine authz.Engine, filter authz.Filter) (found []string) {
	t.Helper()
	for item, err := range engine.Read(t.Context(), filter, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		found = append(found, item.Relationship.String())
	}
	return found
}

// membershipReason returns the relationship that records an account as a reason for a person's membership of a
// subscription.
func membershipReason(who, subscription, relation, account string) string {
	sum := sha256.Sum256([]byte(subscription))
	digest := base64.RawURLEncoding.EncodeToString(sum[:])
	return fmt.Sprintf("membership:%s/%s#%s@account:%s", who, digest, relation, account)
}

// TestPatchRemovesManyEditors removes many people in one call. Their memberships of the subscription end with their
// roles. The call needs several writes. Each write ends the roles and memberships of some of the people. If the
// call is interrupted, repeating it finishes the removals.
func TestPatchRemovesManyEditors(t *testing.T) {
	count := testsize.Of(500, 1000)
	engine := newEngine(t)
	company(t, operation.New(engine))
	members := make(map[authz.ID][]string)
	var rows []string
	for i := range count {
		who := fmt.Sprintf("k%d", i)
		members[authz.ID(who)] = nil
		rows = append(rows, "account:analytics#editor@user:"+who, "subscription:acme#member@user:"+who,
			membershipReason(who, "acme", "first", "analytics"))
	}
	storeAll(t, engine, rows)
	caller := operation.Caller{Actor: "ada", Key: "test", Idempotency: &operation.Idempotency{Key: "k", Request: "r"}}
	patch := func(engine authz.Engine) ([]operation.Member, operation.Done, error) {
		return operation.New(engine).PatchAccountMembers(t.Context(), caller, "analytics", members, time.Time{})
	}
	editors := authz.Filter{Type: "account", ID: "analytics", Relation: "editor"}
	left := func() (roles, memberships, reasons int) {
		member := authz.Filter{Type: "subscription", ID: "acme", Relation: "member"}
		return len(matching(t, engine, editors)) - 1, len(matching(t, engine, member)), // ada stays
			len(matching(t, engine, authz.Filter{Type: "membership"}))
	}
	_, _, err := patch(&crashing{engine, 2})
	require.ErrorIs(t, err, errCrash)
	roles, memberships, reasons := left()
	require.Less(t, roles, count*7/10)
	require.Positive(t, roles)
	require.Equal(t, []int{roles, roles}, []int{memberships, reasons}, "nobody belongs to the subscription without a role")

	changed, done, err := patch(engine)
	require.NoError(t, err)
	require.Len(t, changed, count)
	roles, memberships, reasons = left()
	require.Zero(t, roles+memberships+reasons)
	require.False(t, done.IsReplay)
	_, done, err = patch(engine)
	require.NoError(t, err)
	require.True(t, done.IsReplay, "the last write remembers the call")
}

// TestMixedPatchRemovesFirstAndGrantsInOneWrite changes more people in one call than fit one write. It removes people
// or weakens their roles, also those of the actor and of the other owners, and it makes a new owner. The account must
// have an owner after every write.
func TestMixedPatchRemovesFirstAndGrantsInOneWrite(t *testing.T) {
	for _, actor := range []authz.ID{"boss", "sue"} {
		t.Run(string(actor), func(t *testing.T) { patchManyPeople(t, actor) })
	}
}

func patchManyPeople(t *testing.T, actor authz.ID) {
	t.Helper()
	engine := newEngine(t)
	company(t, operation.New(engine))
	team := authz.Object{Type: "account", ID: "team"}
	rows := []string{"account:team#owner@user:boss", "subscription:acme#owner@user:sue"}
	members := map[authz.ID][]string{"ada": nil, "boss": {"guest"}, "neo": {"owner"}}
	add := func(n int, name, role string, wanted ...string) {
		for i := range n {
			who := fmt.Sprint(name, i)
			members[authz.ID(who)] = wanted
			if role != "" {
				rows = append(rows, fmt.Sprintf("account:team#%s@user:%s", role, who))
			}
		}
	}
	add(150, "gone", "guest")
	add(100, "owner", "owner")
	add(100, "less", "user", "guest")
	add(100, "nobody", "")
	add(150, "new", "", "user")
	storeAll(t, engine, rows)
	owners := authz.Filter{Type: "account", ID: "team", Relation: "owner"}
	users := authz.Filter{Type: "account", ID: "team", Relation: "user", SubjectType: "user"}
	given := func() (n int) {
		for _, r := range matching(t, engine, users) {
			if strings.HasPrefix(r, "account:team#user@user:new") {
				n++
			}
		}
		return n
	}
	watched := &guarded{Engine: engine, t: t, holder: owners}
	watched.before = func(int) { require.Zero(t, given(), "the last write gives roles") }
	changed, _, err := operation.New(watched).PatchAccountMembers(t.Context(), by(actor), "team", members, time.Time{})
	require.NoError(t, err)
	require.Greater(t, watched.writes, 1)
	require.Equal(t, []string{"account:team#owner@user:neo"}, matching(t, engine, owners))
	require.Equal(t, 150, given())
	require.Len(t, changed, len(members))
	for _, member := range changed {
		require.ElementsMatch(t, asRoles(members[member.User]), member.Roles)
		held := rolesOn(t, engine, team, member.User)
		require.Len(t, held, len(member.Roles), "%s", member.User)
		for _, role := range member.Roles {
			require.Contains(t, held, role)
		}
	}
}

func asRoles(names []string) []authz.Role {
	roles := make([]authz.Role, len(names))
	for i, name := range names {
		roles[i] = authz.Role(name)
	}
	return roles
}

// TestPatchThatGrantsTooMuchChangesNothing sends calls with more removals than one write holds, and with grants that do
// not fit one write or that leave no owner. The call must fail before its first write.
func TestPatchThatGrantsTooMuchChangesNothing(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	var rows []string
	removes := make(map[authz.ID][]string)
	for i := range 400 {
		who := fmt.Sprint("g", i)
		rows = append(rows, "account:team#guest@user:"+who, "account:analytics#editor@user:"+who)
		removes[authz.ID(who)] = nil
	}
	storeAll(t, engine, rows)
	patch := func(account authz.ID, members map[authz.ID][]string, code authz.Code) {
		for who := range removes {
			members[who] = nil
		}
		s := operation.New(&crashing{engine, 0})
		_, _, err := s.PatchAccountMembers(t.Context(), by("ada"), account, members, time.Time{})
		require.ErrorIs(t, err, code)
	}
	// Each new editor also becomes a member of the subscription, so one write holds few new editors.
	editors := make(map[authz.ID][]string)
	for i := range 500 {
		editors[authz.ID(fmt.Sprint("e", i))] = []string{"editor"}
	}
	patch("analytics", editors, authz.CodeTooLarge)
	patch("team", map[authz.ID][]string{"ada": nil}, authz.CodeConflict)
	patch("team", map[authz.ID][]string{"uma": {"emperor"}}, authz.CodeInvalid)
}

// TestPatchNoticesOwnerWhoLeavesBetweenWrites removes people while the only remaining owner leaves. A later write
// must fail, and the account keeps an owner.
func TestPatchNoticesOwnerWhoLeavesBetweenWrites(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	rows := []string{"account:team#owner@user:olaf"}
	members := map[authz.ID][]string{"olaf": nil}
	for i := range 400 {
		rows = append(rows, fmt.Sprintf("account:team#guest@user:g%d", i))
		members[authz.ID(fmt.Sprint("g", i))] = nil
	}
	storeAll(t, engine, rows)
	owners := authz.Filter{Type: "account", ID: "team", Relation: "owner"}
	watched := &guarded{Engine: engine, t: t, holder: owners}
	watched.before = func(write int) {
		if write == 1 {
			_, err := s.RemoveAccountMember(t.Context(), by("ada"), "team", "ada")
			require.NoError(t, err)
		}
	}
	_, _, err := operation.New(watched).PatchAccountMembers(t.Context(), by("ada"), "team", members, time.Time{})
	require.ErrorIs(t, err, authz.CodeConflict)
	require.Equal(t, []string{"account:team#owner@user:olaf"}, matching(t, engine, owners))
}

// TestPutRemovesPersonFromManyAccounts ends the roles of one person on many analytics accounts in one call. All of
// these roles are reasons for the membership of the subscription. The membership must end with the last role.
func TestPutRemovesPersonFromManyAccounts(t *testing.T) {
	count := testsize.Of(400, 1000)
	engine := newEngine(t)
	company(t, operation.New(engine))
	accounts := map[authz.ID][]string{"team": {"guest"}}
	rows := []string{"subscription:acme#member@user:sam", "account:team#user@user:sam"}
	for i := range count - 1 {
		account := fmt.Sprintf("x%d", i)
		accounts[authz.ID(account)] = nil
		relation := "further"
		if i == count/2 {
			relation = "first"
		}
		rows = append(rows, "account:"+account+"#subscription@subscription:acme", "account:"+account+"#analytics@user:*",
			"account:"+account+"#editor@user:sam", membershipReason("sam", "acme", relation, account))
	}
	storeAll(t, engine, rows)
	member, _, err := operation.New(engine).PutMemberAccounts(t.Context(), by("ada"), "acme", "sam", accounts, time.Time{})
	require.NoError(t, err)
	require.Empty(t, member.Roles)
	require.Len(t, member.Accounts, count)
	require.Equal(t, operation.Roles{"guest"}, member.Accounts["team"])
	require.Equal(t, []string{"account:team#guest@user:sam"}, naming(t, engine, "sam"))
	require.Empty(t, matching(t, engine, authz.Filter{Type: "membership"}))
}
