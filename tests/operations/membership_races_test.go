package operations_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// act is an operation that changes one person's roles.
type act struct {
	name    string
	perform func(ctx context.Context, s *operation.Service, c publisher, who authz.ID) error
}

func removeFrom(account string) act {
	return act{"remove from " + account, func(ctx context.Context, s *operation.Service, c publisher, who authz.ID) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), c.account(account), who)
		return err
	}}
}

func giveOn(account string, until time.Time) act {
	name := "give on " + account
	if !until.IsZero() {
		name = "let end on " + account
	}
	return act{name, func(ctx context.Context, s *operation.Service, c publisher, who authz.ID) error {
		_, _, err := s.PutAccountMember(ctx, by("olga"), c.account(account), who, []string{"editor"}, until)
		return err
	}}
}

var (
	grantMembership = act{"grant", func(ctx context.Context, s *operation.Service, c publisher, who authz.ID) error {
		_, _, err := s.PutSubscriptionMember(ctx, by("olga"), c.id, who, []string{"member"})
		return err
	}}
	removeFromAll = act{"remove from all", func(
		ctx context.Context, s *operation.Service, c publisher, who authz.ID,
	) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("olga"), c.id, who)
		return err
	}}
	grantAnew = act{"remove from all and grant", func(
		ctx context.Context, s *operation.Service, c publisher, who authz.ID,
	) error {
		return errors.Join(removeFromAll.perform(ctx, s, c, who), grantMembership.perform(ctx, s, c, who))
	}}
	putToNothing = act{"put to nothing", func(ctx context.Context, s *operation.Service, c publisher, who authz.ID) error {
		accounts := map[authz.ID][]string{c.account("a"): {}, c.account("b"): {}}
		_, _, err := s.PutMemberAccounts(ctx, by("olga"), c.id, who, accounts, time.Time{})
		return err
	}}
)

// meanwhile is an engine that performs another operation just before the first write.
type meanwhile struct {
	authz.Engine
	other func()
}

func (m *meanwhile) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if other := m.other; other != nil {
		m.other = nil
		other()
	}
	return m.Engine.Write(ctx, write)
}

// TestMembershipSurvivesInterference performs each operation between the plan and the write of each other operation,
// from several states. At the end, the membership is stored if and only if the person has a role on an account that
// grants it, or got it explicitly.
func TestMembershipSurvivesInterference(t *testing.T) {
	engine := newEngine(t)
	c := newPublisher(t, engine, "mid")
	soon := time.Now().Add(time.Hour)
	a, b := giveOn("a", time.Time{}), giveOn("b", time.Time{})
	acts := []act{removeFrom("a"), a, b, giveOn("a", soon), grantMembership, removeFromAll, putToNothing}
	for i, state := range [][]act{
		{a}, {a, b, removeFrom("a")}, {a, grantMembership}, {giveOn("a", soon)},
	} {
		for j, first := range acts {
			for k, second := range append(acts, grantAnew) {
				if !testsize.IsLong() && (i+j+k)%3 > 0 {
					continue // in `make test`, each pair of operations starts in one or two of the four states
				}
				who := authz.ID(fmt.Sprintf("m%d-%d-%d", i, j, k))
				explicit := false
				note := func(performed act) {
					switch performed.name {
					case grantMembership.name, grantAnew.name:
						explicit = true
					case removeFromAll.name:
						explicit = false
					}
				}
				for _, performed := range state {
					require.NoError(t, performed.perform(t.Context(), c.s, c, who))
					note(performed)
				}
				interfering := &meanwhile{engine, func() {
					require.NoError(t, second.perform(t.Context(), c.s, c, who))
					note(second)
				}}
				require.NoError(t, first.perform(t.Context(), operation.New(interfering), c, who))
				note(first)
				requireMembershipHasReason(t, c, who, explicit, "state %d: %s during %s", i, second.name, first.name)
				require.NoError(t, putToNothing.perform(t.Context(), c.s, c, who))
				requireMembershipHasReason(
					t, c, who, explicit, "state %d: %s during %s, and then removed", i, second.name, first.name,
				)
				if explicit {
					continue
				}
				c.give(who, "a", "editor") // no explicit grant may be left
				c.remove(who, "a")
				requireMembershipHasReason(
					t, c, who, false, "state %d: %s during %s, and then given and removed", i, second.name, first.name,
				)
			}
		}
	}
}

// TestMembershipRaces runs two operations of one person concurrently, in many rounds.
func TestMembershipRaces(t *testing.T) {
	c := newPublisher(t, newEngine(t), "race")
	for i, race := range []struct {
		before []string // accounts on which the person holds a role before the round
		acts   []act
	}{
		{[]string{"a", "b"}, []act{removeFrom("a"), removeFrom("b")}},
		{[]string{"a"}, []act{removeFrom("a"), giveOn("b", time.Time{})}},
	} {
		for round := range testsize.Of(20, 50) {
			who := authz.ID(fmt.Sprintf("r%d-%d", i, round))
			for _, account := range race.before {
				c.give(who, account, "editor")
			}
			group, ctx := errgroup.WithContext(t.Context())
			for _, act := range race.acts {
				group.Go(func() error { return act.perform(ctx, c.s, c, who) })
			}
			require.NoError(t, group.Wait())
			requireMembershipHasReason(t, c, who, false, "race %d", i)
		}
	}
}

// TestDeletedAccountRacesWithGrant deletes the account that made a person a member while the person is granted a role
// on another account.
func TestDeletedAccountRacesWithGrant(t *testing.T) {
	engine := newEngine(t)
	for round := range 8 {
		c := newPublisher(t, engine, authz.ID(fmt.Sprintf("d%d", round)))
		c.give("ed", "a", "editor")
		c.give("kim", "a", "editor")
		group, ctx := errgroup.WithContext(t.Context())
		group.Go(func() error {
			_, err := c.s.Delete(ctx, by("olga"), authz.Object{Type: "account", ID: c.account("a")})
			return err
		})
		group.Go(func() error {
			_, _, err := c.s.PutAccountMember(ctx, by("olga"), c.account("b"), "ed", []string{"editor"}, time.Time{})
			return err
		})
		require.NoError(t, group.Wait())
		require.Equal(t, []string{"member"}, c.belongs("ed"))
		require.Empty(t, c.belongs("kim"))
		c.remove("ed", "b")
		require.Empty(t, c.belongs("ed"))
	}
}

// requireMembershipHasReason fails in two cases: the person is a member without a reason, or has a reason and is not a
// member. A reason is a permanent role on an account that grants membership, or an explicit grant.
func requireMembershipHasReason(t *testing.T, c publisher, who authz.ID, explicit bool, message string, args ...any) {
	t.Helper()
	reasons := []string{}
	for item, err := range c.engine.Read(
		t.Context(), authz.Filter{Type: "account", SubjectType: "user", SubjectID: who}, authz.Fully(), authz.Page{},
	) {
		require.NoError(t, err)
		if r := item.Relationship; slices.Contains([]authz.Relation{"editor", "viewer"}, r.Relation) && r.ExpiresAt.IsZero() {
			reasons = append(reasons, r.String())
		}
	}
	held := len(c.belongs(who)) == 1
	require.Equal(
		t, explicit || len(reasons) > 0, held, append([]any{message + ": %s holds %v"}, append(args, who, reasons)...)...,
	)
}
