package operation_test

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
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

func deleteGroup(actor authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by(actor), authz.Object{Type: "group", ID: "crew"})
		return err
	}
}

func removeAccountGroup(actor authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveHolderRoles(ctx, by(actor), on("account", "t"), groupOf("crew"))
		return err
	}
}

// TestDeletionOfAGroupIsARemoval checks which open invitations end when a group is deleted, and from which accounts its
// members count as removed.
func TestDeletionOfAGroupIsARemoval(t *testing.T) {
	const (
		withNina = "group:crew#subscription@subscription:s group:crew#title@title:Crew group:crew#member@user:nina "
		onTeam   = withNina + "account:t#user@group:crew#member "
		deleted  = `
			+ deletion:group/crew#done@user:olga for 24h0m0s
			- group:crew#member@user:nina
			- group:crew#subscription@subscription:s
			- group:crew#title@title:Crew
		`
		removed = "+ removed_user:nina#from@account:t for 24h0m0s\n- account:t#user@group:crew#member\n"
	)
	swapped := strings.NewReplacer("user:nina", "user:rex", "user:peter", "user:nina", "invitee:nina", "invitee:rex")
	onOne := strings.NewReplacer("subscription:s", "subscription:one", "account:t", "account:of-one")
	toOne := strings.NewReplacer("account:t", "subscription:one")
	admins := onOne.Replace(withNina) + "subscription:one#it_admin@group:crew#member "
	const noAdmins = "- subscription:one#it_admin@group:crew#member\n"
	many, fromMany := onTeam, ""
	for i := range 8 {
		role := fmt.Sprintf("account:m%d#user@group:crew#member", i)
		many, fromMany = many+role+" ", fromMany+"- "+role+"\n"
	}
	cases := []ruleCase{
		{name: "a group without roles", given: withNina + invitation, changes: deleted},
		{name: "a group with a role", given: onTeam, changes: deleted + removed},
		{
			name: "a role on an account and an own type", given: onTeam + "dashboard:d#viewer@group:crew#member",
			changes: deleted + removed + "- dashboard:d#viewer@group:crew#member",
		},
		{
			name: "roles on very many accounts", given: many,
			changes: deleted + fromMany + "- account:t#user@group:crew#member\n" +
				"+ removed_user:nina#from@subscription:s for 24h0m0s",
		},
		{name: "an invitation of a member", given: onTeam + invitation, changes: deleted + removed + withdrawn},
		{
			name: "an invitation by a member", given: onTeam + swapped.Replace(invitation),
			changes: deleted + removed + swapped.Replace(withdrawn),
		},
		{
			name: "an invitation of another person", changes: deleted + removed,
			given: onTeam + strings.ReplaceAll(invitation, "nina", "rex"),
		},
		{
			name: "an invitation to another account", changes: deleted + removed,
			given: onTeam + strings.ReplaceAll(invitation, "account:t", "account:n"),
		},
		{
			name: "a member with a direct role", given: onTeam + invitation + "account:t#guest@user:nina",
			changes: deleted + removed,
		},
		{
			name: "a member with a role through another group", changes: deleted + removed,
			given: onTeam + invitation + "group:others#member@user:nina account:t#guest@group:others#member",
		},
		{
			name: "an invitation to the subscription", given: admins + toOne.Replace(invitation),
			changes: onOne.Replace(deleted) + noAdmins + toOne.Replace(withdrawn),
		},
		{
			name: "an invitation to an account of the subscription", given: admins + onOne.Replace(invitation),
			changes: onOne.Replace(deleted) + noAdmins + onOne.Replace(withdrawn),
		},
		{
			name: "an invitation to an account on which a role remains", changes: onOne.Replace(deleted) + noAdmins,
			given: admins + onOne.Replace(invitation) + "account:of-one#guest@user:nina",
		},
		{
			name: "an invitation to an account, and a role on the subscription remains", changes: onOne.Replace(deleted) + noAdmins,
			given: admins + onOne.Replace(invitation) + "subscription:one#read_only@user:nina",
		},
	}
	for i := range cases {
		changes := lines(cases[i].changes)
		slices.Sort(changes)
		cases[i].do, cases[i].changes = deleteGroup("olga"), strings.Join(changes, "\n")
	}
	runRules(t, cases)
}

