package operations_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// afterWrites is an engine that calls a function after each successful write.
type afterWrites struct {
	authz.Engine
	after func()
}

func (a *afterWrites) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	token, err := a.Engine.Write(ctx, write)
	if err == nil {
		a.after()
	}
	return token, err
}

// TestMembershipWritesRequireReasonsAsRead changes the reasons of a membership between the plan and the write of an
// operation, in ways that no other precondition notices. A reason is a relationship that records why a person is a
// member: a role on an account, or an explicit grant. At the end, the membership is stored if and only if it has a
// reason. If it has ended, no reason is stored. At no time are two reasons stored with the relation first.
func TestMembershipWritesRequireReasonsAsRead(t *testing.T) {
	engine := newEngine(t)
	c := newPublisher(t, engine, "pre")
	soon := time.Now().Add(time.Hour)
	byAnotherTool := func(account string) act {
		return act{"another tool gives " + account, func(ctx context.Context, _ *operation.Service, c publisher, who authz.ID) error {
			store(ctx, t, engine, "account:"+string(c.account(account))+"#editor@user:"+string(who))
			return nil
		}}
	}
	becomeOwner := act{"owner", func(ctx context.Context, s *operation.Service, c publisher, who authz.ID) error {
		_, _, err := s.PutSubscriptionMember(ctx, by("olga"), c.id, who, []string{"owner"})
		return err
	}}
	give := func(account string) act { return giveOn(account, time.Time{}) }
	for i, test := range []struct {
		name       string
		before     []act
		operation  act
		meanwhile  []act
		isExplicit bool
	}{
		{"the reason that is left ends", []act{give("a"), give("b")}, removeFrom("a"), []act{removeFrom("b")}, false},
		{"the role that another tool gave ends", []act{give("a"), byAnotherTool("b")}, removeFrom("a"), []act{removeFrom("b")}, false},
		{
			"another account is the first reason",
			[]act{give("a")},
			removeFrom("a"),
			[]act{removeFrom("a"), give("b"), giveOn("a", soon)},
			false,
		},
		{"a further reason begins", []act{give("a")}, removeFrom("a"), []act{give("b")}, false},
		{"an explicit grant while all ends", []act{give("a")}, removeFromAll, []act{grantMembership}, false},
		{
			"an explicit membership becomes one that came with a role",
			[]act{grantMembership},
			becomeOwner,
			[]act{removeFromAll, give("a")},
			true,
		},
		{"an explicit grant while a reason is added", []act{give("a")}, give("b"), []act{removeFromAll, grantMembership}, true},
		{"the last reason ends before it is made the first", []act{give("a"), give("b"), removeFrom("a")}, removeFrom("b"), []act{removeFrom("b")}, false},
		{
			"another first reason begins before the last one is made the first",
			[]act{give("a"), give("b"), removeFrom("a")},
			removeFrom("b"),
			[]act{removeFromAll, give("a"), give("b")},
			false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			who := authz.ID("p" + string(rune('a'+i)))
			reasons := func() (first, further []authz.Object) {
				for item, err := range engine.Read(t.Context(), authz.Filter{Type: "membership"}, authz.Fully(), authz.Page{}) {
					require.NoError(t, err)
					r := item.Relationship
					switch {
					case r.Resource.ID[:len(who)+1] != who+"/":
					case r.Relation == "first":
						first = append(first, r.Subject.Object)
					default:
						further = append(further, r.Subject.Object)
					}
				}
				return first, further
			}
			perform := func(engine authz.Engine, acts ...act) {
				for _, act := range acts {
					require.NoError(t, act.perform(t.Context(), operation.New(engine), c, who), act.name)
				}
			}
			perform(engine, test.before...)
			checked := &afterWrites{engine, func() {
				first, further := reasons()
				require.LessOrEqual(t, len(first), 1, "first %v, further %v", first, further)
			}}
			perform(&meanwhile{checked, func() { perform(engine, test.meanwhile...) }}, test.operation)
			requireMembershipHasReason(t, c, who, test.isExplicit, "after the operation")
			first, further := reasons()
			if len(c.belongs(who)) == 0 {
				require.Empty(t, append(first, further...), "a membership that ended leaves no reason")
			} else if len(first)+len(further) > 0 {
				require.Equal(t, test.isExplicit, slices.Contains(further, authz.Object{Type: "subscription", ID: c.id}))
			}
		})
	}
}

// TestOwnAccountKeepsMembership checks memberships that derive from roles on an account that a member created. ed
// creates an analytics account and adds kim. ed stays a member of the subscription until he has left this account as
// well. kim stays a member until she is removed from the subscription.
func TestOwnAccountKeepsMembership(t *testing.T) {
	c := newPublisher(t, newEngine(t), "own")
	_, _, err := c.s.PutFeatures(t.Context(), by(""), c.id, []string{"dashboards"}) // this lets members create accounts
	require.NoError(t, err)
	c.give("ed", "a", "editor")
	_, _, err = c.s.CreateAccount(t.Context(), by("ed"), operation.NewAccount{ID: c.account("ed"), Subscription: c.id, RoleSet: "analytics"})
	require.NoError(t, err)
	_, _, err = c.s.PutAccountMember(t.Context(), by("ed"), c.account("ed"), "kim", []string{"editor"}, time.Time{})
	require.NoError(t, err)
	require.False(t, c.report("ed", "a"), "the report says so beforehand")
	c.remove("ed", "a")
	require.Equal(t, []string{"member"}, c.belongs("ed"))
	require.True(t, c.report("ed", "ed"))
	c.remove("ed", "ed")
	require.Empty(t, c.belongs("ed"))
	require.Equal(t, []string{"member"}, c.belongs("kim"))
	_, err = c.s.RemoveSubscriptionMember(t.Context(), by("olga"), c.id, "kim")
	require.NoError(t, err)
	require.Empty(t, c.belongs("kim"))
	require.Empty(t, c.roles(authz.Object{Type: "account", ID: c.account("ed")}, "kim"))
}
