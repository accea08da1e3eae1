package tests

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/schema/roletables"
)

// explanation is what tests look at in the answer of explain.
type explanation struct {
	Allowed        bool
	MissingContext []string `json:"missing_context"`
	Text           string
	Path           []explainedStep
	Missing        []missingWay
	Withheld       bool
	Trace          *traceNode
	Token          string
}

type explainedStep struct {
	Resource, Relation, Subject, Text string
}

type missingWay struct {
	Text            string
	Relationships   []explainedStep
	Without         []explainedStep
	Operations      []grantingOperation
	RequiresFeature string `json:"requires_feature"`
}

type grantingOperation struct {
	Text, Method, Path, Scope string
	Body                      map[string]any
	BodyWithheld              bool `json:"body_withheld"`
	Performers                []struct {
		Relation, Resource string
		People             []string
		More               bool
	}
}

type traceNode struct {
	Resources []string
	Name      string
	Kind      string
	Result    string
	Cached    bool
	Parts     []traceNode
}

func (e explainedStep) String() string { return e.Resource + "#" + e.Relation + "@" + e.Subject }

// why asks for an explanation.
func (c caller) why(q question) explanation {
	c.t.Helper()
	var e explanation
	c.must(http.MethodPost, "explain", q).decode(c.t, &e)
	return e
}

// TestExplainRoleTables asks why for rows of the role tables. What is allowed has a chain of stored relationships from
// the resource to the subject. What is denied becomes allowed by performing the first way, as somebody who is named.
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
					on.parallel(t)
					explainColumn(t, on, table, h, i)
				})
			}
		}
	}
}

func explainColumn(t *testing.T, on *backend, table roletables.Table, h home, column int) {
	w := &world{scene: newScene(t, on), table: table, home: h, column: table.Columns[column], objects: map[string]string{}}
	w.build()
	subject := "user:" + w.id("subject")
	for _, row := range table.Rows {
		if !h.has(row) {
			continue
		}
		q := question{subject, string(row.Permission), w.object(row)}
		if row.Allowed[column] {
			w.explainsAllowed(q)
			continue
		}
		// What the first way gives would answer the rows after it, so they are asked in a world of their own.
		fresh := &world{scene: newScene(t, on), table: table, home: h, column: table.Columns[column], objects: map[string]string{}}
		fresh.build()
		fresh.explainsDenied(question{"user:" + fresh.id("subject"), string(row.Permission), fresh.object(row)})
	}
}

func (s scene) explainsAllowed(q question) {
	s.t.Helper()
	e := s.why(q)
	if !e.Allowed || len(e.Path) == 0 || e.Text == "" || e.Withheld {
		s.t.Errorf("%s: %+v", q, e)
		return
	}
	stored := s.stored()
	for _, step := range e.Path {
		if _, found := slices.BinarySearch(stored, step.String()); !found && !strings.HasPrefix(step.Resource, "platform:") {
			s.t.Errorf("%s: %s is not stored", q, step)
		}
	}
	last := e.Path[len(e.Path)-1]
	if last.Subject != q.Subject {
		s.t.Errorf("%s: the chain ends at %s", q, last)
	}
	if e.Path[0].Resource != q.Resource {
		s.t.Errorf("%s: the chain begins at %s", q, e.Path[0])
	}
	fmt.Println("YES", s.clean(e.Text))
}

func (s scene) clean(x string) string { return strings.ReplaceAll(x, s.prefix, "") }

func (s scene) explainsDenied(q question) {
	s.t.Helper()
	e := s.why(q)
	if e.Allowed || e.Text == "" || e.Withheld || len(e.Path) > 0 {
		s.t.Errorf("%s: %+v", q, e)
		return
	}
	fmt.Println("NO ", s.clean(e.Text))
	if len(e.Missing) == 0 || len(e.Missing[0].Operations) == 0 {
		s.t.Logf("NOTHING %s: %s", q, e.Text)
		return
	}
	for _, o := range e.Missing[0].Operations {
		from := s.caller
		if o.Scope == "" {
			if len(o.Performers) == 0 || len(o.Performers[0].People) == 0 {
				s.t.Errorf("%s: nobody to ask: %+v", q, e.Missing[0])
				return
			}
			from = s.as(o.Performers[0].People[0])
		}
		var body any
		if o.Body != nil {
			body = o.Body
		}
		from.must(o.Method, o.Path, body)
	}
	if !s.may(q) {
		s.t.Errorf("%s: still denied after %+v", q, e.Missing[0].Operations)
	}
}
