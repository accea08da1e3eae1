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
	last := i.check.Resource
	for n, step := range answer.Path {
		r := step.Relationship
		switch {
		case r.Subject == i.check.Subject:
			own = append(own, step.Text)
		case n == 0 && len(answer.Path) > 1 && i.isPlace(r): // where the resource is, goes without saying
		default:
			links = append(links, step.Text)
		}
		if r.Subject == i.check.Subject && r.Resource != i.check.Resource {
			last = r.Resource
		}
	}
	slices.Reverse(own) // what is said of the resource itself first
	for n, name := 1, nameSubject(i.check.Subject)+" "; n < len(own) && strings.HasPrefix(own[0], name); n++ {
		own[n] = strings.TrimPrefix(own[n], name)
	}
	if len(own) > 0 {
		links = append(links, strings.Join(own, " and "))
	}
	text, chain := i.verdict(), strings.Join(links, "; ")
	switch {
	case i.decision.State == authz.Conditional:
		text += " unless the context holds " + strings.Join(i.decision.MissingContext, ", ")
		if chain != "" {
			text += "; " + chain
		}
	case chain == "":
	case !answer.Withheld && len(own) > 0 && i.ability(last) != "":
		return chain + ", which may " + i.ability(last)
	default:
		text += ": " + chain
	}
	if answer.Withheld {
		text += "; the rest is about what the reader may not see"
	}
	return text
}

// isPlace reports whether a relationship says what the resource is in.
func (i *inquiry) isPlace(r authz.Relationship) bool {
	return i.operations != nil && r.Resource == i.check.Resource && (r.Relation == "account" || r.Relation == "workspace")
}

// textOfMissing says why the answer is no, and the nearest way to a yes.
func (i *inquiry) textOfMissing(answer *Explanation) string {
	text := i.verdict()
	if len(answer.Missing) == 0 {
		if answer.Withheld {
			return text + "; what is missing is about what the reader may not see"
		}
		return text + "; nothing is known that would change it"
	}
	return text + "; missing is that " + answer.Missing[0].Text
}

// textOfWay says what would have to be so, and whom to ask for it.
func (i *inquiry) textOfWay(way *Way) string {
	var parts []string
	for _, r := range way.Relationships {
		parts = append(parts, i.sentence(r))
	}
	if len(way.Operations) == 0 {
		for _, r := range way.Without {
			parts = append(parts, "it is no longer so that "+i.sentence(r))
		}
		text := strings.Join(parts, " and ")
		if i.operations != nil {
			text += ", which no operation changes"
		}
		return text
	}
	text := strings.Join(parts, " and ")
	if way.Requires != "" {
		text += ", for which the subscription lacks the feature " + string(way.Requires)
	}
	for n, operation := range way.Operations {
		if n > 0 {
			text += "; then "
		} else {
			text += ": "
		}
		text += operation.Text
	}
	return text
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
