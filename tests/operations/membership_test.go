package operations_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// publisher is a subscription of olga with three analytics accounts. The ids of the accounts start with the id of the
// subscription.
type publisher struct {
	t      *testing.T
	engine authz.Engine
	s      *operation.Service
	id     authz.ID
}

func newPublisher(t *testing.T, engine authz.Engine, id authz.ID) publisher {
	t.Helper()
	c := publisher{t, engine, operation.New(engine), id}
	features := []string{"user_permissions", "dashboards"}
	_, _, err := c.s.CreateSubscription(t.Context(), by(""), operation.NewSubscription{
		ID: id, RoleSet: "multi_owner", Owner: "olga", Features: features,
	})
	require.NoError(t, err)
	for _, account := range []string{"a", "b", "c"} {
		_, _, err := c.s.CreateAccount(
			t.Context(), by("olga"), operation.NewAccount{ID: c.account(account), Subscription: id, RoleSet: "analytics"},
		)
		require.NoError(t, err)
	}
	return c
}

func (c publisher) account(name string) authz.ID { return c.id + "-" + authz.ID(name) }

// give grants a person one role on an account, on behalf of olga.
func (c publisher) give(who authz.ID, account, role string) {
	c.t.Helper()
	_, _, err := c.s.PutAccountMember(c.t.Context(), by("olga"), c.account(account), who, []string{role}, time.Time{})
	require.NoError(c.t, err)
}

func (c publisher) remove(who authz.ID, account string) {
	c.t.Helper()
	_, err := c.s.RemoveAccountMember(c.t.Context(), by("olga"), c.account(account), who)
	require.NoError(c.t, err)
}

// grant makes a person a member of the subscription, on behalf of olga.
func (c publisher) grant(who authz.ID, role string) {
	c.t.Helper()
	_, _, err := c.s.PutSubscriptionMember(c.t.Context(), by("olga"), c.id, who, []string{role})
	require.NoError(c.t, err)
}

// report returns the field ends_membership of a person's offboarding report on an account.
func (c publisher) report(who authz.ID, account string) bool {
	c.t.Helper()
	report, _, err := c.s.ReportOffboarding(c.t.Context(), by("olga"), c.account(account), who)
	require.NoError(c.t, err)
	require.NotNil(c.t, report.EndsMembership)
	return *report.EndsMembership
}

func (c publisher) roles(object authz.Object, who authz.ID) (held []string) {
	c.t.Helper()
	filter := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: "user", SubjectID: who}
	for item, err := range c.engine.Read(c.t.Context(), filter, authz.Fully(), authz.Page{}) {
		require.NoError(c.t, err)
		held = append(held, string(item.Relationship.Relation))
	}
	return held
}

func (c publisher) belongs(who authz.ID) []string {
	c.t.Helper()
	return c.roles(authz.Object{Type: "subscription", ID: c.id}, who)
}

// requireNoReasons fails if a resource of the type membership has a relationship about the accounts or the
// subscription.
func (c publisher) requireNoReasons() {
	c.t.Helper()
	for item, err := range c.engine.Read(c.t.Context(), authz.Filter{Type: "membership"}, authz.Fully(), authz.Page{}) {
		require.NoError(c.t, err)
		subject := item.Relationship.Subject.Object
		require.NotEqual(c.t, authz.Object{Type: "subscription", ID: c.id}, subject, item.Relationship.String())
		require.NotContains(
			c.t, []authz.ID{c.account("a"), c.account("b"), c.account("c")}, subject.ID, item.Relationship.String(),
		)
	}
}

// ending is an operation that ends the last role that makes ed a member.
type ending struct {
	name    string
	gone    bool // the account no longer exists after the operation
	perform func(ctx context.Context, s *operation.Service, subscription, account authz.ID) error
}

var endings = []ending{
	{"removed", false, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), account, "ed")
		return err
	}},
	{"leaving", false, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, err := s.RemoveAccountMember(ctx, by("ed"), account, "ed")
		return err
	}},
	{"patched to nothing", false, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, _, err := s.PatchAccountMembers(
			ctx, by("olga"), account, map[authz.ID][]string{"ed": {}, "kim": {"editor"}}, time.Time{},
		)
		return err
	}},
	{"put to nothing", false, func(ctx context.Context, s *operation.Service, subscription, account authz.ID) error {
		_, _, err := s.PutMemberAccounts(ctx, by("olga"), subscription, "ed", map[authz.ID][]string{account: {}}, time.Time{})
		return err
	}},
	{"given another role", false, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, _, err := s.PutAccountMember(ctx, by("olga"), account, "ed", []string{"report_user"}, time.Time{})
		return err
	}},
	{"given an end", false, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, _, err := s.PutAccountMember(ctx, by("olga"), account, "ed", []string{"editor"}, time.Now().Add(time.Hour))
		return err
	}},
	{"reassigned", false, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, _, err := s.HandOverAccountMember(ctx, by("olga"), account, "ed", operation.Handover{To: "olga"})
		return err
	}},
	{"account deleted", true, func(ctx context.Context, s *operation.Service, _, account authz.ID) error {
		_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "account", ID: account})
		return err
	}},
}

