package tests

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema/roletables"
)

// roleTables checks every row of the role tables for every role. It creates the objects with operations, not with
// relationships of its own.
func roleTables(t *testing.T, on *backend) {
	tables, err := roletables.ReadFolder(os.DirFS("../schema/testdata"))
	if err != nil {
		t.Fatal(err)
	}
	for group, table := range tables {
		everyRowHasAHome(t, table)
		places := homes[table.RoleSet.Name]
		for j, h := range places {
			for i, column := range table.Columns {
				if !on.playsOneOf(group, j*len(table.Columns)+i, len(places)*len(table.Columns)) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s/%s", table.RoleSet.Name, h.subscription, h.account, column.Name), func(t *testing.T) {
					on.parallel(t)
					askColumn(t, on, table, h, i)
				})
			}
		}
	}
}

// everyRowHasAHome fails for each row that no test would check. No entry of homes can have the resource of such a
// row.
func everyRowHasAHome(t *testing.T, table roletables.Table) {
	t.Helper()
	if len(table.Rows) == 0 {
		t.Errorf("the table %s has no rows", table.RoleSet.Name)
	}
	for _, row := range table.Rows {
		if !slices.ContainsFunc(homes[table.RoleSet.Name], func(h home) bool { return h.has(row) }) {
			t.Errorf("%s: no home has the row %s %q", table.RoleSet.Name, row.Resource, row.Situation)
		}
	}
}

// has reports whether a row can be checked in this home. The resource of the row must be able to exist there, in the
// situation of the row. Only team accounts under multi_owner have private connections.
func (h home) has(row roletables.Row) bool {
	if sets, limited := roletables.AccountsOf[row.Resource]; limited && !slices.Contains(sets, h.account) {
		return false
	}
	words := strings.Fields(row.Situation)
	private := slices.Contains(words, "private") || slices.Contains(words, "named")
	return !private || h == home{authz.MultiOwner, authz.Team}
}

// askColumn creates a home for the person of one column, and checks all rows for this person.
func askColumn(t *testing.T, on *backend, table roletables.Table, h home, column int) {
	w := &world{scene: newScene(t, on), table: table, home: h, column: table.Columns[column], objects: map[string]string{}}
	w.build()
	var questions []question
	var wanted []bool
	for _, row := range table.Rows {
		if !h.has(row) {
			continue
		}
		questions = append(questions, question{"user:" + w.id("subject"), string(row.Permission), w.object(row)})
		wanted = append(wanted, row.Allowed[column])
	}
	for i, got := range w.mayEach(questions) {
		if got != wanted[i] {
			t.Errorf("%s: %t, want %t", questions[i], got, wanted[i])
		}
	}
	// Every seventh row is also checked in a request of its own. The first of these rows differs from column to
	// column.
	for i := column % 7; i < len(questions); i += 7 {
		if got := w.may(questions[i]); got != wanted[i] {
			t.Errorf("in a single check: %s: %t, want %t", questions[i], got, wanted[i])
		}
	}
}

// world is a home (see homes) in which one person holds the roles of one column of a table.
type world struct {
	scene
	table  roletables.Table
	home   home
	column roletables.Column

	// objects has the ids of the created objects, by type and situation.
	objects map[string]string
}

// master returns the name of the person who has every right in the subscription. A single_owner subscription has
// only one owner. So in the column of the owner, the person of the column is the master.
func (w *world) master() string {
	if w.table.RoleSet.Name == authz.SingleOwner && w.column.Name == string(authz.RoleOwner) {
		return "subject"
	}
	return "founder"
}

func (w *world) build() {
	w.perform(connectors...)
	w.perform(stages[w.home.subscription]...)
	w.perform(stages[w.home.account]...)
	if w.master() != "subject" {
		if strings.HasSuffix(w.column.Name, " alone") { // no operation grants an additional role alone
			w.perform("given account:~account#$roles@user:~subject")
		} else {
			w.perform(arrivals[w.table.RoleSet.On])
		}
	}
}

// perform runs operations, in which it replaces the placeholders with names of this world.
func (w *world) perform(operations ...string) {
	w.t.Helper()
	names := make([]string, len(w.column.Roles))
	for i, role := range w.column.Roles {
		names[i] = string(role)
	}
	fill := strings.NewReplacer(
		"$master", w.master(), "$account_set", string(w.home.account), "$roles", strings.Join(names, ", "),
	)
	for _, operation := range operations {
		for line := range strings.Lines(fill.Replace(operation)) {
			w.play(strings.TrimSpace(line))
		}
	}
}

// object returns the resource of a row in the situation of the row. The first call creates the resource.
func (w *world) object(row roletables.Row) string {
	w.t.Helper()
	key := string(row.Resource) + " " + row.Situation
	if object, made := w.objects[key]; made {
		return object
	}
	i := slices.IndexFunc(
		situations, func(s situation) bool { return s.resource == row.Resource && s.words == row.Situation },
	)
	if i < 0 {
		w.t.Fatalf("situations has no entry for %s %q", row.Resource, row.Situation)
	}
	made := situations[i]
	it := fmt.Sprintf("it%d", len(w.objects))
	operations := make([]string, len(made.operations))
	for j, operation := range made.operations {
		operations[j] = strings.ReplaceAll(operation, "~it", "~"+it)
	}
	w.perform(operations...)
	id := w.id(it)
	if made.object != "" {
		id = w.in(made.object)
	}
	w.objects[key] = string(row.Resource) + ":" + id
	return w.objects[key]
}
