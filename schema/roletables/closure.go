package roletables

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Beyond is a line of beyond.csv. It lists permissions that a role has although no row of a role table grants them,
// and the sentence of docs/model.md that grants them.
type Beyond struct {
	table, account, resource string
	permissions              []string
	situation                string
	roles                    []string

	// Reason is the sentence of docs/model.md that grants the permissions.
	Reason string

	used bool
}

const (
	beyondHeader = "table,account,resource,permissions,situation,roles,reason"

	// In beyond.csv, the value anything stands for every table, account or situation, or for every role of a table.
	// The value everybody stands for every role of a table and for the outsider.
	anything  = "*"
	everybody = "everybody"

	// outsider is a person who has every role, but only in another subscription and its accounts.
	outsider = "outsider"
)

// ParseBeyond parses beyond.csv. In each line, the permissions and the roles are lists, separated by spaces.
func ParseBeyond(from io.Reader) ([]*Beyond, error) {
	lines, err := csv.NewReader(from).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 || strings.Join(lines[0], ",") != beyondHeader {
		return nil, fmt.Errorf("the header must be %s", beyondHeader)
	}
	var all []*Beyond
	for i, line := range lines[1:] {
		b := &Beyond{
			table: line[0], account: line[1], resource: line[2], permissions: strings.Fields(line[3]),
			situation: line[4], roles: strings.Fields(line[5]), Reason: line[6],
		}
		if len(b.permissions) == 0 || len(b.roles) == 0 || b.Reason == "" {
			return nil, fmt.Errorf("line %d: permissions, roles and reason must not be empty", i+2)
		}
		all = append(all, b)
	}
	return all, nil
}

func (b *Beyond) gives(table authz.RoleSetName, r resource, permission authz.Permission, column string) bool {
	matches := func(pattern, value string) bool { return pattern == anything || pattern == value }
	given := matches(b.table, string(table)) && matches(b.account, string(r.home.account)) &&
		b.resource == string(r.typ) &&
		slices.Contains(b.permissions, string(permission)) && matches(b.situation, r.situation) &&
		(slices.Contains(b.roles, everybody) || column != outsider && (slices.Contains(b.roles, anything) || slices.Contains(
			b.roles, column,
		)))
	b.used = b.used || given
	return given
}

// NothingElse renders a file for zed validate, for one kind of holder. The file covers, in every situation, the
// public permissions that no row of the table mentions. It asserts that nobody has them, unless a line of beyond
// grants them.
func NothingElse(table Table, holder Holder, definitions []authz.Definition, beyond []*Beyond) (string, error) {
	w := newWorld(table, holder)
	answered := map[string]bool{}
	rows, err := w.assertions()
	if err != nil {
		return "", err
	}
	for _, a := range rows {
		answered[a.check] = true
	}
	resources, err := w.everything()
	if err != nil {
		return "", err
	}
	w.addOutsider()
	people := append([]Column{{Name: outsider}}, table.Columns...)
	var assertions []assertion
	for _, r := range resources {
		for _, permission := range public(definitions, r.typ) {
			for _, person := range people {
				check := w.check(r, string(permission), person)
				spokenOf := person.Name != outsider && (table.covers(r, permission) || r.owner != "" && r.owner != person.Subject())
				if answered[check] || spokenOf {
					continue
				}
				answered[check] = true
				allowed := slices.ContainsFunc(beyond, func(b *Beyond) bool {
					return b.gives(table.RoleSet.Name, r, permission, person.Name)
				})
				assertions = append(assertions, assertion{check, allowed})
			}
		}
	}
	about := fmt.Sprintf(
		"Permissions that role-tables/%s.csv does not mention are not granted, except by the sentences in beyond.csv.",
		table.RoleSet.Name,
	)
	return render(about, w.relationships, assertions), nil
}

// covers reports whether a row of the table is about the permission, in the resource's situation or in a more
// general one. For example, "shared" is more general than "shared with views".
func (t Table) covers(r resource, permission authz.Permission) bool {
	return slices.ContainsFunc(t.Rows, func(row Row) bool {
		wider := row.Situation == "" || strings.HasPrefix(r.situation+" ", row.Situation+" ")
		return wider && row.Resource == r.typ && row.Permission == permission
	})
}

// everything creates all situations of the table, for the people of all columns. It returns the resources of the
// situations, and the objects that contain these resources.
func (w *world) everything() ([]resource, error) {
	type kind struct {
		typ       authz.Type
		situation string
	}
	kinds := []kind{{"platform", ""}, {"subscription", ""}, {"account", ""}}
	for _, row := range w.table.Rows {
		if k := (kind{row.Resource, row.Situation}); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	w.addConnector("plain")
	all := []resource{{object: "connector:plain", typ: "connector", situation: "catalogue"}}
	for _, k := range kinds {
		for _, column := range w.table.Columns {
			made, err := w.resources(k.typ, k.situation, column)
			if err != nil {
				return nil, err
			}
			for _, r := range made {
				if !slices.Contains(all, r) {
					all = append(all, r)
				}
			}
		}
	}
	return all, nil
}

// addOutsider gives the outsider every role in another subscription of each role set, and in its accounts.
func (w *world) addOutsider() {
	for _, set := range authz.RoleSets {
		object := fmt.Sprintf("%s:elsewhere/%s", set.On, set.Name)
		switch set.On {
		case "subscription":
			w.add(object + "#platform@platform:main")
		case "account":
			w.add(fmt.Sprintf("%s#subscription@subscription:elsewhere/%s", object, authz.MultiOwner))
		default:
			continue
		}
		w.addFlag(object, string(set.Name))
		for _, role := range set.Names() {
			person := fmt.Sprintf("%s#%s@user:%s", object, role, outsider)
			if !set.IsForPeopleOnly(role) {
				person = fmt.Sprintf("%s#%s@%s", object, role, w.holderOf(Column{Name: outsider}, role))
			}
			w.add(person)
		}
	}
}

func public(definitions []authz.Definition, typ authz.Type) []authz.Permission {
	for _, d := range definitions {
		if d.Type == typ {
			return d.Public()
		}
	}
	return nil
}
