package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/rest"
)

// tree is a line with subtrees.
type tree struct {
	line  string
	below []tree
}

func (t tree) print(out io.Writer, indent string) {
	fmt.Fprintln(out, t.line)
	for i, child := range t.below {
		branch, deeper := "├── ", "│   "
		if i == len(t.below)-1 {
			branch, deeper = "└── ", "    "
		}
		fmt.Fprint(out, indent, branch)
		child.print(out, indent+deeper)
	}
}

// printExplanation writes the explanation for a terminal, and SpiceDB's trace if whole is set.
func printExplanation(out io.Writer, e rest.Explanation, resource string, whole bool) {
	verdict := "denied"
	if e.Allowed {
		verdict = "allowed"
	}
	fmt.Fprintf(out, "%s: %s\n", verdict, e.Text)
	if len(e.Path) > 0 {
		fmt.Fprintln(out)
		pathTree(e.Path, resource).print(out, "")
	}
	for _, step := range e.Failed {
		fmt.Fprintln(out)
		tree{step.Text, []tree{{line: relationship(step.Resource, step.Relation, step.Subject)}}}.print(out, "")
	}
	for _, suggestion := range e.Suggestions {
		fmt.Fprintln(out)
		suggestionTree(suggestion).print(out, "")
	}
	if e.Omitted {
		fmt.Fprintln(out, "\n(some parts are hidden from the reader)")
	}
	if whole && len(e.Trace.Resources) > 0 {
		fmt.Fprintln(out)
		traceTree(e.Trace).print(out, "")
	}
}

// pathTree places each step below the step that leads to its object. Steps whose object is hidden are at the top.
func pathTree(path []rest.ExplainedStep, top string) tree {
	about := make([]string, len(path))
	for i, step := range path {
		about[i] = text(step.Resource)
	}
	if !slices.Contains(about, top) {
		top = about[0]
	}
	shown := make(map[int]bool)
	var under func(object string) []tree
	under = func(object string) []tree {
		var below []tree
		for i, step := range path {
			if about[i] == object && !shown[i] {
				shown[i] = true
				subject := text(step.Subject)
				next, _, _ := strings.Cut(subject, "#")
				line := fmt.Sprintf("%s %s  (%s)", step.Relation, printable(subject), step.Text)
				below = append(below, tree{line, under(next)})
			}
		}
		return below
	}
	root := tree{printable(top), under(top)}
	for i, step := range path {
		if !shown[i] {
			root.below = append(root.below, tree{line: "… " + step.Text, below: under(about[i])})
		}
	}
	return root
}

func suggestionTree(s rest.Suggestion) tree {
	root := tree{line: s.Text}
	for _, r := range s.Relationships {
		root.below = append(root.below, tree{line: relationship(r.Resource, r.Relation, r.Subject)})
	}
	for _, r := range s.Without {
		root.below = append(root.below, tree{line: relationship(r.Resource, r.Relation, r.Subject) + " (deleted)"})
	}
	for _, o := range s.Operations {
		root.below = append(root.below, operationTree(o))
	}
	return root
}

func operationTree(o rest.SuggestedOperation) tree {
	call := tree{line: o.Method + " " + o.Path}
	if body, err := json.Marshal(o.Body); err == nil && o.Body != nil {
		call.line += " " + string(body)
	}
	if o.BodyOmitted {
		call.line += " (its body names what the reader may not know)"
	}
	if o.Scope != "" {
		call.line += " with a key that has the scope " + string(o.Scope)
	}
	for _, need := range o.Needs {
		line := fmt.Sprintf("needs %s on %s", need.Permission, printable(text(need.Resource)))
		call.below = append(call.below, tree{line: line})
	}
	for _, group := range o.Approvers {
		line := fmt.Sprintf("%s of %s", group.Relation, printable(text(group.Resource)))
		var people []string
		for _, who := range group.People {
			people = append(people, printable(who))
		}
		if group.More {
			people = append(people, "…")
		}
		if len(people) > 0 {
			line += ": " + strings.Join(people, ", ")
		}
		call.below = append(call.below, tree{line: line})
	}
	return call
}

// describe returns the condition and its result. A condition that combines several caveats has no name.
func describe(c rest.TraceCondition) string {
	result := map[rest.TraceConditionResult]string{"allowed": "holds", "denied": "does not hold"}[c.Result]
	if result == "" {
		result = "waits for context"
	}
	return strings.Join(strings.Fields("the condition "+c.Caveat+" ("+c.Expression+") "+result), " ")
}

func traceTree(n rest.TraceNode) tree {
	names := make([]string, len(n.Resources))
	for i, resource := range n.Resources {
		names[i] = printable(text(resource))
	}
	t := tree{line: fmt.Sprintf("%s %s on %s", n.Result, n.Name, strings.Join(names, ", "))}
	if n.Condition.Result != "" {
		t.line += "; " + describe(n.Condition)
	}
	if n.Cached {
		t.line += " (cached)"
	}
	for _, part := range n.Parts {
		t.below = append(t.below, traceTree(part))
	}
	return t
}

// relationship formats a relationship as zed does.
func relationship(resource rest.Reference, relation string, subject rest.Reference) string {
	return fmt.Sprintf("%s %s %s", printable(text(resource)), relation, printable(text(subject)))
}

// text returns a reference, which is a text or an object in JSON, as text.
func text(r rest.Reference) string {
	if reference, err := r.AsReferenceString(); err == nil {
		return reference
	}
	parts, err := r.AsReferenceObject()
	if err != nil {
		return ""
	}
	return client.Reference{Type: parts.Type, ID: parts.ID, Relation: parts.Relation}.String()
}

// printable quotes a text that a terminal would not show unchanged.
func printable(s string) string {
	if quoted := fmt.Sprintf("%q", s); quoted != `"`+s+`"` {
		return quoted
	}
	return s
}
