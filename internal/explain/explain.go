// Package explain explains the decision about a check. If the check is allowed, it finds the relationships that allow
// it: the path. If the check is denied, it finds changes that would allow it, and the people who may make them: the
// suggestions. It verifies each path and each suggestion: it evaluates the check in a temporary in-memory engine,
// which has only the relationships that the decision may depend on.
package explain

import (
	"context"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// Engine has the methods of authz.Engine that explanations need.
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

// New returns an Explainer. The function "definitions" must return the definitions of the engine's schema. The
// service "operations" performs the product's operations on the engine. If it is nil, explanations suggest changes of
// relationships instead of operations.
func New(
	engine Engine, definitions func(context.Context) ([]authz.Definition, error), operations *operation.Service,
) *Explainer {
	return &Explainer{engine: engine, definitions: definitions, operations: operations}
}

// Question is a check to explain, and the reader of the explanation.
type Question struct {
	Check       authz.Check
	Consistency authz.Consistency

	// Actor is the person or service account that reads the explanation, or empty. If it is empty and All is set, the
	// explanation shows everything. If it is empty and All is not set, the explanation has only the decision.
	Actor authz.Actor
	All   bool
}

// Explanation is a decision with its reason.
type Explanation struct {
	Decision authz.Decision
	Token    authz.Token

	// Text is the decision and its reason in words.
	Text string

	// Path has the relationships that an allowed or conditional decision depends on, from the resource to the
	// subject. Each of them is necessary. Relationships that store the role set of an object are left out.
	Path []Step

	// Failed has relationships on which the check depends, but whose caveats are false for the given context. With
	// another context, the check may be allowed.
	Failed []Step

	// Suggestions are changes that would make a denied check allowed. The smallest one comes first: see
	// verifyCombinations.
	Suggestions []Suggestion

	// Unstored reports that no stored relationship has the resource of the check as its resource. It is set only for
	// a Question with All and without an Actor, since other readers must not be able to distinguish such a resource
	// from a hidden one.
	Unstored bool

	// Omitted reports that relationships, suggestions or people were left out, because the reader may not see them.
	Omitted bool

	// Incomplete reports that a limit was reached, so that some relationships were not read, or some changes were not
	// tried.
	Incomplete bool

	// Trace is SpiceDB's debug trace of the decision. It is set only for a Question with All and without an Actor.
	Trace *authz.Trace
}

// Step is one relationship that the decision depends on.
type Step struct {
	Relationship authz.Relationship
	Text         string

	// Expression is the expression of the relationship's caveat. It is set only for a Question with All and without
	// an Actor.
	Expression string
}

// Suggestion is a change that would make a denied check allowed.
type Suggestion struct {
	Text string

	// Relationships has the relationships that the change adds, and Without those that it deletes.
	Relationships []authz.Relationship
	Without       []authz.Relationship

	// Operations make the change if they are performed in this order. The list is empty if no operation makes the
	// change.
	Operations []Operation

	// Requires is a feature that is off for the subscription, and that the change needs. The first operation turns it
	// on. It is empty if the change needs no such feature.
	Requires authz.Feature
}

// Operation is an operation of a suggestion, with the people who may perform it.
type Operation struct {
	Text string

	// Action is the operation with its arguments. If NamesHiddenPeople is set, the arguments name people who are
	// hidden from the reader, so the answer must leave the arguments out.
	Action            operation.Action
	NamesHiddenPeople bool

	// Needs are the permissions that an approver needs on the object in the field On. If Backend is set, the
	// operation instead needs a key with the scope provision.
	Needs   []authz.Permission
	On      authz.Object
	Backend bool

	Approvers []Approvers
}

// Approvers are people who may perform an operation because they have the same relation to an object.
type Approvers struct {
	Resource authz.Object
	Relation authz.Relation

	// People are at most maxPeople of these approvers. If the reader may not know them, it is empty. More reports
	// that there are others.
	People []authz.ID
	More   bool
}

// Explain decides a check and explains the decision. For a Question without All and without an Actor, it returns only
// the decision: a reason would name relations, which only a key with the scope inspect may read. For an Actor, it
// treats a resource that the Actor may not see like one that does not exist. If the Actor asks about another subject,
// the error then has CodeNotFound. If the Actor asks about itself, the result is a denial without a reason.
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

// mayReaderSeeResource reports whether the reader may know that the resource exists. If the check is not denied, its
// subject may always know this.
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

// inquiry has the state of one call of Explain. All reads of the call are at the revision of the decision. An inquiry
// caches their results.
type inquiry struct {
	*Explainer
	check    authz.Check
	decision authz.Decision
	trace    *authz.Trace
	token    authz.Token
	schema   map[authz.Type]authz.Definition
	view     *visibility.View // decides what the reader may see

	omitted    bool // something was left out because it is hidden from the reader
	incomplete bool // see Explanation.Incomplete

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
