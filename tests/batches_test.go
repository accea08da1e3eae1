package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
)

// shelves is a schema with recursive permissions and a caveat. The caveat fails if its context has the wrong type.
// One permission requires all() of relationships with this caveat.
const shelves = `schema: |-
  definition user {}
  caveat on_day(today string, allowed string) { today == allowed }
  definition box {
    relation inside: box
    relation owner: user | user with on_day
    relation guest: user | user with on_day
    /** May see the box. */
    permission view = owner + inside->view
    /** May open the box. */
    permission open = owner + guest
    /** May lock the box. */
    permission lock = owner - guest
  }
  definition shelf {
    relation holds: box | box with on_day
    /** May see all boxes of the shelf. */
    permission view = holds.all(view)
  }
relationships: |-
  box:daily#owner@user:ada[on_day:{"allowed":"monday"}]
  box:daily#guest@user:ada
  box:shared#owner@user:ada
  box:shared#guest@user:bob[on_day:{"allowed":"monday"}]
  shelf:full#holds@box:shared
  shelf:some#holds@box:shared[on_day:{"allowed":"sunday"}]
  box:b0#owner@user:ada
`

// startShelves starts a server with the schema shelves and a chain of 60 boxes.
func startShelves(t *testing.T) scene {
	t.Helper()
	text := strings.Builder{}
	text.WriteString(shelves)
	for i := range 59 {
		fmt.Fprintf(&text, "  box:b%d#inside@box:b%d\n", i+1, i)
	}
	file := filepath.Join(t.TempDir(), "shelves.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	config := configuration()
	config.Schema = file
	config.Replica.Mode = app.Off // the in-memory replica would answer checks that are too large for SpiceDB
	return scene{caller: newCaller(t, start(t, config).URL)}
}

// TestItemsOfBatchesHaveTheAnswersOfChecks calls every endpoint that makes several decisions in one answer. Each
// item must have the decision of a single check, even if other items fail.
func TestItemsOfBatchesHaveTheAnswersOfChecks(t *testing.T) {
	t.Parallel()
	s := startShelves(t)
	type item struct {
		subject, permission, typ, id string
		context                      map[string]any
	}
	var items []item
	for i := range 60 {
		items = append(items, item{"ada", "view", "box", fmt.Sprint("b", i), nil})
	}
	for _, context := range []map[string]any{nil, {"today": "monday"}, {"today": 5}} {
		for _, subject := range []string{"ada", "bob"} {
			for _, of := range []string{"box:daily", "box:shared", "box:none", "shelf:full", "shelf:some", "box:b59", "bx:b1"} {
				typ, id, _ := strings.Cut(of, ":")
				items = append(items, item{subject, "view", typ, id, context}, item{subject, "open", typ, id, context})
			}
		}
	}
	type decided struct {
		Allowed        bool     `json:"allowed"`
		MissingContext []string `json:"missing_context"`
		Error          *struct{ Code, Detail string }
	}
	var alone []decided
	var checks, evaluations []map[string]any
	outcomes := make(map[string]int)
	for _, i := range items {
		check := map[string]any{"subject": "user:" + i.subject, "permission": i.permission, "resource": i.typ + ":" + i.id}
		evaluation := map[string]any{
			"subject": map[string]any{"type": "user", "id": i.subject}, "action": map[string]any{"name": i.permission},
			"resource": map[string]any{"type": i.typ, "id": i.id},
		}
		if i.context != nil {
			check["context"], evaluation["context"] = i.context, i.context
		}
		checks, evaluations = append(checks, check), append(evaluations, evaluation)
		a := s.call(http.MethodPost, "check", check)
		var d decided
		if a.status == http.StatusOK {
			a.decode(t, &d)
			outcomes[fmt.Sprint(d.Allowed, d.MissingContext)]++
		} else {
			problem := a.problem()
			d.Error = &struct{ Code, Detail string }{problem.Code, problem.Detail}
			outcomes[problem.Code]++
		}
		alone = append(alone, d)
	}
	for _, outcome := range []string{"true []", "false []", "false [today]", "invalid", "too_large"} {
		require.Positive(t, outcomes[outcome], "%s: %v", outcome, outcomes)
	}

	var bulk struct{ Results []decided }
	s.must(http.MethodPost, "check/bulk", map[string]any{"checks": checks}).decode(t, &bulk)
	require.Len(t, bulk.Results, len(items))
	for i, want := range alone {
		got := bulk.Results[i]
		require.Equal(t, want.Error == nil, got.Error == nil, "%+v: %+v", items[i], got)
		if want.Error != nil {
			require.Equal(t, want.Error.Code, got.Error.Code, "%+v", items[i])
			continue
		}
		require.Equal(t, want, got, "%+v", items[i])
	}

	var answers struct{ Evaluations []map[string]any }
	s.must(http.MethodPost, "/access/v1/evaluations", map[string]any{"evaluations": evaluations}).decode(t, &answers)
	require.Len(t, answers.Evaluations, len(items))
	for i, evaluation := range evaluations {
		var single map[string]any
		s.must(http.MethodPost, "/access/v1/evaluation", evaluation).decode(t, &single)
		require.Equal(t, single, answers.Evaluations[i], "%+v", items[i])
		require.Equal(t, alone[i].Allowed, single["decision"], "%+v", items[i])
	}
}
