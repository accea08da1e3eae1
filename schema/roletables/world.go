package roletables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// world collects the relationships of the situations of a table, in the order in which they are added.
type world struct {
	table         Table
	holder        Holder
	relationships []string
	known         map[string]bool
}

// resource is an object whose permissions are checked.
type resource struct {
	object    string
	typ       authz.Type
	home      home
	situation string

	// owner is the id of the person for whom this object was created. It is empty if one object serves the people of
	// all columns.
	owner string
}

func newWorld(table Table, holder Holder) *world {
	return &world{table: table, holder: holder, known: map[string]bool{}}
}

// add adds a relationship. If it refers to a connector of the catalogue, add also adds that connector's relationships.
func (w *world) add(relationship string) {
	if w.known[relationship] {
		return
	}
	w.known[relationship] = true
	if _, connector, found := strings.Cut(relationship, "#connector@connector:"); found {
		w.addConnector(connector)
	}
	w.relationships = append(w.relationships, relationship)
}

func (w *world) addConnector(id string) {
	for _, flag := range append([]string{"catalogue"}, catalogue[id]...) {
		w.addFlag("connector:"+id, flag)
	}
}

// addFlag adds a flag to an object: a relation to all users and all service accounts that stores a yes.
func (w *world) addFlag(object, flag string) {
	for _, typ := range []Holder{Person, ServiceAccount} {
		w.add(fmt.Sprintf("%s#%s@%s:*", object, flag, typ))
	}
}

// resources creates a situation for the person of a column, in each home of the table (see homes).
func (w *world) resources(typ authz.Type, situation string, column Column) ([]resource, error) {
	words, err := parseSituation(situation)
	if err != nil {
		return nil, err
	}
	if _, known := belongings[typ]; !known {
		return nil, fmt.Errorf("belongings has no entry for the type %s", typ)
	}
	var made []resource
	for _, h := range homes[w.table.RoleSet.Name] {
		if !h.exists(typ, words) {
			continue
		}
		r := w.make(typ, h, words, column)
		r.situation = situation
		if !slices.Contains(made, r) {
			made = append(made, r)
		}
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("no %s can be in the situation %q in the table %s", typ, situation, w.table.RoleSet.Name)
	}
	return made, nil
}

// make adds the relationships of one situation in one home, and returns the resource.
func (w *world) make(typ authz.Type, h home, words []string, column Column) resource {
	subscription, account := "subscription:"+string(h.subscription), "account:"+string(h.subscription)+"/"+string(
		h.account,
	)
	r := resource{typ: typ, home: h}
	switch typ {
	case "platform":
		r.object, r.home = "platform:main", home{}
	case "subscription":
		r.object, r.home = subscription+situationSuffix(words), home{subscription: h.subscription}
		subscription = r.object
	case "account":
		r.object = account
	default:
		r.object = string(typ) + strings.TrimPrefix(account, "account") + situationSuffix(words)
	}
	if isPersonal(words) {
		r.owner = column.Subject()
		r.object += "/" + r.owner
	}
	_, id, _ := strings.Cut(r.object, ":")
	creator := "user:colleague"
	if slices.Contains(words, "own") {
		creator = w.subject(column)
	}
	expand := func(template, object string) string {
		return strings.NewReplacer(
			"{object}", object, "{workspace}", "workspace:"+id, "{account}", account, "{subscription}", subscription,
			"{subscription_set}", string(h.subscription), "{account_set}", string(h.account),
			"{colleague_role}", string(colleagueRole[h.account]),
			"{subject}", w.subject(column), "{creator}", creator,
		).Replace(template)
	}
	place := func(typ authz.Type, object string) {
		for _, template := range belongings[typ] {
			w.add(expand(template, object))
		}
	}
	if typ != "platform" {
		place("subscription", subscription)
		if w.table.RoleSet.On != "subscription" {
			w.add(subscription + "#owner@user:somebody")
		}
	}
	if typ != "platform" && typ != "subscription" {
		place("account", account)
	}
	for _, role := range column.Roles {
		grant := expand(grants[w.table.RoleSet.On], r.object)
		w.add(strings.NewReplacer("{role}", string(role), "{holder}", w.holderOf(column, role)).Replace(grant))
	}
	place(typ, r.object)
	connector := false
	for _, p := range phrases {
		if p.relationship != "" && slices.Contains(words, p.phrase) {
			w.add(expand(p.relationship, r.object))
			connector = connector || strings.Contains(p.relationship, "#connector@")
		}
	}
	if typ == "connection" && !connector {
		w.add(expand(plainConnector, r.object))
	}
	return r
}

// isPersonal reports whether each person needs an object of their own in this situation.
func isPersonal(words []string) bool {
	for _, p := range phrases {
		if slices.Contains(words, p.phrase) && strings.Contains(p.relationship, "{subject}") {
			return true
		}
	}
	return slices.Contains(words, "own")
}

// situationSuffix returns the end of an object's id, which names the situation. It is empty for the situation "any",
// and for a row without a situation.
func situationSuffix(words []string) string {
	if len(words) == 0 || slices.Equal(words, []string{"any"}) {
		return ""
	}
	return "/" + strings.ReplaceAll(strings.Join(words, "_"), " ", "_")
}
