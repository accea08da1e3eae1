package visibility_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// checker allows only checks of olga, and only those in yes. It counts the calls and the checks of each call.
type checker struct {
	yes   map[string]bool // "view account:acme"
	calls int
	sizes []int
	err   error
}

func saysYesTo(permissions ...string) *checker {
	c := &checker{yes: make(map[string]bool)}
	for _, permission := range permissions {
		c.yes[permission] = true
	}
	return c
}

func (c *checker) check(_ context.Context, checks []authz.Check) ([]bool, error) {
	c.calls++
	c.sizes = append(c.sizes, len(checks))
	allowed := make([]bool, len(checks))
	for i, check := range checks {
		allowed[i] = c.yes[fmt.Sprintf("%s %s", check.Permission, check.Resource)] && check.Subject == olga
	}
	return allowed, c.err
}

func viewOf(c *checker) *visibility.View {
	return visibility.New(rules, visibility.Reader{Subject: olga}, c.check)
}

func TestMaySee(t *testing.T) {
	t.Parallel()
	anyOf := rules
	anyOf.Objects = func(authz.Type) []authz.Permission { return []authz.Permission{"edit", "view"} }
	group := object("group", "g")
	for name, test := range map[string]struct {
		rules   visibility.Rules
		yes     []string
		objects []authz.Object
		want    bool
	}{
		"nothing":                  {rules, nil, nil, true},
		"seen":                     {rules, []string{"view account:acme"}, []authz.Object{acme}, true},
		"hidden":                   {rules, []string{"view account:other"}, []authz.Object{acme}, false},
		"roles do not show it":     {rules, []string{"list_members account:acme"}, []authz.Object{acme}, false},
		"one of two":               {rules, []string{"view account:acme"}, []authz.Object{acme, daily}, false},
		"first of its permissions": {anyOf, []string{"edit account:acme"}, []authz.Object{acme}, true},
		"last of its permissions":  {anyOf, []string{"view account:acme"}, []authz.Object{acme}, true},
		"none of its type":         {rules, []string{"view group:g", " group:g"}, []authz.Object{group}, false},
		"oneself":                  {rules, nil, []authz.Object{olga.Object}, true},
		"another person":           {rules, nil, []authz.Object{bob.Object}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := visibility.New(test.rules, visibility.Reader{Subject: olga}, saysYesTo(test.yes...).check)
			seen, err := v.MaySee(t.Context(), test.objects...)
			require.NoError(t, err)
			require.Equal(t, test.want, seen)
		})
	}
}

func TestMayKnowRole(t *testing.T) {
	t.Parallel()
	all, plain := visibility.Reader{All: true}, visibility.Reader{Subject: olga}
	for name, test := range map[string]struct {
		reader visibility.Reader
		yes    []string
		who    authz.Subject
		on     authz.Object
		want   bool
	}{
		"own":                  {plain, nil, olga, acme, true},
		"another's":            {plain, []string{"view account:acme"}, bob, acme, false},
		"another's, listed":    {plain, []string{"list_members account:acme"}, bob, acme, true},
		"listed elsewhere":     {plain, []string{"list_users subscription:one"}, bob, acme, false},
		"no role":              {plain, nil, bob, daily, true},
		"reader of everything": {all, nil, bob, acme, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := visibility.New(rules, test.reader, saysYesTo(test.yes...).check)
			known, err := v.MayKnowRole(t.Context(), test.who, test.on)
			require.NoError(t, err)
			require.Equal(t, test.want, known)
		})
	}
}

func TestMaySeeRelationship(t *testing.T) {
	t.Parallel()
	place, role := relationship(daily, "account", authz.Subject{Object: acme}), relationship(acme, "owner", bob)
	for name, test := range map[string]struct {
		yes          []string
		relationship authz.Relationship
		known        []authz.Subject
		want         bool
	}{
		"both ends":        {[]string{"view importer:daily", "view account:acme"}, place, nil, true},
		"resource alone":   {[]string{"view importer:daily"}, place, nil, false},
		"subject alone":    {[]string{"view account:acme"}, place, nil, false},
		"subject is known": {[]string{"view importer:daily"}, place, []authz.Subject{{Object: acme}}, true},
		"role":             {[]string{"view account:acme"}, role, nil, false},
		"role, listed":     {[]string{"view account:acme", "list_members account:acme"}, role, nil, true},
		"role, asked":      {[]string{"view account:acme"}, role, []authz.Subject{bob}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, err := viewOf(saysYesTo(test.yes...)).MaySeeRelationship(t.Context(), test.relationship, test.known...)
			require.NoError(t, err)
			require.Equal(t, test.want, seen)
		})
	}
}

