package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// pathSummary says in words why the check is allowed, or on which missing context the decision depends.
func (i *inquiry) pathSummary(answer *Explanation) string {
	var others, own []string // sentences about other objects, and about the subject of the check
	for n, step := range answer.Path {
		r := step.Relationship
		switch {
		case r.Subject == i.check.Subject:
			own = append(own, step.Text)
		case n == 0 && len(answer.Path) > 1 && i.isPlace(r): // left out: the reader knows where the resource is
		default:
			others = append(others, step.Text)
		}
	}
	slices.Reverse(own) // the sentence about the resource itself comes first
	for n, name := 1, nameSubject(i.check.Subject)+" "; n < len(own) && strings.HasPrefix(own[0], name); n++ {
		own[n] = strings.TrimPrefix(own[n], name)
	}
	reasons := others
	if len(own) > 0 {
		reasons = append(reasons, strings.Join(own, " and "))
	}
	text := i.verdict()
	for _, step := range answer.Path {
		if r := step.Relationship; i.isGroup(r.Subject) && i.isRole(r) {
			text += " through " + nameObject(r.Subject.Object)
		}
	}
	if len(reasons) > 0 {
		text += ", because " + strings.Join(reasons, "; ")
	}
	if answer.Omitted {
		text += ". Part of the reason is hidden from the reader"
	}
	return text + limitNote(answer)
}

// isPlace reports whether a relationship leads from the resource to the account or workspace that contains it.
func (i *inquiry) isPlace(r authz.Relationship) bool {
	isParent := r.Relation == "account" || r.Relation == "workspace"
	return i.operations != nil && r.Resource == i.check.Resource && isParent
}

// denialSummary says in words why the check is denied, and adds the first suggestion.
func (i *inquiry) denialSummary(answer *Explanation) string {
	sentences := []string{i.verdict()}
	for _, step := range answer.Failed {
		sentences = append(sentences, step.Text)
	}
	if answer.Unstored {
		name := nameObject(i.check.Resource)
		sentences = append(sentences, name+" is not stored: no relationship has it as its resource")
	}
	switch {
	case len(answer.Suggestions) > 0:
		sentences = append(sentences, answer.Suggestions[0].Text)
	case answer.Omitted:
		sentences = append(sentences, "The changes that would allow it are hidden from the reader")
	case !answer.Unstored && len(answer.Failed) == 0:
		sentences = append(sentences, "No change is known that would allow it")
	}
	return strings.Join(sentences, ". ") + limitNote(answer)
}

// limitNote returns a sentence that says that the explanation is incomplete. If it is complete, limitNote returns "".
func limitNote(answer *Explanation) string {
	if answer.Incomplete {
		return ". The explanation is incomplete: a limit was reached"
	}
	return ""
}

// suggestionText says which relationships are missing or forbid the permission, and who can change that.
func (i *inquiry) suggestionText(suggestion *Suggestion) string {
	var reasons []string
	var writes []string // changes that no operation makes
	for _, r := range suggestion.Relationships {
		reasons = append(reasons, i.negativeSentence(r))
		if !i.isProduct(r.Resource.Type) {
			writes = append(writes, "writes that "+i.sentence(r))
		}
	}
	for _, r := range suggestion.Without {
		// An operation that adds a relationship also deletes the product's relationships that this one replaces.
		if !i.isProduct(r.Resource.Type) {
			reasons = append(reasons, i.sentence(r)+", which forbids it")
			writes = append(writes, "deletes that "+i.sentence(r))
		}
	}
	text := strings.Join(reasons, " and ")
	if i.operations == nil {
		return text
	}
	if suggestion.Requires != "" {
		text += ". The subscription lacks the feature " + string(suggestion.Requires)
	}
	var steps []string
	for _, operation := range suggestion.Operations {
		steps = append(steps, operation.Text)
	}
	if len(writes) > 0 {
		steps = append(steps, "The application itself "+strings.Join(writes, " and "))
	}
	switch {
	case len(steps) == 0:
		return text + ". No operation changes that"
	case len(steps) == 1 && len(writes) > 0:
		return text + ". The application itself writes relationships of this type"
	case len(steps) == 1:
		return text + ". " + steps[0]
	}
	for n, step := range steps {
		text += fmt.Sprintf(". Step %d: %s", n+1, step)
	}
	return text
}

// operationText says who may perform an operation. It names only approvers who have a relation to the changed object.
// If there are none, it names those with a relation to the nearest object that contains the changed object.
func operationText(o *Operation) string {
	switch {
	case o.Backend:
		return "The application can do that with a key that has the scope provision"
	case len(o.Approvers) == 0:
		return "Only people who are hidden from the reader can do that"
	}
	nearest := o.Approvers[0].Resource
	var relations, names []string
	more := false
	for _, group := range o.Approvers {
		if group.Resource != nearest {
			continue
		}
		relations = append(relations, words(group.Relation))
		more = more || group.More
		for _, person := range group.People {
			if name := nameID(person); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	approver := strings.Join(relations, " or ")
	if relations[0] == "creator" {
		approver = "The " + approver
	} else {
		approver = strings.Replace(authz.WithArticle(approver), "a", "A", 1)
	}
	text := approver + " of " + nameObject(nearest) + " can do that"
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	if more {
		text += " and others"
	}
	return text
}