// groupLosses are operations after which members of the group crew hold no role on the account t.
var groupLosses = map[string]func(context.Context, *operation.Service) error{
	"the group is deleted":    deleteGroup("olga"),
	"the roles are removed":   removeAccountGroup("olga"),
	"the roles become weaker": putAccountGroup("olga", "t", "crew", "guest"),
}

// newGroupStore returns a store in which the group crew is user of the account t. Its members are nina and more people
// than one write can delete. nina has sent more invitations than one write can delete, and received one. id is the id
// of the received one.
func newGroupStore(t *testing.T) (store *stopping, id string) {
	t.Helper()
	given := append(company[:len(company):len(company)], strings.Fields(crew+"group:crew#member@user:nina "+
		"account:t#user@group:crew#member group:others#subscription@subscription:s "+lotsOf("group:crew#member@user:m%d"))...)
	for i := range 250 {
		for _, row := range []string{"place@account:t", "inviter@user:nina", "invitee@user:*", "role@role:user"} {
			given = append(given, fmt.Sprintf("invitation:h%d#%s[expiration:2030-01-08T12:00:00Z]", i, row))
		}
	}
	store = &stopping{txtest.New(txtest.Relationships(t, given...)...), 1000}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	invitation, _, err := serviceOn(store).Invite(t.Context(), by("peter"), operation.NewInvitation{
		To: authz.Object{Type: "account", ID: "t"}, Invitee: "nina", Roles: []string{"user"},
	})
	require.NoError(t, err)
	return store, invitation.ID
}

func serviceOn(store *stopping) *operation.Service {
	return operation.New(store, operation.WithClock(store.Now))
}

// TestLossOfRolesOfAGroupClosesInvitationsAtOnce stops every operation of groupLosses after each of its writes. From
// the first write on, nobody may accept or see the invitations. The next start, the same call, or a new invitation
// finishes the rest.
func TestLossOfRolesOfAGroupClosesInvitationsAtOnce(t *testing.T) {
	to := authz.Object{Type: "account", ID: "t"}
	for name, lose := range groupLosses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, _ := newGroupStore(t)
			before := whole.writes
			require.NoError(t, lose(t.Context(), serviceOn(whole)))
			want, writes := whole.Stored(), before-whole.writes
			require.NotContains(t, strings.Join(want, "\n"), "invit")
			require.NotContains(t, strings.Join(want, "\n"), "withdraws")
			require.Greater(t, writes, 2)
			for stop := 1; stop < writes; stop++ {
				for _, again := range []string{"start", "call", "invite", "join"} {
					store, id := newGroupStore(t)
					s := serviceOn(store)
					store.writes = stop
					require.ErrorIs(t, lose(t.Context(), s), errStopped)
					store.writes = 1000
					_, _, err := s.AcceptInvitation(t.Context(), by("nina"), id)
					require.ErrorIs(t, err, authz.CodeNotFound, "after %d writes", stop)
					_, err = s.DeclineInvitation(t.Context(), by("nina"), id)
					require.ErrorIs(t, err, authz.CodeNotFound, "after %d writes", stop)
					open, _, err := s.Invitations(t.Context(), by("olga"), to, operation.Page{Limit: 1000})
					require.NoError(t, err)
					require.Empty(t, open.Invitations)
					switch again {
					case "start":
						require.NoError(t, s.Resume(t.Context()))
					case "call":
						require.NoError(t, lose(t.Context(), s))
					case "invite":
						in := operation.NewInvitation{To: to, Invitee: "nina", Roles: []string{"user"}}
						invited, _, err := s.Invite(t.Context(), by("olga"), in)
						require.NoError(t, err)
						_, _, err = s.AcceptInvitation(t.Context(), by("nina"), invited.ID)
						require.NoError(t, err)
					case "join":
						err := changeGroup("olga", "crew", []authz.ID{"otto"}, nil)(t.Context(), s)
						if authz.CodeOf(err) != authz.CodeNotFound { // the group is deleted
							require.NoError(t, err)
						}
					}
					if again == "start" || again == "call" {
						require.Equal(t, want, store.Stored(), "after %d writes and a %s", stop, again)
					}
				}
			}
		})
	}
}