func TestMayNameEach(t *testing.T) {
	t.Parallel()
	subjects := []authz.Subject{
		{Object: acme}, {Object: one}, bob, authz.Everybody("user"), subject("group", "g"), authz.Everybody("account"),
	}
	named, err := viewOf(saysYesTo("view account:acme")).MayNameEach(t.Context(), subjects)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, true, true, true, true}, named)
}

func TestMayDependOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yes          []string
		relationship authz.Relationship
		want         bool
	}{
		"own role":              {nil, relationship(acme, "owner", olga), true},
		"another's role":        {[]string{"view account:acme"}, relationship(acme, "owner", bob), false},
		"listed role":           {[]string{"list_members account:acme"}, relationship(acme, "owner", bob), true},
		"flag of hidden object": {nil, relationship(acme, "team", authz.Everybody("user")), true},
		"place with roles":      {nil, relationship(acme, "subscription", authz.Subject{Object: one}), true},
		"hidden creator":        {nil, relationship(daily, "creator", bob), false},
		"own hidden creation":   {nil, relationship(daily, "creator", olga), false},
		"creator":               {[]string{"view importer:daily"}, relationship(daily, "creator", bob), true},
		"hidden place":          {nil, relationship(daily, "account", authz.Subject{Object: acme}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := viewOf(saysYesTo(test.yes...))
			people := rules.PeopleOf(test.relationship.Resource, nil)
			require.NoError(t, v.Ask(t.Context(), people...))
			require.Equal(t, test.want, v.MayDependOn(test.relationship, people))
		})
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	listed := []string{"view account:acme", "list_members account:acme"}
	for name, test := range map[string]struct {
		yes        []string
		fact       visibility.Fact
		code       authz.Code
		permission authz.Permission
	}{
		"seen":               {[]string{"view account:acme"}, seeAcme, "", ""},
		"hidden":             {nil, seeAcme, authz.CodeNotFound, ""},
		"roles":              {listed, visibility.Roles(acme), "", ""},
		"roles not listed":   {[]string{"view account:acme"}, visibility.Roles(acme), authz.CodeForbidden, "list_members"},
		"its invitations":    {listed, visibility.Invitations(acme), authz.CodeForbidden, "invite"},
		"roles of hidden":    {[]string{"list_members account:acme"}, visibility.Roles(acme), authz.CodeNotFound, ""},
		"no roles":           {[]string{"view importer:daily"}, visibility.Roles(daily), authz.CodeNotFound, ""},
		"invitations":        {[]string{"view account:acme", "invite account:acme"}, visibility.Invitations(acme), "", ""},
		"hidden invitations": {[]string{"view account:acme"}, visibility.Invitations(acme), authz.CodeForbidden, "invite"},
		"nobody is invited":  {[]string{"view subscription:one"}, visibility.Invitations(one), authz.CodeNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := viewOf(saysYesTo(test.yes...)).Require(t.Context(), test.fact)
			if test.code == "" {
				require.NoError(t, err)
				return
			}
			found := (*authz.Error)(nil)
			require.ErrorAs(t, err, &found)
			require.Equal(t, test.code, found.Code)
			require.Equal(t, test.permission, found.Permission)
		})
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	c := saysYesTo("view account:acme", "edit account:acme", "edit account:other")
	held, err := viewOf(c).Permissions(t.Context(), acme, "edit", "delete", "view")
	require.NoError(t, err)
	require.Equal(t, map[authz.Permission]bool{"edit": true, "delete": false, "view": true}, held)
	require.Equal(t, 1, c.calls)
	_, err = viewOf(c).Permissions(t.Context(), object("account", "other"), "edit")
	require.ErrorIs(t, err, authz.CodeNotFound)
	require.Equal(t, visibility.NotFound(object("account", "other")), err)
	_, err = viewOf(saysYesTo("edit group:g")).Permissions(t.Context(), object("group", "g"), "edit")
	require.ErrorIs(t, err, authz.CodeNotFound)
}

