package operations_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

const many = authz.MaxUpdates + 100

// removal is an operation that removes sam's access to one or more places.
type removal struct {
	name    string
	perform func(ctx context.Context, s *operation.Service) error
	// keeps reports whether a relationship about sam must remain. If keeps is nil, none may remain.
	keeps func(r string) bool
}

var toEve = operation.Handover{To: "eve"}

// removals are all operations that end roles on accounts.
var removals = []removal{
	{"removed from an account", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("ada"), "team", "sam")
		return err
	}, elsewhere},
	{"leaving an account", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("sam"), "team", "sam")
		return err
	}, elsewhere},
	{"patched to nothing", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PatchAccountMembers(ctx, by("ada"), "team", map[authz.ID][]string{"sam": {}, "eve": {"user"}}, time.Time{})
		return err
	}, elsewhere},
	{"put to nothing on two accounts", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PutMemberAccounts(ctx, by("ada"), "acme", "sam", map[authz.ID][]string{"team": {}, "operations": {}}, time.Time{})
		return err
	}, func(r string) bool {
		return r == "subscription:acme#member@user:sam" || r == "account:other#user@user:sam"
	}},
	{"removed from the subscription", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("ada"), "acme", "sam")
		return err
	}, nil},
	{"leaving the subscription", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("sam"), "acme", "sam")
		return err
	}, nil},
	{"reassigned on an account", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.HandOverAccountMember(ctx, by("ada"), "team", "sam", toEve)
		return err
	}, elsewhere},
	{"reassigned in the subscription", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.HandOverSubscriptionMember(ctx, by("ada"), "acme", "sam", toEve)
		return err
	}, nil},
	{"erased", func(ctx context.Context, s *operation.Service) error {
		_, err := s.EraseUser(ctx, by(""), "sam")
		return err
	}, nil},
}

// elsewhere reports whether a relationship about sam must remain when sam is removed only from the account team.
func elsewhere(r string) bool {
	return slices.Contains([]string{
		"subscription:acme#member@user:sam", "account:operations#operator@user:sam", "account:other#user@user:sam", "workspace:closed#member@user:sam",
	}, r)
}

// sam returns relationships about sam, among them more shares of connections than one write can delete.
func sam() []string {
	rows := []string{
		"subscription:acme#member@user:sam", "account:team#user@user:sam", "account:operations#operator@user:sam",
		"account:other#subscription@subscription:acme", "account:other#team@user:*", "account:other#user@user:sam",
		"account:team#user@user:eve", "workspace:closed#member@user:sam",
	}
	for i := range many {
		rows = append(rows, fmt.Sprintf("connection:e%d#account@account:team", i), fmt.Sprintf("connection:e%d#shared_with@user:sam", i))
	}
	return rows
}

func storeAll(t *testing.T, engine authz.Engine, rows []string) {
	t.Helper()
	for part := range slices.Chunk(rows, authz.MaxUpdates) {
		store(t.Context(), t, engine, part...)
	}
}

// naming returns the relationships that name a person as a subject, except the records of deletions.
func naming(t *testing.T, engine authz.Engine, who authz.ID) []string {
	t.Helper()
	found := []string{}
	for item, err := range engine.Read(t.Context(), authz.Filter{SubjectType: "user", SubjectID: who}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		if item.Relationship.Resource.Type != "deletion" {
			found = append(found, item.Relationship.String())
		}
	}
	return found
}

func departing(t *testing.T, engine authz.Engine) (found []string) {
	t.Helper()
	for item, err := range engine.Read(t.Context(), authz.Filter{Type: "offboarding"}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		found = append(found, item.Relationship.String())
	}
	return found
}

// TestRemovingPersonWithManyShares removes a person with more shares than one write holds, by every operation that
// removes people. The first write ends the roles. If the rest is interrupted, the same call or the next start finishes
// it.
func TestRemovingPersonWithManyShares(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	rows := sam()
	for i, removal := range removals {
		t.Run(removal.name, func(t *testing.T) {
			storeAll(t, engine, rows)
			err := removal.perform(t.Context(), operation.New(&crashing{engine, 1 + i%2}))
			require.ErrorIs(t, err, errCrash)
			requireNoAccess(t, engine)
			finish(t, engine, removal, i%2 == 0)
			requireRemoved(t, engine, removal)
			require.NoError(t, removal.perform(t.Context(), operation.New(engine)), "the same again")
			requireRemoved(t, engine, removal)
		})
	}
}

// finish finishes an interrupted removal by the same call, or by a start of the server.
func finish(t *testing.T, engine authz.Engine, removal removal, resume bool) {
	t.Helper()
	if resume {
		require.NoError(t, operation.New(engine).Resume(t.Context()))
		return
	}
	require.NoError(t, removal.perform(t.Context(), operation.New(engine)))
}

func requireNoAccess(t *testing.T, engine authz.Engine) {
	t.Helper()
	for _, object := range []authz.Object{{Type: "account", ID: "team"}, {Type: "connection", ID: "e0"}, {Type: "connection", ID: "e1099"}} {
		check := authz.Check{Subject: authz.Subject{Object: authz.Object{Type: "user", ID: "sam"}}, Permission: "view", Resource: object}
		decision, _, err := engine.Check(t.Context(), check, authz.Fully())
		require.NoError(t, err)
		require.False(t, decision.Allowed(), "sam views %s after the first write", object)
	}
}