// TestFormerMembersOfADeletedGroupNeedAssignRoles stops the deletion of a group after each of its writes. From the
// first write on, an actor without assign_roles may not add a former member to an account on which the group held a
// role.
func TestFormerMembersOfADeletedGroupNeedAssignRoles(t *testing.T) {
	for _, more := range []int{0, 20} {
		finished := false
		for stop := 1; !finished; stop++ {
			require.Less(t, stop, 50)
			store, _ := newGroupStore(t)
			for i := range more {
				store.Put(txtest.Relationship(t, fmt.Sprintf("account:m%d#user@group:crew#member", i)))
			}
			s := serviceOn(store)
			store.writes = stop
			err := deleteGroup("olga")(t.Context(), s)
			if finished = err == nil; !finished {
				require.ErrorIs(t, err, errStopped)
			}
			store.writes = 1000
			store.Allow = func(check authz.Check) bool { return check.Permission != "assign_roles" }
			for _, who := range []authz.ID{"nina", "m7"} {
				err := putMember("ursula", "t", who, time.Time{}, "user")(t.Context(), s)
				require.ErrorIs(t, err, authz.CodeForbidden, "%s after %d writes", who, stop)
				require.ErrorContains(t, err, "was removed from account:t")
			}
			require.NoError(t, putMember("ursula", "t", "otto", time.Time{}, "user")(t.Context(), s))
			store.Allow = func(authz.Check) bool { return true }
			require.NoError(t, putMember("olga", "t", "nina", time.Time{}, "user")(t.Context(), s))
		}
	}
}

// TestInvitationsAndLossOfRolesOfAGroupDoNotMissEachOther invites a member of a group while the group loses its roles.
// If the invitation is stored first, it must be withdrawn. If the loss is stored first, the invitation is a new one and
// stays open.
func TestInvitationsAndLossOfRolesOfAGroupDoNotMissEachOther(t *testing.T) {
	to := authz.Object{Type: "account", ID: "t"}
	invite := func(ctx context.Context, s *operation.Service) (string, error) {
		invitation, _, err := s.Invite(ctx, by("peter"), operation.NewInvitation{To: to, Invitee: "nina", Roles: []string{"user"}})
		return invitation.ID, err
	}
	for name, lose := range groupLosses {
		for _, isOpen := range []bool{false, true} { // whether another invitation to the account is open
			given := crew + "group:crew#member@user:nina account:t#user@group:crew#member "
			if isOpen {
				given += strings.ReplaceAll(invitation, "nina", "rex")
			}
			newStore := func() *txtest.Store {
				store := txtest.New(txtest.Relationships(t, append(strings.Fields(given), company...)...)...)
				store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
				return store
			}
			// between performs an operation before the first write of another one.
			between := func(store *txtest.Store, do func()) {
				store.BeforeWrite = func() {
					store.BeforeWrite = nil
					do()
				}
			}
			t.Run(fmt.Sprintf("%s, the invitation first, %v", name, isOpen), func(t *testing.T) {
				store := newStore()
				s := operation.New(store, operation.WithClock(store.Now))
				var id string
				between(store, func() {
					var err error
					id, err = invite(t.Context(), s)
					require.NoError(t, err)
				})
				require.NoError(t, lose(t.Context(), s))
				_, _, err := s.AcceptInvitation(t.Context(), by("nina"), id)
				require.ErrorIs(t, err, authz.CodeNotFound)
			})
			t.Run(fmt.Sprintf("%s, the loss first, %v", name, isOpen), func(t *testing.T) {
				store := newStore()
				s := operation.New(store, operation.WithClock(store.Now))
				writes := 0
				between(store, func() { require.NoError(t, lose(t.Context(), s)); writes++ })
				id, err := invite(t.Context(), s)
				require.NoError(t, err)
				require.Equal(t, 1, writes)
				_, _, err = s.AcceptInvitation(t.Context(), by("nina"), id)
				require.NoError(t, err)
			})
			t.Run(fmt.Sprintf("%s, during an acceptance, %v", name, isOpen), func(t *testing.T) {
				store := newStore()
				s := operation.New(store, operation.WithClock(store.Now))
				id, err := invite(t.Context(), s)
				require.NoError(t, err)
				between(store, func() { require.NoError(t, lose(t.Context(), s)) })
				_, _, err = s.AcceptInvitation(t.Context(), by("nina"), id)
				require.ErrorIs(t, err, authz.CodeNotFound)
			})
		}
	}
}

