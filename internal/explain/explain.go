// Package explain tells why an engine answered a check as it did: through which relationships somebody may do something,
// or what they lack, which operations would give it to them, and whom to ask. Nothing of it is guessed: every chain and
// every way to a permission was tried out on SpiceDB, in a scratch with what the answer rests on.
package explain

import (
	"context"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// Explainer explains the answers of an engine.
type Explainer struct {
	engine      authz.Engine
	definitions func(context.Context) ([]authz.Definition, error)
	operations  *operation.Service
}

// New returns an Explainer. operations performs the product operations on the engine; it is nil when the schema lacks the
// product's definitions, and then explanations name relationships and no operations.
func New(engine authz.Engine, definitions func(context.Context) ([]authz.Definition, error), operations *operation.Service) *Explainer {
	return &Explainer{engine: engine, definitions: definitions, operations: operations}
}

// Question is a check to explain, and to whom.
type Question struct {
	Check       authz.Check
	Consistency authz.Consistency

	// Actor is the person who is to read the explanation; it may be empty. With All and no actor, everything is told;
	// without either, what the subject of the check may see, and nobody's name.
	Actor authz.ID
	All   bool
}

// Explanation is the answer to a check with its reason.
type Explanation struct {
	Decision authz.Decision
	Token    authz.Token

	// Text says it in words.
	Text string

	// Path is the chain of relationships that an allowed or conditional answer rests on, from the resource to the subject.
	// The answer needs each of them; marks such as an account's role set are left out.
	Path []Step

	// Failed are, of a denied answer, the relationships that it would be an allowed one by, if what they are there on condition
	// of held.
	Failed []Step

	// Missing are the ways in which a denied answer would become an allowed one, the nearest first.
	Missing []Way

	// Unstored reports that nothing is stored about the resource: no relationship has it as its resource. It is told with
	// Question.All without an actor alone; to anybody else, the resource is then one that they may not see.
	Unstored bool

	// Withheld reports that parts were left out, which are about what the reader may not see.
	Withheld bool

	// Incomplete reports that a limit was reached: not everything around was looked at, or not every combination tried.
	Incomplete bool

	// Trace is the engine's own account; it is there for Question.All without an actor alone.
	Trace *authz.Trace
}

// Step is one relationship that an answer rests on.
type Step struct {
	Relationship authz.Relationship
	Text         string

	// Expression is that of its caveat; it is there for Question.All without an actor alone.
	Expression string
}

// Way is what would make a denied answer an allowed one.
type Way struct {
	Text string

	// Relationships are those that the subject would come to, and Without those that would have to go.
	Relationships []authz.Relationship
	Without       []authz.Relationship

	// Operations are to be performed in this order; none if no operation leads there.
	Operations []Operation

	// Requires is the feature that the subscription lacks and that the first operation turns on; it may be empty.
	Requires authz.Feature
}

// Operation is a call of the API that has to be made, and who may.
type Operation struct {
	Text         string
	Method, Path string

	// Body is nil where there is none and, with BodyWithheld, where it names people that the reader may not know about.
	Body         map[string]any
	BodyWithheld bool

	// Needs are the permissions, on the object On, that the approver needs. An operation of the Backend
	// needs a key with the scope provision instead.
	Needs   []authz.Permission
	On      authz.Object
	Backend bool

	Performers []Performers
}

// Performers are people who may perform an operation, and in which relation they stand.
type Performers struct {
	Resource authz.Object
	Relation authz.Relation

	// People are some of them, if the reader may know about them. More reports that there are further ones.
	People []authz.ID
	More   bool
}

// Explain answers a check and explains it. The error has code CodeNotFound if an actor asks about somebody else's
// permission on an object that the actor may not see, or that does not exist. Who asks without an actor, or about
// themselves, and the subject may not see the object, is told no more than that, just as if it did not exist.
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
		schema: describe(definitions), view: newView(e, question, token, definitions),
	}
	answer := Explanation{Decision: decision, Token: token}
	if seen, err := i.isSeen(ctx); err != nil || !seen {
		if err == nil && question.Actor != "" && i.view.reader != question.Check.Subject {
			err = authz.Errorf(authz.CodeNotFound, "there is no %s, or the actor may not see it", question.Check.Resource)
		}
		answer.Text = fmt.Sprintf("%s; there is no %s, or %s may not see it", i.verdict(), nameObject(i.check.Resource), nameSubject(i.check.Subject))
		return answer, err
	}
	return answer, i.explain(ctx, &answer)
}

// isSeen reports whether the reader may know that there is such a resource. Who may do something to an object, knows it.
func (i *inquiry) isSeen(ctx context.Context) (bool, error) {
	if i.decision.State != authz.Denied && i.view.reader == i.check.Subject {
		return true, nil
	}
	return i.view.sees(ctx, i.check.Resource)
}

func (i *inquiry) explain(ctx context.Context, answer *Explanation) error {
	if err := i.completeTrace(ctx); err != nil {
		return err
	}
	if i.view.all {
		answer.Trace = i.trace
	}
	if i.decision.State != authz.Denied {
		chain, err := i.chain(ctx)
		if err != nil {
			return err
		}
		return i.tellPath(ctx, chain, answer)
	}
	ways, err := i.ways(ctx)
	if err != nil {
		return err
	}
	if err := i.tellFailed(ctx, answer); err != nil {
		return err
	}
	return i.tellMissing(ctx, ways, answer)
}

// inquiry is the explanation of one answer, at the state that the answer rests on.
type inquiry struct {
	*Explainer
	check    authz.Check
	decision authz.Decision
	trace    *authz.Trace
	token    authz.Token
	schema   map[authz.Type]authz.Definition
	view     *view

	withheld   bool // something was left out that the reader may not know of
	incomplete bool // a limit was reached

	neighbours map[neighbourhood][]authz.Relationship
	powers     map[power]bool
	holders    map[operation.Holder][]authz.Subject
}

func (i *inquiry) at() authz.Consistency { return authz.AtSnapshot(i.token) }

func describe(definitions []authz.Definition) map[authz.Type]authz.Definition {
	byType := make(map[authz.Type]authz.Definition, len(definitions))
	for _, definition := range definitions {
		byType[definition.Type] = definition
	}
	return byType
}
