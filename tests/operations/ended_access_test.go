package operations_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// everything is the access of sam before each operation of TestEveryEndOfAccess, and its traces: roles that sam holds
// directly or through the group crew, shares, the derived membership of the subscription, and invitations. Names stand
// for the relationships, see nameAccess.
var everything = strings.Fields(`
	hall:user plant:operator press:editor member crew den:crew share workspace
	to-sam:hall to-sam:den to-sam:two by-sam:hall by-sam:den
`)

// accessEnds are the operations that end access, with the names that each of them ends, and the accounts from which sam
// counts as removed afterwards (in names that begin with "removed:").
var accessEnds = []struct {
	name    string
	perform func(ctx context.Context, s *operation.Service) error
	ends    string
}{
	{"removed from an account", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), "hall", "sam")
		return err
	}, "hall:user share to-sam:hall by-sam:hall removed:hall"},
	{"leaves an account", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("sam"), "hall", "sam")
		return err
	}, "hall:user share to-sam:hall by-sam:hall removed:hall"},
	{"removed from an account and all groups", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMemberAndGroups(ctx, by("olga"), "hall", "sam")
		return err
	}, "hall:user share to-sam:hall by-sam:hall removed:hall crew den:crew to-sam:den by-sam:den removed:den"},
	{"removed from an account with a role through a group", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), "den", "sam")
		return err
	}, "to-sam:den by-sam:den removed:den"},
	{"patched to nothing", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PatchAccountMembers(ctx, by("olga"), "hall", map[authz.ID][]string{"sam": nil}, time.Time{})
		return err
	}, "hall:user share to-sam:hall by-sam:hall"},
	{"put to nothing on three accounts", func(ctx context.Context, s *operation.Service) error {
		none := map[authz.ID][]string{"hall": nil, "plant": nil, "press": nil}
		_, _, err := s.PutMemberAccounts(ctx, by("olga"), "two", "sam", none, time.Time{})
		return err
	}, "hall:user share to-sam:hall by-sam:hall plant:operator workspace press:editor member to-sam:two"},
	{"reassigned on an account", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.HandOverAccountMember(ctx, by("olga"), "hall", "sam", operation.Handover{To: "olga"})
		return err
	}, "hall:user share to-sam:hall by-sam:hall"},
	{"loses the role that made them a member", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), "press", "sam")
		return err
	}, "press:editor member to-sam:two removed:press"},
	{"removed from an account with a workspace", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), "plant", "sam")
		return err
	}, "plant:operator workspace removed:plant"},
	{"removed from the subscription", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("olga"), "two", "sam")
		return err
	}, "all removed:hall removed:plant removed:press removed:den"},
	{"leaves the subscription", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("sam"), "two", "sam")
		return err
	}, "all removed:hall removed:plant removed:press removed:den"},
	{"reassigned in the subscription", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.HandOverSubscriptionMember(ctx, by("olga"), "two", "sam", operation.Handover{To: "olga"})
		return err
	}, "all removed:hall removed:plant removed:press removed:den"},
	{"removed from a group", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveGroupMember(ctx, by("olga"), "crew", "sam")
		return err
	}, "crew den:crew to-sam:den by-sam:den removed:den"},
	{"the members of a group change", func(ctx context.Context, s *operation.Service) error {
		_, err := s.ChangeGroupMembers(ctx, by("olga"), "crew", nil, []authz.ID{"sam"})
		return err
	}, "crew den:crew to-sam:den by-sam:den removed:den"},
	{"a group gets a weaker role", func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PutHolderRoles(ctx, by("olga"), den, crewOfTwo, []string{"guest"}, time.Time{})
		return err
	}, "den:crew to-sam:den by-sam:den"},
	{"a group loses its role", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveHolderRoles(ctx, by("olga"), den, crewOfTwo)
		return err
	}, "den:crew to-sam:den by-sam:den"},
	{"a group is deleted", func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by("olga"), crewOfTwo.Object())
		return err
	}, "crew den:crew to-sam:den by-sam:den removed:den"},
	{"an account is deleted", func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by("olga"), hall)
		return err
	}, "hall:user share to-sam:hall by-sam:hall"},
	{"the account that made them a member is deleted", func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "account", ID: "press"})
		return err
	}, "press:editor member to-sam:two"},
	{"an account on which a group holds roles is deleted", func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by("olga"), den)
		return err
	}, "den:crew to-sam:den by-sam:den"},
	{"the subscription is deleted", func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by("olga"), two)
		return err
	}, "all"},
	{"erased", func(ctx context.Context, s *operation.Service) error {
		_, err := s.EraseUser(ctx, by(""), "sam")
		return err
	}, "all"},
}

var (
	den       = authz.Object{Type: "account", ID: "den"}
	crewOfTwo = authz.Holder{Type: authz.TypeGroup, ID: "crew"}
)