// TestAcceptanceDuringLossOfRolesOfAGroup accepts an invitation while a group loses its roles and the server stops
// after the first write. The acceptance must not give the former member a role.
func TestAcceptanceDuringLossOfRolesOfAGroup(t *testing.T) {
	const member = "group:crew#member@user:nina "
	for name, c := range map[string]struct {
		given string
		joins bool // nina joins the group meanwhile
	}{
		"a member": {given: member},
		"a member, while another group lost roles": {given: member + "group:others#withdraws@account:t"},
		"a person who joins":                       {joins: true},
	} {
		for loss, lose := range groupLosses {
			t.Run(name+", "+loss, func(t *testing.T) {
				given := crew + "account:t#user@group:crew#member " + c.given
				store := &stopping{txtest.New(txtest.Relationships(t, append(strings.Fields(given), company...)...)...), 1000}
				store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
				s := serviceOn(store)
				in := operation.NewInvitation{To: authz.Object{Type: "account", ID: "t"}, Invitee: "nina", Roles: []string{"user"}}
				invited, _, err := s.Invite(t.Context(), by("peter"), in)
				require.NoError(t, err)
				store.BeforeWrite = func() {
					store.BeforeWrite = nil
					if c.joins {
						require.NoError(t, addToGroup("olga", "crew", "nina")(t.Context(), s))
					}
					store.writes = 1
					require.ErrorIs(t, lose(t.Context(), s), errStopped)
					store.writes = 1000
				}
				_, _, err = s.AcceptInvitation(t.Context(), by("nina"), invited.ID)
				require.ErrorIs(t, err, authz.CodeNotFound)
				require.NotContains(t, store.Stored(), "account:t#user@user:nina")
			})
		}
	}
}

// TestJoiningAGroupKeepsInvitations lets a person join a group whose loss of roles was interrupted. The person lost
// nothing, so the person's invitation must stay open.
func TestJoiningAGroupKeepsInvitations(t *testing.T) {
	given := crew + "account:t#user@group:crew#member " + invitation
	store := &stopping{txtest.New(txtest.Relationships(t, append(strings.Fields(given), company...)...)...), 1}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	s := serviceOn(store)
	require.ErrorIs(t, removeAccountGroup("olga")(t.Context(), s), errStopped)
	store.writes = 1000
	require.NoError(t, addToGroup("olga", "crew", "nina")(t.Context(), s))
	require.NoError(t, s.Resume(t.Context()))
	require.Contains(t, store.Stored(), "invitation:h#invitee@user:nina for 168h0m0s")
}

// TestLeavingAGroupThatLostRolesWithdrawsInvitations lets a member leave a group, or two groups lose their roles, while
// the loss of roles of the group is interrupted. The person must not keep an invitation that the loss closed.
func TestLeavingAGroupThatLostRolesWithdrawsInvitations(t *testing.T) {
	const others = "group:others#member@user:nina account:t#guest@group:others#member " +
		"group:others#subscription@subscription:s "
	for name, c := range map[string]struct {
		given string
		next  func(context.Context, *operation.Service) error
	}{
		"leaves":      {"", removeGroupMember("olga", "crew", "nina")},
		"leaves both": {others, removeMemberAndGroups("olga", "o", "nina")},
		"loses the other": {others, func(ctx context.Context, s *operation.Service) error {
			_, err := s.RemoveHolderRoles(ctx, by("olga"), on("account", "t"), groupOf("others"))
			return err
		}},
		"leaves the other": {others, removeGroupMember("olga", "others", "nina")},
	} {
		t.Run(name, func(t *testing.T) {
			given := crew + "group:crew#member@user:nina account:t#user@group:crew#member " + invitation + c.given
			store := &stopping{txtest.New(txtest.Relationships(t, append(strings.Fields(given), company...)...)...), 1}
			store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
			s := serviceOn(store)
			require.ErrorIs(t, removeAccountGroup("olga")(t.Context(), s), errStopped)
			store.writes = 1000
			require.NoError(t, c.next(t.Context(), s))
			require.NoError(t, s.Resume(t.Context()))
			require.NotContains(t, strings.Join(store.Stored(), "\n"), "invitation:h")
		})
	}
}
