// Package explain explains a decision: it finds the relationships that allow a check, or the changes that would allow
// it and the people who may make them. It proves each path and each suggestion: it evaluates the check in a scratch
// engine, which holds only the relationships that the decision may depend on.
package explain

import (
	"context"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// Engine is the part of authz.Engine that explanations need.
type Engine interface {
	authz.Checker
	authz.Explainer
	authz.Reader
	authz.Scratcher
}

// Explainer explains the decisions of an engine. It is safe for concurrent use.
type Explainer struct {
	engine      Engine
	definitions func(context.Context) ([]authz.Definition, error)
	operations  *operation.Service
}

// New returns an Explainer. definitions returns the definitions of the engine's schema. operations performs the
// product's operations on the engine. If operations is nil, explanations suggest relationships instead.
func New(
	engine Engine, definitions func(context.Context) ([]authz.Definition, error), operations *operation.Service,
) *Explainer {
	return &Explainer{engine: engine, definitions: definitions, operations: operations}
}

// Question is a check to explain, and the reader of the explanation.
type Question struct {
	Check       authz.Check
	Consistency authz.Consistency

	// Actor is the person or service account that reads the explanation, or empty. Without an actor, All decides: if it
	// is set, the explanation shows everything. Otherwise it shows only the decision.
	Actor authz.Actor
	All   bool
}

// Explanation is a decision with its reason.
type Explanation struct {
	Decision authz.Decision
	Token    authz.Token

	// Text is the reason in words.
	Text string

	// Path holds the relationships that an allowed or conditional answer depends on, from the resource to the subject.
	// The answer needs each of them. Flags, such as an account's role set, are left out.
	Path []Step

	// Failed holds relationships whose conditions do not hold. If they held, the denied check would be allowed.
	Failed []Step

	// Suggestions are changes that would make a denied check allowed. The smallest change comes first.
	Suggestions []Suggestion

	// Unstored reports that the resource is not stored: no relationship has it as resource. It is set only with
	// Question.All and without an actor, since other readers must not distinguish such a resource from a hidden one.
	Unstored bool

	// Omitted reports that parts were left out because the reader may not see them.
	Omitted bool

	// Incomplete reports that a limit was reached: some relationships were not read, or some combinations not tried.
	Incomplete bool

	// Trace is SpiceDB's debug trace. It is set only with Question.All and without an actor.
	Trace *authz.Trace
}

// Step is one relationship that an answer depends on.
type Step struct {
	Relationship authz.Relationship
	Text         string

	// Expression is the expression of the relationship's caveat. It is set only with Question.All and without an actor.
	Expression string
}

// Suggestion is a change that would make a denied check allowed.
type Suggestion struct {
	Text string

	// Relationships would be added, and Without deleted.
	Relationships []authz.Relationship
	Without       []authz.Relationship

	// Operations make the change if they are performed in this order. It is empty if no operation makes it.
	Operations []Operation

	// Requires is the feature that the subscription lacks, or empty. The first operation turns it on.
	Requires authz.Feature
}

// Operation is an action of a suggestion, with the people who may perform it.
type Operation struct {
	Text string

	// Action is the operation with its arguments. If NamesHiddenPeople is set, the arguments contain people who are
	// hidden from the reader; the answer must leave the arguments out.
	Action            operation.Action
	NamesHiddenPeople bool

	// Needs are the permissions on the object On that an approver needs. If Backend is set, the operation instead needs
	// a key with the scope provision.
	Needs   []authz.Permission
	On      authz.Object
	Backend bool

	Approvers []Approvers
}

// Approvers are people who may perform an operation because they have a relation to a resource.
type Approvers struct {
	Resource authz.Object
	Relation authz.Relation

	// People are at most maxPeople of the approvers. It is empty if the reader may not know them. More reports that
	// there are others.
	People []authz.ID
	More   bool
}

// Explain decides a check and explains the decision. Without Question.All and without an actor, it does not explain the
// decision: the explanation would name relations, which only a key with the scope inspect may read. Its answer is the
// same for a resource that does not exist and for one that the reader may not see. If an actor asks about another
// person, this answer is an error with CodeNotFound, otherwise a denial without a reason.
func (e *Explainer) Explain(ctx context.Context, question Question) (Explanation, error) {
	definitions, err := e.definitions(ctx)
	if err != nil {
		return Explanation{}, err
	}
	decision, trace, token, err := e.engine.Explain(ctx, question.Check, question.Consistency)
	if err != nil {
		return Explanation{}, err
	}
	i := &inquiry{
		Explainer: e, check: question.Check, decision: decision, trace: trace, token: token,
		schema: describe(definitions), view: e.viewOf(question, token, definitions),
	}
	answer := Explanation{Decision: decision, Token: token}
	if question.Actor == "" && !question.All {
		answer.Text = i.verdict() + "; reading the reason needs the header Sluice-Actor, or a key with the scope inspect"
		answer.Omitted = true
		return answer, nil
	}
	if seen, err := i.mayReaderSeeResource(ctx); err != nil || !seen {
		if err == nil && question.Actor != "" && i.view.Reader().Subject != question.Check.Subject {
			err = visibility.NotFound(question.Check.Resource)
		}
		resource, subject := nameObject(i.check.Resource), nameSubject(i.check.Subject)
		answer.Text = fmt.Sprintf("%s; there is no %s, or %s may not see it", i.verdict(), resource, subject)
		return answer, err
	}
	return answer, i.explain(ctx, &answer)
}

// mayReaderSeeResource reports whether the reader may know that the resource exists. A subject with a permission on the
// resource may always know it.
func (i *inquiry) mayReaderSeeResource(ctx context.Context) (bool, error) {
	if i.decision.State != authz.Denied && i.view.Reader().Subject == i.check.Subject {
		return true, nil
	}
	return i.view.MaySee(ctx, i.check.Resource)
}

func (i *inquiry) explain(ctx context.Context, answer *Explanation) error {
	if err := i.replaceCachedTrace(ctx); err != nil {
		return err
	}
	if i.view.Reader().All {
		answer.Trace = i.trace
	}
	if i.decision.State != authz.Denied {
		path, err := i.findPath(ctx)
		if err != nil {
			return err
		}
		return i.addPath(ctx, path, answer)
	}
	suggestions, err := i.suggestions(ctx)
	if err != nil {
		return err
	}
	if err := i.addFailedConditions(ctx, answer); err != nil {
		return err
	}
	return i.addSuggestions(ctx, suggestions, answer)
}

// inquiry is one call of Explain. It reads at the revision of the decision, and stores the results of its reads.
type inquiry struct {
	*Explainer
	check    authz.Check
	decision authz.Decision
	trace    *authz.Trace
	token    authz.Token
	schema   map[authz.Type]authz.Definition
	view     *visibility.View // what the reader may see

	omitted    bool // parts are hidden from the reader
	incomplete bool // a limit was reached

	neighborhoods map[neighborhoodKey][]authz.Relationship
	sufficient    map[relationPermission]bool
	holders       map[operation.Holder][]authz.Subject
}

func (i *inquiry) at() authz.Consistency { return authz.AtSnapshot(i.token) }

func describe(definitions []authz.Definition) map[authz.Type]authz.Definition {
	byType := make(map[authz.Type]authz.Definition, len(definitions))
	for _, definition := range definitions {
		byType[definition.Type] = definition
	}
	return byType
}
