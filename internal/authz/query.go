package authz

// Token is a ZedToken of SpiceDB: an opaque text that names a revision of the stored relationships.
type Token string

// Freshness says how recent the revision that a call reads must be.
type Freshness uint8

// Default is the zero value. With it, an engine of freshness.ReadYourWrites includes every write that was made
// through this engine, and any other engine reads the newest revision. The other values are those of SpiceDB's API.
const (
	Default Freshness = iota
	MinimizeLatency
	AtLeastAsFresh
	FullyConsistent
	ExactSnapshot
)

// Consistency selects the revision that a call reads. Token is set only for AtLeastAsFresh and ExactSnapshot.
type Consistency struct {
	Freshness Freshness
	Token     Token
}

// AtSnapshot returns the Consistency that reads exactly the revision of a token.
func AtSnapshot(t Token) Consistency { return Consistency{Freshness: ExactSnapshot, Token: t} }

// AsFreshAs returns the Consistency that reads the revision of a token or a newer one.
func AsFreshAs(t Token) Consistency { return Consistency{Freshness: AtLeastAsFresh, Token: t} }

// Fully returns the Consistency that reads the newest revision.
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

// Exactly returns a filter that matches one relationship only. It ignores the caveat and the expiration.
func Exactly(r Relationship) Filter {
	return Filter{
		Type: r.Resource.Type, ID: r.Resource.ID, Relation: r.Relation,
		SubjectType: r.Subject.Type, SubjectID: r.Subject.ID, SubjectWildcard: r.Subject.Wildcard,
		SubjectRelation: r.Subject.Relation,
		SubjectPlain:    r.Subject.Relation == "",
	}
}

// Precondition is a fact that the store verifies in the transaction of a write. It is true if at least one
// relationship matches the filter or, with Absent, if none matches. If it is false, the store rejects the write.
type Precondition struct {
	Filter Filter
	Absent bool
}

// Action says how an Update changes a relationship.
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

// MaxUpdates is the maximum number of updates in one write. It is SpiceDB's default limit.
const MaxUpdates = 1000

// Write is a set of updates that are applied all together or not at all.
type Write struct {
	Updates       []Update
	Preconditions []Precondition

	// Metadata is stored with the transaction. Watch delivers it with the changes of the transaction.
	Metadata map[string]any
}

// Page selects the items of a list that a call returns: at most Limit items after the Cursor. A zero Limit means no
// limit. An empty Cursor means the start of the list.
type Page struct {
	Limit  int
	Cursor string

	// NoCursors allows items without a cursor and in any order. It is for callers who request no further page.
	NoCursors bool
}

// ReadItem is a relationship that Read found. A page with Cursor starts after it. Token names the revision that was
// read.
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

// FoundResource is a result of a ResourceQuery. If the decision about one resource fails, for example because of a
// caveat, its result has Denied and Err, and the query continues.
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

// FoundSubject is a result of a SubjectQuery. For a wildcard, Excluded lists the ids that it does not cover. If an
// excluded subject has the permission under a condition, it is also a result of its own. If the decision about one
// subject fails, for example because of a caveat, its result has Denied and Err, and the query continues.
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

	// Breaking reports that the change removes a declaration that stored relationships or callers may use, for
	// example a relation or a permission.
	Breaking bool
}
