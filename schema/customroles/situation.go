// Package customroles makes random situations in which a subject holds custom roles. It also defines in Go which
// permissions these roles grant. Tests compare this definition with the decisions of the schema.
package customroles

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Situation is a company, with a subject who holds custom roles.
type Situation struct {
	// Subject is the person or service account whose permissions are checked.
	Subject string

	// BuiltIn lists the relationships of everything except custom roles. Custom lists the relationships of custom
	// roles and of their bindings.
	BuiltIn, Custom []string

	// Objects lists the objects on which permissions are checked.
	Objects []Object

	given    []given
	builtIn  map[string]bool // the accounts on which the subject holds a built-in role
	inactive bool            // the subscription is being deleted
}

// Object is an object of the company.
type Object struct {
	Ref     string
	Type    authz.Type
	place   string // the account that contains it; for an account, its subscription
	team    bool   // it is, or is in, a team account
	created bool   // the subject created it
	open    bool   // it is no private connection, and no restricted workspace or in one
	member  bool   // a connection is shared with the subject by name; a workspace has the subject as a member
	lacks   bool   // its connector has no capabilities
	inside  string // the workspace that contains it, or the object itself
}

// given is a custom role that the subject holds on one object, for example on an account.
type given struct {
	on     string
	grants map[string]bool
}

// Asked reports whether the subject has a permission on an object.
type Asked func(permission authz.Permission, object string) bool

const (
	subscription = "subscription:s"
	elsewhere    = "subscription:z"

	// later is the expiration of a relationship that counts. before is the expiration of a relationship that has
	// expired.
	later  = "[expiration:2999-01-01T00:00:00Z]"
	before = "[expiration:2001-01-01T00:00:00Z]"
)

// New makes a random situation. grantable lists the permissions that custom roles can grant, in the form
// type.permission.
func New(r *rand.Rand, grantable []string) *Situation {
	s := &Situation{
		Subject: []string{"user:p", "service_account:p"}[r.IntN(2)], builtIn: make(map[string]bool),
	}
	s.company(r)
	for i := range 1 + r.IntN(3) {
		s.role(r, fmt.Sprint("s/r", i), grantable)
	}
	return s
}

func (s *Situation) add(format string, parts ...any) {
	s.BuiltIn = append(s.BuiltIn, fmt.Sprintf(format, parts...))
}

// flag adds a flag to an object: a relation to all users and all service accounts that stores a yes.
func (s *Situation) flag(object, name string) {
	s.add("%s#%s@user:*", object, name)
	s.add("%s#%s@service_account:*", object, name)
}

// roleSets lists the accounts of a subscription: the suffix of the id, the role set, and a built-in role that the
// subject may hold there.
var roleSets = []struct{ name, set, role string }{
	{"t", "team", "guest"}, {"u", "team", "user"}, {"o", "operations", "operator"}, {"n", "analytics", "viewer"},
}

// company adds two subscriptions. The first one has accounts of every role set, and the second one has a single
// account. Each account contains objects of every type.
func (s *Situation) company(r *rand.Rand) {
	s.add("platform:main#administrator@user:root")
	s.flag("connector:able", "capability_views")
	s.flag("connector:able", "capability_financial_settings")
	s.flag("connector:able", "capability_postgres_database")
	for _, in := range []string{subscription, elsewhere} {
		s.add("%s#platform@platform:main", in)
		s.add("%s#owner@user:owner", in)
		if s.inactive = s.inactive || in == subscription && r.IntN(8) == 0; !s.inactive || in == elsewhere {
			s.flag(in, []string{"multi_owner", "single_owner"}[r.IntN(2)])
		}
		s.Objects = append(s.Objects, Object{Ref: in, Type: "subscription", open: true, inside: in})
		_, id, _ := strings.Cut(in, ":")
		for _, a := range roleSets[:map[string]int{subscription: len(roleSets), elsewhere: 1}[in]] {
			account := "account:" + id + a.name
			s.add("%s#subscription@%s", account, in)
			s.flag(account, a.set)
			if in == subscription && r.IntN(3) == 0 {
				s.add("%s#%s@%s", account, a.role, s.Subject)
				s.builtIn[account] = true
			}
			object := Object{Ref: account, Type: "account", place: in, team: a.set == "team", open: true, inside: account}
			s.Objects = append(s.Objects, object)
			s.contents(r, account, object.team)
		}
	}
	if s.Subject == "user:p" && r.IntN(6) == 0 {
		s.add("account:so#administrator@user:p")
		s.builtIn["account:so"] = true
	}
}