// TestMembershipEndsWithLastAccountRole ends the roles that made ed a member, by every operation that can. His
// membership must end with the last of these roles, unless it was also granted explicitly, before or after the roles.
func TestMembershipEndsWithLastAccountRole(t *testing.T) {
	engine := newEngine(t)
	for i, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			c := newPublisher(t, engine, authz.ID(fmt.Sprintf("p%d", i)))
			finish := func(account string) {
				require.NoError(t, end.perform(t.Context(), c.s, c.id, c.account(account)))
			}
			c.give("ed", "a", "editor")
			require.Equal(t, []string{"member"}, c.belongs("ed"))
			require.True(t, c.report("ed", "a"))
			c.give("ed", "b", "viewer")
			c.give("ed", "c", "viewer")
			require.False(t, c.report("ed", "a"), "there is another reason")
			c.remove("ed", "c")
			finish("a")
			require.Equal(t, []string{"member"}, c.belongs("ed"), "through b")
			require.True(t, c.report("ed", "b"))
			finish("b")
			require.Empty(t, c.belongs("ed"))

			c.grant("ed", "member")
			c.give("ed", "c", "editor")
			require.False(t, c.report("ed", "c"))
			c.remove("ed", "c")
			require.Equal(t, []string{"member"}, c.belongs("ed"), "granted before")
			_, err := c.s.RemoveSubscriptionMember(t.Context(), by("olga"), c.id, "ed")
			require.NoError(t, err)

			c.give("ed", "c", "editor")
			c.grant("ed", "member")
			require.False(t, c.report("ed", "c"))
			finish("c")
			require.Equal(t, []string{"member"}, c.belongs("ed"), "granted afterwards")
			_, err = c.s.RemoveSubscriptionMember(t.Context(), by("olga"), c.id, "ed")
			require.NoError(t, err)
			require.Empty(t, c.belongs("ed"))
			// ed had an explicit membership earlier. If he becomes a member through a role now, this membership must
			// not be explicit.
			if !end.gone {
				c.give("ed", "a", "editor")
				c.remove("ed", "a")
				require.Empty(t, c.belongs("ed"))
			}
			_, err = c.s.RemoveSubscriptionMember(t.Context(), by("olga"), c.id, "kim")
			require.NoError(t, err)
			c.requireNoReasons()
		})
	}
}

// TestMembershipEndsWithSeveralRolesAtOnce ends several roles in one call, including the last one, and removes the
// person or the subscription.
func TestMembershipEndsWithSeveralRolesAtOnce(t *testing.T) {
	engine := newEngine(t)
	c := newPublisher(t, engine, "many")
	other := newPublisher(t, engine, "other")
	none := map[authz.ID][]string{c.account("a"): {}, c.account("b"): {}}
	for _, account := range []string{"a", "b", "c"} {
		c.give("ed", account, "editor")
		other.give("ed", account, "editor")
	}
	put := func(accounts map[authz.ID][]string) operation.Roles {
		member, _, err := c.s.PutMemberAccounts(t.Context(), by("olga"), c.id, "ed", accounts, time.Time{})
		require.NoError(t, err)
		return member.Roles
	}
	require.Equal(t, operation.Roles{"member"}, put(none))
	require.Equal(
		t, operation.Roles{"member"}, put(map[authz.ID][]string{c.account("b"): {"viewer"}, c.account("c"): {}}),
		"one ends, one begins",
	)
	require.Equal(t, []string{"member"}, c.belongs("ed"))
	c.give("ed", "a", "viewer")
	require.Empty(t, put(none))
	require.Empty(t, c.belongs("ed"))
	c.requireNoReasons()
	require.Equal(t, []string{"member"}, other.belongs("ed"))

	_, err := c.s.EraseUser(t.Context(), by(""), "ed")
	require.NoError(t, err)
	other.requireNoReasons()
	other.give("ed", "a", "editor")
	other.grant("ed", "member")
	other.give("kim", "a", "editor")
	_, err = c.s.Delete(t.Context(), by("olga"), authz.Object{Type: "subscription", ID: "other"})
	require.NoError(t, err)
	other.requireNoReasons()
}