func requireRemoved(t *testing.T, engine authz.Engine, removal removal) {
	t.Helper()
	for _, r := range naming(t, engine, "sam") {
		require.True(t, removal.keeps != nil && removal.keeps(r), "%s is still stored", r)
	}
	require.Empty(t, departing(t, engine))
}

// TestAddingPersonWithManyOldShares grants a role to a person whose earlier role left more shares behind than one
// write holds, and to a person whose removal was interrupted. The person must not have these shares.
func TestAddingPersonWithManyOldShares(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	rows := sam()
	add := func() {
		_, _, err := s.PutAccountMember(t.Context(), by("ada"), "team", "sam", []string{"user"}, time.Time{})
		require.NoError(t, err)
		require.NotContains(t, naming(t, engine, "sam"), "connection:e0#shared_with@user:sam")
		require.Contains(t, naming(t, engine, "sam"), "account:team#user@user:sam")
		require.Contains(t, naming(t, engine, "sam"), "workspace:closed#member@user:sam")
		require.Empty(t, departing(t, engine))
	}
	isRole := func(r string) bool { return r == "account:team#user@user:sam" }
	storeAll(t, engine, slices.DeleteFunc(slices.Clone(rows), isRole))
	add()

	storeAll(t, engine, rows)
	_, err := operation.New(&crashing{engine, 1}).RemoveAccountMember(t.Context(), by("ada"), "team", "sam")
	require.ErrorIs(t, err, errCrash)
	add()
}

// TestRemovingPersonFromManyAccounts removes a person with roles on more accounts of a subscription than one write
// holds.
func TestRemovingPersonFromManyAccounts(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	rows := []string{"subscription:acme#member@user:sam", "account:team#user@user:eve", "account:team#user@user:sam"}
	for i := range many {
		account := fmt.Sprintf("account:x%d", i)
		rows = append(rows, account+"#subscription@subscription:acme", account+"#team@user:*", account+"#user@user:sam")
		if i < 300 { // reassigning on each requires eve's roles and permission: too many preconditions for one write
			rows = append(rows, account+"#user@user:eve",
				fmt.Sprintf("importer:x%d#account@%s", i, account), fmt.Sprintf("importer:x%d#creator@user:sam", i))
		}
	}
	for i, removal := range removals {
		if removal.keeps != nil { // the removal is only about one account
			continue
		}
		t.Run(removal.name, func(t *testing.T) {
			storeAll(t, engine, rows)
			err := removal.perform(t.Context(), operation.New(&crashing{engine, 1}))
			require.ErrorIs(t, err, errCrash)
			requireNoAccess(t, engine)
			require.Less(
				t, strings.Count(strings.Join(naming(t, engine, "sam"), "\n"), "#user@user:sam"), many*3/4,
				"many roles ended in the first write",
			)
			finish(t, engine, removal, i%2 == 0)
			for _, r := range naming(t, engine, "sam") {
				require.Contains(t, r, "#creator@", "still stored")
			}
			require.Empty(t, departing(t, engine))
		})
	}
}

// TestUnsharingFromMany ends the shares of an object. The object is shared with more people than one write can change.
// The same call may also share the object with other people.
func TestUnsharingFromMany(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	rows := []string{"account:team#user@user:eve", "account:operations#operator@user:eve"}
	for i := range many {
		rows = append(rows, fmt.Sprintf("connection:crm#shared_with@user:u%d", i), fmt.Sprintf("workspace:closed#member@user:u%d", i))
	}
	for _, users := range [][]authz.ID{nil, {"eve"}} {
		for _, once := range []*operation.Idempotency{nil, {Key: fmt.Sprint(users), Request: "r"}} {
			storeAll(t, engine, rows)
			caller := operation.Caller{Actor: "uma", Key: "test", Idempotency: once}
			share := func(engine authz.Engine) error {
				_, _, err := operation.New(engine).ShareConnection(t.Context(), caller, "crm", operation.Sharing{Visibility: "private", Users: users})
				return err
			}
			require.ErrorIs(t, share(&crashing{engine, 1}), errCrash)
			require.NoError(t, share(engine), "interrupted, and repeated under the same key")
			require.Equal(t, users, named(t, engine, "connection", "crm", "shared_with"))

			_, _, err := s.SetWorkspaceAccess(t.Context(), by("ada"), "closed", operation.Access{Users: users})
			require.NoError(t, err)
			require.Equal(t, users, named(t, engine, "workspace", "closed", "member"))
		}
	}
	storeAll(t, engine, rows)
	_, err := s.Delete(t.Context(), by("uma"), authz.Object{Type: "connection", ID: "crm"})
	require.NoError(t, err)
	require.Empty(t, named(t, engine, "connection", "crm", "shared_with"))
}

func named(
	t *testing.T, engine authz.Engine, typ authz.Type, id authz.ID, relation authz.Relation,
) (people []authz.ID) {
	t.Helper()
	filter := authz.Filter{Type: typ, ID: id, Relation: relation}
	for item, err := range engine.Read(t.Context(), filter, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		people = append(people, item.Relationship.Subject.ID)
	}
	return people
}