// contents adds the objects of an account.
func (s *Situation) contents(r *rand.Rand, account string, team bool) {
	_, id, _ := strings.Cut(account, ":")
	add := func(typ authz.Type, name string) *Object {
		ref := fmt.Sprintf("%s:%s/%s", typ, id, name)
		s.Objects = append(s.Objects, Object{Ref: ref, Type: typ, place: account, team: team, open: true, inside: ref})
		return &s.Objects[len(s.Objects)-1]
	}
	for _, created := range []bool{true, false} {
		creator := map[bool]string{true: s.Subject, false: "user:colleague"}[created]
		importer := add("importer", "of/"+strings.ReplaceAll(creator, ":", "/"))
		importer.created = created
		s.add("%s#account@%s", importer.Ref, account)
		s.add("%s#creator@%s", importer.Ref, creator)
		for _, kind := range []string{"private", "shared", "named"} {
			connection := add("connection", kind+"/of/"+strings.ReplaceAll(creator, ":", "/"))
			connection.created, connection.open, connection.member = created, kind == "shared", kind == "named"
			connection.lacks = r.IntN(4) == 0
			s.add("%s#account@%s", connection.Ref, account)
			s.add("%s#creator@%s", connection.Ref, creator)
			s.add("%s#connector@connector:%s", connection.Ref, map[bool]string{true: "plain", false: "able"}[connection.lacks])
			if connection.open {
				s.add("%s#shared@%s", connection.Ref, account)
			}
			if connection.member {
				s.add("%s#shared_with@%s", connection.Ref, s.Subject)
			}
		}
	}
	for _, typ := range []authz.Type{"connector", "integration", "export", "report"} {
		s.add("%s#account@%s", add(typ, "x").Ref, account)
	}
	for _, kind := range []string{"open", "restricted", "admitted"} {
		workspace := add("workspace", kind)
		workspace.open, workspace.member = kind == "open", kind == "admitted"
		ref, isOpen, isMember := workspace.Ref, workspace.open, workspace.member
		s.add("%s#account@%s", ref, account)
		if isOpen {
			s.add("%s#open@%s", ref, account)
		}
		if isMember {
			s.add("%s#member@%s", ref, s.Subject)
		}
		for _, typ := range []authz.Type{"flow", "schedule", "service"} {
			in := add(typ, kind)
			in.open, in.member, in.inside = isOpen, isMember, ref
			s.add("%s#workspace@%s", in.Ref, ref)
		}
	}
}

// role adds a custom role with random permissions. It adds bindings of the role to some objects. Each binding has
// other holders, and may also have the subject.
func (s *Situation) role(r *rand.Rand, id string, grantable []string) {
	grants := make(map[string]bool)
	share := []float64{0.02, 0.1, 0.5, 1}[r.IntN(4)]
	add := func(format string, parts ...any) { s.Custom = append(s.Custom, fmt.Sprintf(format, parts...)) }
	for _, name := range append(slices.Clone(grantable), "active") {
		if name == "active" || r.Float64() < share {
			grants[name] = name != "active"
			relation := strings.ReplaceAll(name, ".", "_")
			add("custom_role:%s#%s@user:*", id, relation)
			add("custom_role:%s#%s@service_account:*", id, relation)
		}
	}
	for i := range 1 + r.IntN(3) {
		at := s.place(r)
		binding := fmt.Sprintf("role_binding:%s/%d", id, i)
		add("%s#role_binding@%s", at, binding)
		add("%s#role@custom_role:%s", binding, id)
		add("%s#holder@user:other", binding)
		add("%s#holder@group:others#member", binding)
		if s.hold(r, binding, add) {
			s.given = append(s.given, given{on: at, grants: grants})
		}
	}
}

// place returns a random object of the first subscription on which roles can be given.
func (s *Situation) place(r *rand.Rand) string {
	var found []string
	for _, o := range s.Objects {
		bindable := slices.Contains([]authz.Type{"subscription", "account", "importer", "connection", "workspace"}, o.Type)
		if bindable && (o.Ref == subscription || strings.HasPrefix(o.Ref[strings.Index(o.Ref, ":"):], ":s")) {
			found = append(found, o.Ref)
		}
	}
	if r.IntN(4) == 0 {
		return subscription
	}
	return found[r.IntN(len(found))]
}

// hold makes the subject a holder of a binding in a random way. It returns false if the subject does not count as a
// holder. This is so if hold adds no relationship, or one that has expired.
func (s *Situation) hold(r *rand.Rand, binding string, add func(string, ...any)) bool {
	isPerson := strings.HasPrefix(s.Subject, "user:")
	switch way := r.IntN(7); {
	case way == 0:
		return false
	case way == 1:
		add("%s#holder@%s%s", binding, s.Subject, before)
		return false
	case way == 2:
		add("%s#holder@%s%s", binding, s.Subject, later)
	case way <= 4 && isPerson:
		group := strings.ReplaceAll(binding, "role_binding:", "group:")
		add("%s#member@%s", group, s.Subject)
		add("%s#holder@%s#member%s", binding, group, []string{"", later}[r.IntN(2)])
	default:
		add("%s#holder@%s", binding, s.Subject)
	}
	return true
}
