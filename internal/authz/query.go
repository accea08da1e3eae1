package authz

// Token is a ZedToken. It names a revision of the relationships and is opaque.
type Token string

// Freshness is how recent the relationships of an answer must be.
type Freshness uint8

// Default, the zero value, lets the engine choose. An engine of freshness.ReadYourWrites then reads at least every
// write that was made through this engine. Any other engine reads fully consistently.
const (
	Default Freshness = iota
	MinimizeLatency
	AtLeastAsFresh
	FullyConsistent
	ExactSnapshot
)

// Consistency is a Freshness with the token that AtLeastAsFresh and ExactSnapshot need.
type Consistency struct {
	Freshness Freshness
	Token     Token
}

// AtSnapshot reads exactly the revision of a token.
func AtSnapshot(t Token) Consistency { return Consistency{Freshness: ExactSnapshot, Token: t} }

// AsFreshAs reads the revision of a token, or a newer one.
func AsFreshAs(t Token) Consistency { return Consistency{Freshness: AtLeastAsFresh, Token: t} }

// Fully reads the newest revision.
func Fully() Consistency { return Consistency{Freshness: FullyConsistent} }

// Filter selects the relationships that match every field that is set. Type is required unless SubjectType is set.
type Filter struct {
	Type     Type
	ID       ID
	Relation Relation

	SubjectType     Type
	SubjectID       ID
	SubjectWildcard bool
	SubjectRelation Relation

	// SubjectPlain selects only subjects without a relation. Otherwise an empty SubjectRelation matches subjects with
	// and without a relation.
	SubjectPlain bool
}

// Exactly returns a filter for one relationship.
func Exactly(r Relationship) Filter {
	return Filter{
		Type: r.Resource.Type, ID: r.Resource.ID, Relation: r.Relation,
		SubjectType: r.Subject.Type, SubjectID: r.Subject.ID, SubjectWildcard: r.Subject.Wildcard,
		SubjectRelation: r.Subject.Relation,
		SubjectPlain:    r.Subject.Relation == "",
	}
}

// Precondition must hold in the transaction of a write. It holds if a relationship matches the filter or, with Absent,
// if none matches. If it does not hold, nothing is written.
type Precondition struct {
	Filter Filter
	Absent bool
}

// Action is the kind of an Update.
type Action uint8

// Create fails if the relationship exists. Touch creates or replaces it. Delete deletes it if it exists.
const (
	Create Action = iota
	Touch
	Delete
)

// Update changes one relationship.
type Update struct {
	Action       Action
	Relationship Relationship
}

// MaxUpdates is the largest number of updates in one write. It is SpiceDB's default limit.
const MaxUpdates = 1000

// Write is a set of updates that are applied all together or not at all.
type Write struct {
	Updates       []Update
	Preconditions []Precondition

	// Metadata is stored with the transaction. Watch delivers it with the change.
	Metadata map[string]any
}

// Page selects a part of a list. A zero Limit means all items. An empty Cursor means the start.
type Page struct {
	Limit  int
	Cursor string
}

// ReadItem is a relationship of Read, with the cursor that continues after it and the revision that was read.
type ReadItem struct {
	Relationship Relationship
	Cursor       string
	Token        Token
}

// ResourceQuery looks up the resources of a type on which a subject has a permission.
type ResourceQuery struct {
	Subject    Subject
	Permission Permission
	Type       Type
	Context    map[string]any
}

// FoundResource is a result of a ResourceQuery. If only this resource cannot be decided, for example because a caveat
// fails, Err has the reason and the decision is Denied.
type FoundResource struct {
	ID       ID
	Decision Decision
	Err      error
	Token    Token
}

// SubjectQuery looks up the subjects of a type that have a permission on a resource.
type SubjectQuery struct {
	Resource        Object
	Permission      Permission
	Type            Type
	SubjectRelation Relation
	Context         map[string]any
}

// FoundSubject is a result of a SubjectQuery. For a wildcard, Excluded lists the ids that it does not cover. An
// excluded subject that has the permission under a condition is a separate result. If only this subject cannot be
// decided, for example because a caveat fails, Err has the reason and the decision is Denied.
type FoundSubject struct {
	Subject  Subject
	Decision Decision
	Err      error
	Excluded []ID
	Token    Token
}

// SchemaChange is a difference between the stored schema and another one.
type SchemaChange struct {
	// Text describes the change for people.
	Text string

	// Breaking reports that the change removes a part that stored relationships or callers may use.
	Breaking bool
}
