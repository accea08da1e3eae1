package tests

import (
	"net/http"
	"strings"
)

// explanation has the fields of an explanation that tests use.
type explanation struct {
	Allowed        bool
	MissingContext []string `json:"missing_context"`
	Text           string
	Path           []explainedStep
	Suggestions    []suggestion
	Omitted        bool
	Trace          *traceNode
	Token          string
}

type explainedStep struct {
	Resource, Relation, Subject, Text string
}

type suggestion struct {
	Text            string
	Relationships   []explainedStep
	Without         []explainedStep
	Operations      []suggestedOperation
	RequiresFeature string `json:"requires_feature"`
}

type suggestedOperation struct {
	Text, Method, Path, Scope string
	Body                      map[string]any
	BodyOmitted               bool `json:"body_omitted"`
	Approvers                 []struct {
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

// why returns the explanation for a check.
func (c caller) why(q question) explanation {
	c.t.Helper()
	var e explanation
	c.must(http.MethodPost, "explain", q).decode(c.t, &e)
	return e
}

// performSuggestion sends the requests of a suggestion. The actor of each request is the first person whom the
// suggestion names for it.
func (s scene) performSuggestion(suggested suggestion) {
	s.t.Helper()
	for _, o := range suggested.Operations {
		from := s.caller
		switch {
		case o.Scope == "provision":
		case len(o.Approvers) == 0 || len(o.Approvers[0].People) == 0:
			s.t.Fatalf("nobody is named for %s %s: %s", o.Method, o.Path, suggested.Text)
		default:
			from = s.as(o.Approvers[0].People[0])
		}
		var body any
		if o.Body != nil {
			body = o.Body
		}
		from.must(o.Method, o.Path, body)
	}
}

// plain removes the id prefix of this test from a text.
func (s scene) plain(text string) string { return strings.ReplaceAll(text, s.prefix, "") }
