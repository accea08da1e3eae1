package visibility_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// rules are the rules of a small schema. A subscription contains accounts, and an account contains importers. People
// hold roles on subscriptions and accounts. No permission shows an object of the type group.
var rules = visibility.Rules{
	Objects: func(t authz.Type) []authz.Permission {
		if t == "group" {
			return nil
		}
		return []authz.Permission{"view"}
	},
	Roles: func(t authz.Type) authz.Permission {
		return map[authz.Type]authz.Permission{"account": "list_members", "subscription": "list_users"}[t]
	},
	Invitations: func(t authz.Type) authz.Permission {
		return map[authz.Type]authz.Permission{"account": "invite"}[t]
	},
	Place: func(t authz.Type) authz.Relation {
		return map[authz.Type]authz.Relation{"account": "subscription", "importer": "account"}[t]
	},
	People: "user",
}

func object(t authz.Type, id authz.ID) authz.Object { return authz.Object{Type: t, ID: id} }

func subject(t authz.Type, id authz.ID) authz.Subject { return authz.Subject{Object: object(t, id)} }

func relationship(resource authz.Object, relation authz.Relation, s authz.Subject) authz.Relationship {
	return authz.Relationship{Resource: resource, Relation: relation, Subject: s}
}

var (
	acme     = object("account", "acme")
	daily    = object("importer", "daily")
	one      = object("subscription", "one")
	seeAcme  = visibility.Existence(acme)
	seeDaily = visibility.Existence(daily)
	olga     = subject("user", "olga")
	bob      = subject("user", "bob")
)

func TestFactsOfRelationships(t *testing.T) {
	t.Parallel()
	type facts = []visibility.Fact
	type subjects = []authz.Subject
	group, account := subject("group", "g"), authz.Subject{Object: acme}
	owners := authz.Subject{Object: acme, Relation: "owner"}
	itself := authz.Subject{Object: daily}
	rolesOfAcme, seeGroup := visibility.Roles(acme), visibility.Existence(group.Object)
	for name, test := range map[string]struct {
		relationship authz.Relationship
		known        subjects
		want         facts
	}{
		"place":               {relationship(daily, "account", account), nil, facts{seeDaily, seeAcme}},
		"flag":                {relationship(acme, "team", authz.Everybody("user")), nil, facts{seeAcme}},
		"wildcard of objects": {relationship(daily, "open", authz.Everybody("service")), nil, facts{seeDaily}},
		"own role":            {relationship(acme, "owner", olga), nil, facts{seeAcme}},
		"role":                {relationship(acme, "owner", bob), nil, facts{seeAcme, rolesOfAcme}},
		"creator":             {relationship(daily, "creator", bob), nil, facts{seeDaily}},
		"hidden type":         {relationship(daily, "group", group), nil, facts{seeDaily, seeGroup}},
		"known role":          {relationship(acme, "owner", bob), subjects{bob}, facts{seeAcme, rolesOfAcme}},
		"known object":        {relationship(daily, "account", account), subjects{account}, facts{seeDaily}},
		"other known object":  {relationship(daily, "account", account), subjects{group}, facts{seeDaily, seeAcme}},
		"known set of people": {relationship(daily, "viewer", owners), subjects{owners}, facts{seeDaily}},
		"object of known set": {relationship(daily, "viewer", account), subjects{owners}, facts{seeDaily, seeAcme}},
		"known itself":        {relationship(daily, "copy", itself), subjects{itself}, facts{seeDaily}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.want, rules.Relationship(olga, test.relationship, nil, test.known...))
		})
	}
	anyType := rules
	anyType.People = ""
	require.Equal(
		t, facts{seeDaily, visibility.Existence(bob.Object)},
		anyType.Relationship(olga, relationship(daily, "creator", bob), nil),
	)
}

func TestFactOfPeopleAndAccess(t *testing.T) {
	t.Parallel()
	page := object("page", "p")
	places := rules.Places([]authz.Relationship{
		relationship(daily, "account", authz.Subject{Object: acme}),
		relationship(daily, "creator", bob),
		relationship(acme, "subscription", authz.Subject{Object: one}),
		relationship(acme, "account", authz.Subject{Object: object("account", "other")}),
	})
	require.Equal(t, visibility.Places{daily: {acme}, acme: {one}}, places)
	for name, test := range map[string]struct {
		object         authz.Object
		people, access visibility.Fact
	}{
		"with roles":      {acme, visibility.Roles(acme), visibility.Roles(acme)},
		"inside of roles": {daily, seeDaily, visibility.Roles(acme)},
		"without a place": {page, visibility.Existence(page), visibility.Existence(page)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []visibility.Fact{test.people}, rules.PeopleOf(test.object, places))
			require.Equal(t, []visibility.Fact{test.access}, rules.Access(test.object, places))
		})
	}
	require.Empty(t, rules.Naming(bob.Object))
	require.Equal(t, []visibility.Fact{seeDaily}, rules.Naming(daily))
}

func TestRulesForSchema(t *testing.T) {
	t.Parallel()
	permissions := func(names ...authz.Permission) (infos []authz.PermissionInfo) {
		for _, name := range names {
			infos = append(infos, authz.PermissionInfo{Name: name})
		}
		return infos
	}
	definitions := []authz.Definition{
		{Type: "account", Permissions: permissions("view", "delete")},
		{Type: "importer", Permissions: permissions("run")},
		{Type: "group", Permissions: permissions("list")},
		{Type: "page", Permissions: permissions("view", "read")},
		{Type: "book", Permissions: permissions("read", "write")},
	}
	isProduct := func(t authz.Type) bool { return t == "account" || t == "importer" || t == "group" }
	served := rules.ForSchema(definitions, isProduct)
	for name, want := range map[authz.Type][]authz.Permission{
		"account":  {"view"},
		"importer": nil, // it does not have the permission view
		"group":    nil, // no permission shows it
		"page":     {"view"},
		"book":     {"read", "write"},
		"unknown":  nil,
	} {
		require.ElementsMatch(t, want, served.Objects(name), name)
	}
	require.Equal(t, []authz.Permission{"view"}, rules.Objects("book"), "ForSchema has changed the rules themselves")
}
