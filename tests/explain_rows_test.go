package tests

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/sluice-authz/sluice/schema/roletables"
)

// TestExplainRoleTables explains rows of the role tables. For every sixth allowed row, the path must be a chain of
// stored relationships from the resource to the subject. For every 24th denied row, there must be a suggestion with
// an operation. For half of these rows, a person named in the first suggestion performs it, and then the check must
// be allowed. The first of these rows differs from column to column.
func TestExplainRoleTables(t *testing.T) {
	t.Parallel()
	tables, err := roletables.ReadFolder(os.DirFS("../schema/testdata"))
	if err != nil {
		t.Fatal(err)
	}
	on := memory.get(t)
	for _, table := range tables {
		for _, h := range homes[table.RoleSet.Name] {
			for i, column := range table.Columns {
				t.Run(fmt.Sprintf("%s/%s/%s/%s", table.RoleSet.Name, h.subscription, h.account, column.Name), func(t *testing.T) {
					t.Parallel()
					explainColumn(t, on, table, h, i)
				})
			}
		}
	}
}

// beyondOperations lists the denied permissions that no operation grants: only the creator of a connection may share
// it, and under multi_owner nobody may pay or transfer.
var beyondOperations = []string{"connection share", "subscription pay", "subscription transfer_ownership"}

func explainColumn(t *testing.T, on *backend, table roletables.Table, h home, column int) {
	newWorld := func() *world {
		w := &world{
			scene: newScene(t, on), table: table, home: h, column: table.Columns[column], objects: map[string]string{},
		}
		w.build()
		return w
	}
	ask := func(w *world, row roletables.Row) question {
		return question{"user:" + w.id("subject"), string(row.Permission), w.object(row)}
	}
	w := newWorld()
	chains := make(map[question][]explainedStep)
	allowed, denied := 0, 0
	var played []roletables.Row
	for _, row := range table.Rows {
		switch {
		case !h.has(row):
			continue
		case row.Allowed[column]:
			if allowed++; (allowed+column)%6 == 0 {
				q := ask(w, row)
				chains[q] = w.explainsAllowed(q)
			}
			continue
		}
		if denied++; (denied+column)%24 != 0 {
			continue
		}
		if !w.explainsDenied(ask(w, row)) {
			if !slices.Contains(beyondOperations, fmt.Sprintf("%s %s", row.Resource, row.Permission)) {
				t.Errorf("%s: no operation is suggested", ask(w, row))
			}
		} else if (denied+column)%48 == 0 {
			played = append(played, row)
		}
	}
	stored := w.stored()
	for q, chain := range chains {
		for _, step := range chain {
			if _, found := slices.BinarySearch(stored, step.String()); !found {
				t.Errorf("%s: %s is not stored", q, step)
			}
		}
	}
	for _, row := range played {
		fresh := newWorld() // a separate world, since the performed suggestion changes the decisions of other rows
		q := ask(fresh, row)
		suggested := fresh.why(q).Suggestions[0]
		fresh.performSuggestion(suggested)
		if !fresh.may(q) {
			t.Errorf("%s: still denied after %s", q, suggested.Text)
		}
	}
}

// explainsAllowed returns the path of an explanation. It requires that the path leads from the resource to the
// subject.
func (s scene) explainsAllowed(q question) []explainedStep {
	s.t.Helper()
	e := s.why(q)
	if !e.Allowed || len(e.Path) == 0 || e.Text == "" || e.Omitted || len(e.Suggestions) > 0 {
		s.t.Errorf("%s: %+v", q, e)
		return nil
	}
	if first, last := e.Path[0], e.Path[len(e.Path)-1]; first.Resource != q.Resource || last.Subject != q.Subject {
		s.t.Errorf("%s: the chain begins with %s and ends with %s", q, first, last)
	}
	return e.Path
}

// explainsDenied reports whether the explanation of a denied check has a suggestion with an operation.
func (s scene) explainsDenied(q question) bool {
	s.t.Helper()
	e := s.why(q)
	if e.Allowed || e.Text == "" || e.Omitted || len(e.Path) > 0 {
		s.t.Errorf("%s: %+v", q, e)
	}
	return len(e.Suggestions) > 0 && len(e.Suggestions[0].Operations) > 0
}