// TestEveryEndOfAccess performs every operation that ends access of a person. It checks which roles, shares,
// memberships and invitations end, and from which accounts the person counts as removed. It performs each operation
// as a whole, and also lets the next start finish it after its first write.
func TestEveryEndOfAccess(t *testing.T) {
	engine := newEngine(t)
	for _, c := range accessEnds {
		for _, isInterrupted := range []bool{false, true} {
			s := operation.New(engine)
			invitations := makeAccess(t, engine, s)
			require.ElementsMatch(t, everything, nameAccess(t, engine, invitations))
			if !isInterrupted {
				require.NoError(t, c.perform(t.Context(), s), c.name)
			} else {
				if err := c.perform(t.Context(), operation.New(&crashing{engine, 1})); err != nil {
					require.ErrorIs(t, err, errCrash, c.name)
				}
				require.NoError(t, s.Resume(t.Context()), c.name)
				require.NoError(t, c.perform(t.Context(), s), c.name)
			}
			want := slices.Clone(everything)
			for _, name := range strings.Fields(c.ends) {
				i := slices.Index(want, name)
				switch {
				case name == "all":
					want = nil
				case strings.HasPrefix(name, "removed:"):
					want = append(want, name)
				default:
					require.GreaterOrEqual(t, i, 0, name)
					want = slices.Delete(want, i, i+1)
				}
			}
			require.ElementsMatch(t, want, nameAccess(t, engine, invitations), "%s, interrupted: %v", c.name, isInterrupted)
		}
	}
}

// makeAccess stores everything. It returns the names of the invitations, by their handles.
func makeAccess(t *testing.T, engine authz.Engine, s *operation.Service) map[authz.ID]string {
	t.Helper()
	ctx := t.Context()
	for _, typ := range []authz.Type{"group", "connection", "workspace"} {
		_, err := engine.DeleteAll(ctx, authz.Filter{Type: typ}, nil, nil)
		require.NoError(t, err)
	}
	makeScene(t, engine, s, []string{"subscription:one#owner@user:tess"}) // so that sam can be erased
	must := func(_ any, _ operation.Done, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	for id, set := range map[authz.ID]string{"den": "team", "plant": "operations", "press": "analytics"} {
		must(s.CreateAccount(ctx, by("olga"), operation.NewAccount{ID: id, Subscription: "two", RoleSet: set}))
	}
	for id, role := range map[authz.ID]string{"hall": "user", "plant": "operator", "press": "editor"} {
		must(s.PutAccountMember(ctx, by("olga"), id, "sam", []string{role}, time.Time{}))
	}
	must(s.CreateGroup(ctx, by("olga"), operation.Group{ID: "crew", Subscription: "two", Title: "Crew"}))
	must(s.PutHolderRoles(ctx, by("olga"), den, crewOfTwo, []string{"user"}, time.Time{}))
	_, err := s.AddGroupMember(ctx, by("olga"), "crew", "sam")
	require.NoError(t, err)
	must(s.PutConnector(ctx, by(""), "mysql", nil))
	must(s.CreateConnection(ctx, by("olga"), operation.NewConnection{ID: "crm", Account: "hall", Connector: "mysql"}))
	must(s.ShareConnection(ctx, by("olga"), "crm", operation.Sharing{Visibility: "private", Users: []authz.ID{"sam"}}))
	must(s.CreateWorkspace(ctx, by("olga"), operation.NewWorkspace{
		ID: "etl", Account: "plant", Access: operation.Access{Users: []authz.ID{"sam"}},
	}))
	invitations := make(map[authz.ID]string)
	for name, o := range map[string]offer{
		"to-sam:hall": {"olga", hall, "sam", "owner"}, "to-sam:den": {"olga", den, "sam", "owner"},
		"to-sam:two": {"olga", two, "sam", "owner"}, "by-sam:hall": {"sam", hall, "rita", "user"},
		"by-sam:den": {"sam", den, "rita", "user"},
	} {
		in := operation.NewInvitation{To: o.to, Invitee: o.invitee, Roles: []string{o.role}}
		invitation, _, err := s.Invite(ctx, by(o.inviter), in)
		require.NoError(t, err, name)
		invitations[invitation.Handle] = name
	}
	return invitations
}

// nameAccess returns the names of the stored access of sam, see everything.
func nameAccess(t *testing.T, engine authz.Engine, invitations map[authz.ID]string) (names []string) {
	t.Helper()
	named := map[string]string{
		"account:hall#user@user:sam": "hall:user", "account:plant#operator@user:sam": "plant:operator",
		"account:press#editor@user:sam": "press:editor", "subscription:two#member@user:sam": "member",
		"group:crew#member@user:sam": "crew", "account:den#user@group:crew#member": "den:crew",
		"connection:crm#shared_with@user:sam": "share", "workspace:etl#member@user:sam": "workspace",
	}
	for _, typ := range []authz.Type{
		"subscription", "account", "group", "connection", "workspace", "invitation", "removed_user", "offboarding", "membership",
	} {
		for item, err := range engine.Read(t.Context(), authz.Filter{Type: typ}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			r := item.Relationship
			r.ExpiresAt = time.Time{}
			name, isNamed := named[r.String()]
			switch {
			case isNamed:
				names = append(names, name)
			case typ == "invitation" && r.Relation == "inviter":
				names = append(names, invitations[r.Resource.ID])
			case typ == "removed_user":
				names = append(names, "removed:"+string(r.Subject.ID))
			case typ == "offboarding", typ == "group" && r.Relation != "subscription" && r.Relation != "title":
				names = append(names, r.String()) // a job that has not ended
			}
		}
	}
	if !slices.Contains(names, "crew") { // the role of the group is no access of sam
		names = slices.DeleteFunc(names, func(name string) bool { return name == "den:crew" })
	}
	return names
}
