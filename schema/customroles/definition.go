package customroles

import (
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Allows reports whether the subject has a public permission on an object, according to the definition of custom
// roles. builtIn makes checks without custom roles.
func (s *Situation) Allows(permission authz.Permission, o Object, builtIn Asked) bool {
	return builtIn(permission, o.Ref) || !s.needsCapability(permission, o) && s.grants(permission, o, builtIn)
}

// needsCapability reports whether a permission on a connection needs a capability that the connector lacks.
func (s *Situation) needsCapability(permission authz.Permission, o Object) bool {
	return o.Type == "connection" && o.lacks && slices.Contains([]authz.Permission{
		"modify_views", "change_locked_period_export", "change_reporting_currency", "change_forecast_budget",
		"change_postgres_database",
	}, permission)
}

// grants reports whether a custom role of the subject grants a permission on an object.
func (s *Situation) grants(permission authz.Permission, o Object, builtIn Asked) bool {
	name := string(o.Type) + "." + string(permission)
	switch o.Type {
	case "subscription":
		return s.has(name, o.Ref)
	case "account":
		return permission == "view" && s.viewsAccount(o.Ref, builtIn) || s.inAccount(name, o.Ref)
	case "connection":
		if !o.open && !o.created && !s.isAdmitted(o) {
			return false // custom roles do not open private connections
		}
		creates := o.created && s.inAccount("account.create_connection", o.place)
		creatorMay := []authz.Permission{"view", "use", "reconnect", "disconnect"}
		if creates && (slices.Contains(creatorMay, permission) || permission == "share" && o.team) {
			return true
		}
		return s.inAccount(name, o.place) || s.onObject(name, o, builtIn)
	case "importer":
		creates := o.created && s.inAccount("account.create_importer", o.place)
		return creates || s.inAccount(name, o.place) || s.onObject(name, o, builtIn)
	case "workspace", "flow", "schedule", "service":
		admitted := o.open || s.isAdmitted(o) || builtIn("as_administrator", o.place)
		return admitted && s.inAccount(name, o.place) || s.onObject(name, o, builtIn)
	default:
		return s.inAccount(name, o.place)
	}
}

// isAdmitted reports whether a connection is shared with the subject by name, or a workspace has the subject as a
// member. Neither counts without a role on the account itself.
func (s *Situation) isAdmitted(o Object) bool {
	isOnAccount := func(g given) bool { return g.on == o.place }
	return o.member && !s.inactive && (s.builtIn[o.place] || slices.ContainsFunc(s.given, isOnAccount))
}

// has reports whether the subject has a custom role that grants a permission. It considers only roles on place: a
// subscription, an account or another object.
func (s *Situation) has(name, place string) bool {
	return !s.inactive && slices.ContainsFunc(s.given, func(g given) bool { return g.on == place && g.grants[name] })
}

// inAccount reports whether a custom role on an account, or on the account's subscription, grants a permission.
func (s *Situation) inAccount(name, account string) bool {
	return s.has(name, account) || s.has(name, s.subscriptionOf(account))
}

// onObject reports whether a custom role on the object, or on the workspace that contains it, grants a permission.
// Such a role grants nothing to a subject who may not view the account.
func (s *Situation) onObject(name string, o Object, builtIn Asked) bool {
	return s.viewsAccount(o.place, builtIn) &&
		slices.ContainsFunc(s.given, func(g given) bool { return g.on == o.inside && g.grants[name] })
}

// viewsAccount reports whether the subject may view an account. Built-in roles can grant this. Every custom role on
// the account, or on its subscription, grants it.
func (s *Situation) viewsAccount(account string, builtIn Asked) bool {
	places := []string{account, s.subscriptionOf(account)}
	holds := slices.ContainsFunc(s.given, func(g given) bool { return slices.Contains(places, g.on) })
	return holds && !s.inactive || builtIn("view", account)
}

func (s *Situation) subscriptionOf(account string) string {
	for _, o := range s.Objects {
		if o.Ref == account {
			return o.place
		}
	}
	return ""
}