func TestFactsAreCheckedOnce(t *testing.T) {
	t.Parallel()
	c := saysYesTo("view account:acme")
	v := viewOf(c)
	require.False(t, v.Knows(seeAcme), "Knows returns true for a fact that Ask has not checked")
	for range 2 {
		require.NoError(t, v.Ask(t.Context(), seeAcme, seeDaily, seeAcme, visibility.Roles(acme)))
	}
	require.Equal(t, []int{3}, c.sizes)
	require.True(t, v.Knows(seeAcme))
	require.False(t, v.Knows(seeAcme, seeDaily))

	c.yes = map[string]bool{"view importer:daily": true}
	v.ForgetHidden()
	require.NoError(t, v.Ask(t.Context(), seeAcme, seeDaily, visibility.Roles(acme)))
	require.Equal(t, []int{3, 2}, c.sizes, "the second Ask must check only the two hidden facts")
	require.True(t, v.Knows(seeAcme, seeDaily), "a fact that is visible before or after the change must be known")
	require.False(t, v.Knows(visibility.Roles(acme)))
}

func TestManyFactsTakeSeveralCalls(t *testing.T) {
	t.Parallel()
	c := saysYesTo("view account:0", "view account:1000", "view account:2400")
	var objects []authz.Object
	for i := range 2401 {
		objects = append(objects, object("account", authz.ID(fmt.Sprint(i))))
	}
	seen, err := viewOf(c).MaySeeEach(t.Context(), objects)
	require.NoError(t, err)
	require.Equal(t, []int{1000, 1000, 401}, c.sizes)
	for i, is := range seen {
		require.Equal(t, i == 0 || i == 1000 || i == 2400, is, i)
	}
}

func TestErrorsLeaveFactsUnknown(t *testing.T) {
	t.Parallel()
	c := saysYesTo("view account:acme")
	c.err = errors.New("the engine is away")
	v := viewOf(c)
	for _, ask := range []func() error{
		func() error { _, err := v.MaySee(t.Context(), acme); return err },
		func() error { _, err := v.MaySeeEach(t.Context(), []authz.Object{acme}); return err },
		func() error { _, err := v.MayNameEach(t.Context(), []authz.Subject{{Object: acme}}); return err },
		func() error { _, err := v.Permissions(t.Context(), acme); return err },
		func() error { return v.Require(t.Context(), seeAcme) },
	} {
		require.ErrorIs(t, ask(), c.err)
		require.False(t, v.Knows(seeAcme))
	}
	c.err = nil
	seen, err := v.MaySee(t.Context(), acme)
	require.NoError(t, err)
	require.True(t, seen)
}

func TestReaderOfEverythingNeedsNoCheck(t *testing.T) {
	t.Parallel()
	c := saysYesTo()
	v := visibility.New(rules, visibility.Reader{All: true}, c.check)
	known, err := v.MayKnow(t.Context(), seeAcme, visibility.Roles(acme))
	require.NoError(t, err)
	require.True(t, known)
	require.Zero(t, c.calls)
}

func TestHideUndecided(t *testing.T) {
	t.Parallel()
	results := []authz.CheckResult{
		{Decision: authz.Decision{State: authz.Allowed}},
		{},
		{Decision: authz.Decision{State: authz.Conditional}},
		{Decision: authz.Decision{State: authz.Allowed}, Err: errors.New("too deep")},
	}
	var fails error
	check := visibility.HideUndecided(func(context.Context, []authz.Check) ([]authz.CheckResult, error) {
		return results, fails
	})
	allowed, err := check(t.Context(), make([]authz.Check, len(results)))
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false, false}, allowed)
	fails = errors.New("the engine is away")
	_, err = check(t.Context(), make([]authz.Check, len(results)))
	require.ErrorIs(t, err, fails)
}
