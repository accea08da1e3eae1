package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// textOfPath says why the answer is yes, or what it depends on.
func (i *inquiry) textOfPath(answer *Explanation) string {
	var links, own []string // what is said of other things, and of the subject
	for n, step := range answer.Path {
		r := step.Relationship
		switch {
		case r.Subject == i.check.Subject:
			own = append(own, step.Text)
		case n == 0 && len(answer.Path) > 1 && i.isPlace(r): // where the resource is, goes without saying
		default:
			links = append(links, step.Text)
		}
	}
	slices.Reverse(own) // what is said of the resource itself first
	for n, name := 1, nameSubject(i.check.Subject)+" "; n < len(own) && strings.HasPrefix(own[0], name); n++ {
		own[n] = strings.TrimPrefix(own[n], name)
	}
	if len(own) > 0 {
		links = append(links, strings.Join(own, " and "))
	}
	text, since := i.verdict(), ", since "
	if i.decision.State == authz.Conditional {
		text += " unless the context holds " + strings.Join(i.decision.MissingContext, ", ")
		since = "; "
	}
	if len(links) > 0 {
		text += since + strings.Join(links, "; ")
	}
	if answer.Withheld {
		text += "; the rest is about what the reader may not see"
	}
	return text + leftOut(answer)
}

// isPlace reports whether a relationship says what the resource is in.
func (i *inquiry) isPlace(r authz.Relationship) bool {
	return i.operations != nil && r.Resource == i.check.Resource && (r.Relation == "account" || r.Relation == "workspace")
}

// textOfMissing says why the answer is no, and the nearest way to a yes.
func (i *inquiry) textOfMissing(answer *Explanation) string {
	text, missing := i.verdict(), "; missing is that "
	for _, step := range answer.Failed {
		text += "; " + step.Text
		missing = "; otherwise missing is that "
	}
	if answer.Unstored {
		text += "; " + nameObject(i.check.Resource) + " is not stored: no relationship has it as its resource"
	}
	switch {
	case len(answer.Missing) > 0:
		text += missing + answer.Missing[0].Text
	case answer.Withheld:
		text += "; what is missing is about what the reader may not see"
	case !answer.Unstored && len(answer.Failed) == 0:
		text += "; nothing is known that would change it"
	}
	return text + leftOut(answer)
}

// leftOut says that a limit was reached.
func leftOut(answer *Explanation) string {
	if answer.Incomplete {
		return "; not everything was looked at or tried"
	}
	return ""
}

// textOfWay says what would have to be so, and whom to ask for it.
func (i *inquiry) textOfWay(way *Way) string {
	var parts, bares []string
	add := func(r authz.Relationship, text string) {
		parts = append(parts, text)
		if !i.isProduct(r.Resource.Type) {
			bares = append(bares, text)
		}
	}
	for _, r := range way.Relationships {
		add(r, i.sentence(r))
	}
	for _, r := range way.Without {
		if !i.isProduct(r.Resource.Type) { // what an operation takes goes with what it gives
			add(r, "it is no longer so that "+i.sentence(r))
		}
	}
	text := strings.Join(parts, " and ")
	switch {
	case i.operations == nil:
		return text
	case len(way.Operations) == 0 && len(bares) == 0:
		return text + ", which no operation changes"
	case len(way.Operations) == 0:
		return text + ", which the application itself writes"
	case way.Requires != "":
		text += ", for which the subscription lacks the feature " + string(way.Requires)
	}
	var calls []string
	for _, operation := range way.Operations {
		calls = append(calls, operation.Text)
	}
	if len(bares) > 0 {
		calls = append(calls, "the application itself writes that "+strings.Join(bares, " and "))
	}
	return text + ": " + strings.Join(calls, "; then ")
}

// textOfOperation says whom to ask: those who are nearest, and may.
func textOfOperation(o *Operation) string {
	switch {
	case o.Backend:
		return fmt.Sprintf("the application itself has to do that, by %s %s with a key that has the scope provision", o.Method, o.Path)
	case len(o.Performers) == 0:
		return "ask somebody who may, whom the reader may not see"
	}
	nearest := o.Performers[0].Resource
	var relations, names []string
	more := false
	for _, group := range o.Performers {
		if group.Resource != nearest {
			continue
		}
		relations = append(relations, words(group.Relation))
		more = more || group.More
		for _, who := range group.People {
			if name := nameID(who); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	whom := article(strings.Join(relations, " or ")) + " of " + nameObject(nearest)
	if relations[0] == "creator" {
		whom = "whoever created " + nameObject(nearest)
	}
	if len(names) > 0 {
		whom += ": " + strings.Join(names, ", ")
	}
	if more {
		whom += " and others"
	}
	return "ask " + whom
}
