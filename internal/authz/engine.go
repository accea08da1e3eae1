package authz

import (
	"context"
	"iter"
)

// Token is a ZedToken: an opaque name for a state of the relationships.
type Token string

// Freshness says how recent the relationships must be that an answer rests on.
type Freshness uint8

// The freshness levels of the API, and the zero value, which leaves the choice to the engine in front: Fresh gives
// it the meaning "at least every write made through it", an engine that does not know writes reads fully consistently.
const (
	Default Freshness = iota
	MinimizeLatency
	AtLeastAsFresh
	FullyConsistent
	ExactSnapshot
)

// Consistency is a Freshness with the token that AtLeastAsFresh and ExactSnapshot refer to.
type Consistency struct {
	Freshness Freshness
	Token     Token
}

// AtSnapshot asks for the state that a token names, no newer and no older.
func AtSnapshot(t Token) Consistency { return Consistency{Freshness: ExactSnapshot, Token: t} }

// AsFreshAs asks for the state that a token names or a newer one.
func AsFreshAs(t Token) Consistency { return Consistency{Freshness: AtLeastAsFresh, Token: t} }

// Fully asks for the newest state.
func Fully() Consistency { return Consistency{Freshness: FullyConsistent} }

// Filter selects relationships: those that agree with every field that is set. Type is required, unless
// SubjectType is set.
type Filter struct {
	Type     Type
	ID       ID
	Relation Relation

	SubjectType     Type
	SubjectID       ID
	SubjectWildcard bool
	SubjectRelation Relation

	// SubjectPlain selects only subjects without a relation; with an empty SubjectRelation alone, both kinds match.
	SubjectPlain bool
}

// Exactly is the filter that selects one relationship.
func Exactly(r Relationship) Filter {
	return Filter{
		Type: r.Resource.Type, ID: r.Resource.ID, Relation: r.Relation,
		SubjectType: r.Subject.Type, SubjectID: r.Subject.ID, SubjectWildcard: r.Subject.Wildcard,
		SubjectRelation: r.Subject.Relation,
		SubjectPlain:    r.Subject.Relation == "",
	}
}

// Precondition must hold at the moment of a write, or nothing is written: some relationship matches the filter, or
// with Absent none does.
type Precondition struct {
	Filter Filter
	Absent bool
}

// Action is what an Update does.
type Action uint8

// Create fails if the relationship exists; Touch writes it in any case; Delete removes it if it is there.
const (
	Create Action = iota
	Touch
	Delete
)

// Update is one change to one relationship.
type Update struct {
	Action       Action
	Relationship Relationship
}

// MaxUpdates is how many updates one write may hold: SpiceDB's default limit.
const MaxUpdates = 1000

// Write is a set of updates that happens as a whole or not at all.
type Write struct {
	Updates       []Update
	Preconditions []Precondition

	// Metadata is kept by SpiceDB with the transaction and comes back through Watch.
	Metadata map[string]any
}

// Page asks for a part of a long list. A zero Limit means all; an empty Cursor means from the start.
type Page struct {
	Limit  int
	Cursor string
}

// ReadItem is one relationship of a Read, the cursor that continues after it, and the state it was read at.
type ReadItem struct {
	Relationship Relationship
	Cursor       string
	Token        Token
}

// ResourceQuery asks which resources of a type a subject has a permission on.
type ResourceQuery struct {
	Subject    Subject
	Permission Permission
	Type       Type
	Context    map[string]any
}

// FoundResource is one answer to a ResourceQuery. If the resource alone cannot be decided, as a caveat fails, Err says
// why and the decision is Denied.
type FoundResource struct {
	ID       ID
	Decision Decision
	Err      error
	Token    Token

	cursors *Cursors // of the look-up that found it; nil if it is not on a page
}

// Cursor is where the page behind the resource begins. It is made when it is asked for: of most resources it never is.
func (f FoundResource) Cursor() string {
	if f.cursors == nil {
		return ""
	}
	return f.cursors.New(string(f.Token) + " " + string(f.ID))
}