// TestExplicitMembershipStays grants a membership in three ways: by an invitation, as an owner, and by a write that
// bypasses Sluice. The membership stays.
func TestExplicitMembershipStays(t *testing.T) {
	engine := newEngine(t)
	c := newPublisher(t, engine, "kept")
	place := authz.Object{Type: "subscription", ID: c.id}
	for who, grant := range map[authz.ID]func(who authz.ID){
		"invited": func(who authz.ID) {
			invitation, _, err := c.s.Invite(
				t.Context(), by("olga"), operation.NewInvitation{To: place, Invitee: who, Roles: []string{"member"}},
			)
			require.NoError(t, err)
			require.True(t, c.report(who, "a"), "inviting alone grants nothing")
			_, _, err = c.s.AcceptInvitation(t.Context(), by(who), invitation.ID)
			require.NoError(t, err)
		},
		"owner": func(who authz.ID) {
			c.grant(who, "owner")
			_, _, err := c.s.PutSubscriptionMember(t.Context(), by(who), c.id, who, []string{"member"})
			require.NoError(t, err)
		},
		"granted": func(who authz.ID) { c.grant(who, "member") },
	} {
		c.give(who, "a", "editor")
		grant(who)
		c.give(who, "b", "editor")
		require.False(t, c.report(who, "a"))
		c.remove(who, "a")
		c.remove(who, "b")
		require.Equal(t, []string{"member"}, c.belongs(who), who)
	}
	c.give("ed", "a", "editor")
	store(t.Context(), t, engine, "account:kept-b#editor@user:ed") // another tool writes this role
	c.remove("ed", "a")
	require.Equal(t, []string{"member"}, c.belongs("ed"), "the role that no reason is stored for counts")
	c.remove("ed", "b")
	require.Empty(t, c.belongs("ed"))
	store(t.Context(), t, engine, "account:kept-b#editor@user:old", "subscription:kept#member@user:old")
	c.remove("old", "b")
	require.Equal(t, []string{"member"}, c.belongs("old"), "from before reasons were stored")
}

// TestOffboardingReportHidesMemberships checks that the report hides the membership from people who may not list the
// subscription's members.
func TestOffboardingReportHidesMemberships(t *testing.T) {
	c := newPublisher(t, newEngine(t), "hidden")
	c.give("ed", "a", "editor")
	c.give("kim", "a", "editor")
	report, _, err := c.s.ReportOffboarding(t.Context(), by("kim"), c.account("a"), "ed")
	require.NoError(t, err)
	require.Nil(t, report.EndsMembership)
	report, _, err = c.s.ReportOffboarding(t.Context(), by("ed"), c.account("a"), "ed")
	require.NoError(t, err)
	require.True(t, *report.EndsMembership)
}

// TestInterruptedEndOfMemberships interrupts the deletion of an account after every number of writes. The next start
// or the same call finishes it, and ends each membership that came only from that account.
func TestInterruptedEndOfMemberships(t *testing.T) {
	engine := newEngine(t)
	for writes, finished := 1, false; !finished; writes++ {
		require.Less(t, writes, 20)
		c := newPublisher(t, engine, authz.ID(fmt.Sprintf("i%d", writes)))
		members := make(map[authz.ID][]string)
		for i := range 60 {
			members[authz.ID(fmt.Sprintf("u%d", i))] = []string{"viewer"}
		}
		_, _, err := c.s.PatchAccountMembers(t.Context(), by("olga"), c.account("a"), members, time.Time{})
		require.NoError(t, err)
		c.give("u7", "b", "viewer")
		c.grant("u8", "member")
		remove := func(engine authz.Engine) error {
			_, err := operation.New(engine).Delete(t.Context(), by("olga"), authz.Object{Type: "account", ID: c.account("a")})
			return err
		}
		err = remove(&crashing{engine, writes})
		if finished = err == nil; !finished {
			require.ErrorIs(t, err, errCrash)
		}
		if writes%2 == 0 {
			require.NoError(t, c.s.Resume(t.Context()))
		} else {
			require.NoError(t, remove(engine))
		}
		for who := range members {
			require.Equal(t, who == "u7" || who == "u8", len(c.belongs(who)) == 1, "%s after %d writes", who, writes)
		}
	}
}
