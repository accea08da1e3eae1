package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
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

// print writes the explanation for a terminal, and SpiceDB's trace if whole is set.
func (e explanation) print(out io.Writer, resource string, whole bool) {
	verdict := "denied"
	if e.Allowed {
		verdict = "allowed"
	}
	fmt.Fprintf(out, "%s: %s\n", verdict, e.Text)
	if len(e.Path) > 0 {
		fmt.Fprintln(out)
		e.pathTree(ref(resource)).print(out, "")
	}
	for _, step := range e.Failed {
		fmt.Fprintln(out)
		tree{step.Text, []tree{{line: step.relationship()}}}.print(out, "")
	}
	for _, suggestion := range e.Suggestions {
		fmt.Fprintln(out)
		suggestion.tree().print(out, "")
	}
	if e.Omitted {
		fmt.Fprintln(out, "\n(some parts are hidden from the reader)")
	}
	if whole && e.Trace != nil {
		fmt.Fprintln(out)
		e.Trace.tree().print(out, "")
	}
}

// pathTree puts each step below the object that it is about. Steps whose object is hidden are at the top.
func (e explanation) pathTree(top ref) tree {
	if first := e.Path[0].Resource; !slices.ContainsFunc(e.Path, func(s explainedStep) bool { return s.Resource == top }) {
		top = first
	}
	shown := make(map[int]bool)
	var under func(object ref) []tree
	under = func(object ref) []tree {
		var below []tree
		for i, step := range e.Path {
			if step.Resource == object && !shown[i] {
				shown[i] = true
				next, _, _ := strings.Cut(string(step.Subject), "#")
				below = append(below, tree{fmt.Sprintf("%s %s  (%s)", step.Relation, step.Subject, step.Text), under(ref(next))})
			}
		}
		return below
	}
	root := tree{top.String(), under(top)}
	for i, step := range e.Path {
		if !shown[i] {
			root.below = append(root.below, tree{line: "… " + step.Text, below: under(step.Resource)})
		}
	}
	return root
}

func (w suggestion) tree() tree {
	root := tree{line: w.Text}
	for _, r := range w.Relationships {
		root.below = append(root.below, tree{line: r.relationship()})
	}
	for _, r := range w.Without {
		root.below = append(root.below, tree{line: r.relationship() + " (deleted)"})
	}
	for _, o := range w.Operations {
		call := tree{line: o.Method + " " + o.Path}
		var body bytes.Buffer
		if len(o.Body) > 0 && json.Compact(&body, o.Body) == nil {
			call.line += " " + body.String()
		}
		if o.BodyOmitted {
			call.line += " (its body names what the reader may not know)"
		}
		if o.Scope != "" {
			call.line += " with a key that has the scope " + o.Scope
		}
		for _, need := range o.Needs {
			call.below = append(call.below, tree{line: fmt.Sprintf("needs %s on %s", need.Permission, need.Resource)})
		}
		for _, group := range o.Approvers {
			line := fmt.Sprintf("%s of %s", group.Relation, group.Resource)
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
		root.below = append(root.below, call)
	}
	return root
}

// String returns the condition and its result. A condition has no name if it combines several caveats.
func (c condition) String() string {
	result := map[string]string{"allowed": "holds", "denied": "does not hold"}[c.Result]
	if result == "" {
		result = "waits for context"
	}
	return strings.Join(strings.Fields("the condition "+c.Caveat+" ("+c.Expression+") "+result), " ")
}

func (n *traceNode) tree() tree {
	names := make([]string, len(n.Resources))
	for i, resource := range n.Resources {
		names[i] = resource.String()
	}
	t := tree{line: fmt.Sprintf("%s %s on %s", n.Result, n.Name, strings.Join(names, ", "))}
	if n.Condition != nil {
		t.line += "; " + n.Condition.String()
	}
	if n.Cached {
		t.line += " (cached)"
	}
	for _, part := range n.Parts {
		t.below = append(t.below, part.tree())
	}
	return t
}