// SubjectQuery asks which subjects of a type have a permission on a resource.
type SubjectQuery struct {
	Resource        Object
	Permission      Permission
	Type            Type
	SubjectRelation Relation
	Context         map[string]any
}

// FoundSubject is one answer to a SubjectQuery. For a wildcard, Excluded are the ids that it does not cover; if such a
// subject is allowed under a condition, it is an answer of its own as well. If the subject alone cannot be decided, as
// a caveat fails, Err says why and the decision is Denied.
type FoundSubject struct {
	Subject  Subject
	Decision Decision
	Err      error
	Excluded []ID
	Token    Token
}

// SchemaChange is one difference between the stored schema and another one.
type SchemaChange struct {
	// Text says what would change, for people.
	Text string

	// Breaking reports that the change removes something that stored relationships or callers may rest on.
	Breaking bool
}

// Engine stores relationships and evaluates permissions. Engines can stand in front of one another.
//
// All methods return an *Error: CodeInvalid for a type, relation or permission that the schema does not have or an
// argument that it refuses, CodeUnavailable when the store cannot be reached, CodeDeadline and CodeCanceled when ctx
// ended, CodeTooLarge above a limit of the store, and CodeInternal otherwise. A sequence yields its error last.
type Engine interface {
	// Check decides one question. The token names the state that the answer rests on.
	Check(ctx context.Context, check Check, at Consistency) (Decision, Token, error)

	// Explain decides one question as Check does, and tells how the answer came about.
	Explain(ctx context.Context, check Check, at Consistency) (Decision, *Trace, Token, error)

	// Scratch returns an engine of its own, in memory, with a schema, the stored one if it is empty, and exactly these
	// relationships, to find out what follows from them. It is for one user at a time, and whoever asked for it closes it.
	Scratch(ctx context.Context, schema string, relationships []Relationship) (Engine, error)

	// CheckBulk decides many questions at one state, with answers in the order of the questions. An error of one question
	// is in its result; err is set when there are no results at all.
	CheckBulk(ctx context.Context, checks []Check, at Consistency) (results []CheckResult, token Token, err error)

	// LookupResources yields what the subject has the permission on, each resource once, in the order of their ids. A
	// cursor continues behind its resource at the state that it was given at; one of another query is refused with
	// CodeInvalid.
	LookupResources(ctx context.Context, query ResourceQuery, at Consistency, page Page) iter.Seq2[FoundResource, error]

	// LookupSubjects yields who has the permission on the resource, each subject once, as soon as it is found; what
	// depends on context and the wildcard come last.
	LookupSubjects(ctx context.Context, query SubjectQuery, at Consistency) iter.Seq2[FoundSubject, error]

	// Read yields the stored relationships that match, without evaluating permissions.
	Read(ctx context.Context, filter Filter, at Consistency, page Page) iter.Seq2[ReadItem, error]

	// Write applies the updates if all preconditions hold. Otherwise, or if a relationship to create exists, the error is
	// CodeConflict with ErrPrecondition as its cause, and nothing is written.
	Write(ctx context.Context, write Write) (Token, error)

	// DeleteAll removes every relationship that matches, however many, as one atomic change, if all preconditions hold.
	DeleteAll(ctx context.Context, filter Filter, preconditions []Precondition, metadata map[string]any) (Token, error)

	// Schema returns the stored schema's text; an empty one if there is none.
	Schema(ctx context.Context) (string, error)

	// DiffSchema tells what applying the schema would change.
	DiffSchema(ctx context.Context, schema string) ([]SchemaChange, error)

	// ApplySchema replaces the stored schema. SpiceDB refuses to remove what relationships still use: CodeInvalid.
	ApplySchema(ctx context.Context, schema string) error

	// Ready returns nil when the store answers and holds a schema.
	Ready(ctx context.Context) error

	// Close ends the engine and frees what it holds.
	Close() error
}
