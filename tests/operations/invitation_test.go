package operations_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestAcceptingInvitationOnlyAdds lets people with every role accept an invitation to every other role of the role set,
// permanently and with an end. Nobody loses a role, unless they get a stronger one. No existing end changes.
func TestAcceptingInvitationOnlyAdds(t *testing.T) {
	ctx := t.Context()
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	_, _, err := s.PutFeatures(ctx, by(""), "acme", []string{"dashboards", "user_permissions"})
	require.NoError(t, err)
	_, _, err = s.CreateSubscription(ctx, by(""), operation.NewSubscription{ID: "single", RoleSet: "single_owner", Owner: "ada"})
	require.NoError(t, err)
	people := 0
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for place, name := range map[authz.Object]authz.RoleSetName{
		{Type: "account", ID: "team"}:        authz.Team,
		{Type: "account", ID: "operations"}:  authz.Operations,
		{Type: "account", ID: "analytics"}:   authz.Analytics,
		{Type: "subscription", ID: "acme"}:   authz.MultiOwner,
		{Type: "subscription", ID: "single"}: authz.SingleOwner,
	} {
		set := authz.RoleSets[slices.IndexFunc(authz.RoleSets, func(set authz.RoleSet) bool { return set.Name == name })]
		// An operations account has three base roles and four additional roles. Two additional roles are enough, since all
		// four follow the same rules.
		names := set.Names()[:min(5, len(set.Roles))]
		for _, held := range names {
			for _, offered := range names {
				if set.Transferred && (held == set.Required || offered == set.Required) {
					continue // only a transfer moves this role
				}
				untils := []time.Time{{}}
				if place.Type == "account" && held != set.Required {
					untils = append(untils, ends)
				}
				for _, until := range untils {
					people++
					who := authz.ID(fmt.Sprintf("person-%d", people))
					what := fmt.Sprintf("%s of %s until %s accepts %s", held, set.Name, until, offered)
					heldInfo, _ := set.Role(held)
					offeredInfo, _ := set.Role(offered)
					roles := []string{string(held)}
					if heldInfo.Additional { // an additional role is never held alone
						roles = append(roles, "read_only")
					}
					if place.Type == "account" {
						_, _, err = s.PutAccountMember(ctx, by("ada"), place.ID, who, roles, until)
					} else {
						_, _, err = s.PutSubscriptionMember(ctx, by("ada"), place.ID, who, []string{string(held)})
					}
					require.NoError(t, err, what)
					invitation, _, err := s.Invite(ctx, by("ada"), operation.NewInvitation{To: place, Invitee: who, Roles: []string{string(offered)}})
					require.NoError(t, err, what)
					accepted, _, err := s.AcceptInvitation(ctx, by(who), invitation.ID)
					require.NoError(t, err, what)
					after := rolesOn(t, engine, place, who)
					requireAnswers(t, place, after, accepted, what)
					again, _, err := s.AcceptInvitation(ctx, by(who), invitation.ID)
					require.NoError(t, err, what)
					require.Equal(t, accepted, again, what)

					want := map[authz.Role]time.Time{}
					stronger := slices.Index(set.Names(), offered) < slices.Index(set.Names(), held)
					together := set.SeveralRoles || heldInfo.Additional || offeredInfo.Additional
					if together || !stronger {
						want[held] = until
					}
					if _, has := want[offered]; !has && (together || stronger) {
						want[offered] = until
						if offered == set.Required {
							want[offered] = time.Time{} // the granted role has no end
						}
					}
					if heldInfo.Additional && (offeredInfo.Additional || offered == "read_only") {
						want["read_only"] = until // every other base role is stronger
					}
					require.Equal(t, want, after, what)
				}
			}
		}
	}
}

// requireAnswers fails unless the answer to an acceptance has all roles that the person holds.
func requireAnswers(
	t *testing.T, place authz.Object, held map[authz.Role]time.Time, answer operation.AcceptedInvitation, what string,
) {
	t.Helper()
	require.Equal(t, place, answer.To, what)
	require.ElementsMatch(t, slices.Collect(maps.Keys(held)), answer.Roles, what)
	var last time.Time
	for _, end := range held {
		if end.IsZero() {
			last = end
			break
		}
		if end.After(last) {
			last = end
		}
	}
	require.Equal(t, last, answer.ExpiresAt, what)
}

// TestAcceptingAgainAnswersRolesHeldThen repeats an acceptance after the person's roles changed, after the roles ended,
// and during the deletion of the place. Each answer must have the roles that the person holds at that moment. Without a
// role, the person may not view the place, and the answer does not name it.
func TestAcceptingAgainAnswersRolesHeldThen(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	place := authz.Object{Type: "account", ID: "team"}
	invitation, _, err := s.Invite(t.Context(), by("ada"), operation.NewInvitation{To: place, Invitee: "nina", Roles: []string{"guest"}})
	require.NoError(t, err)
	once := operation.Caller{Actor: "nina", Key: "test", Idempotency: &operation.Idempotency{Key: "accept", Request: "r"}}
	accepts := func(caller operation.Caller, roles ...authz.Role) operation.Done {
		t.Helper()
		accepted, done, err := s.AcceptInvitation(t.Context(), caller, invitation.ID)
		require.NoError(t, err)
		if len(roles) == 0 {
			require.Zero(t, accepted)
		} else {
			require.Equal(t, place, accepted.To)
		}
		require.ElementsMatch(t, roles, accepted.Roles)
		return done
	}
	require.False(t, accepts(once, "guest").IsReplay)
	_, _, err = s.PutAccountMember(t.Context(), by("ada"), place.ID, "nina", []string{"user"}, time.Time{})
	require.NoError(t, err)
	accepts(by("nina"), "user")
	_, err = s.RemoveAccountMember(t.Context(), by("ada"), place.ID, "nina")
	require.NoError(t, err)
	accepts(by("nina"))
	require.True(t, accepts(once).IsReplay)
	_, err = operation.New(&crashing{engine, 1}).Delete(t.Context(), by("ada"), place)
	require.ErrorIs(t, err, errCrash)
	accepts(by("nina"))
}

// rolesOn returns a person's roles on an object with their ends.
func rolesOn(t *testing.T, engine authz.Engine, object authz.Object, who authz.ID) map[authz.Role]time.Time {
	t.Helper()
	roles := map[authz.Role]time.Time{}
	filter := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: "user", SubjectID: who}
	for item, err := range engine.Read(t.Context(), filter, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		roles[authz.Role(item.Relationship.Relation)] = item.Relationship.ExpiresAt
	}
	return roles
}
