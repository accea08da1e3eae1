package authz

import (
	"context"
	"iter"
)

// Engine stores relationships and evaluates permissions. An engine may wrap another engine. The interface consists of
// smaller ones, so that code can depend on only some of them. It does not include Source, with which code follows
// changes.
//
// The errors of all methods are of the type *Error. The code is CodeInvalid for an invalid argument, for example an
// unknown type, relation or permission. It is CodeUnavailable if the store cannot be reached, and CodeDeadline or
// CodeCanceled if ctx ended. It is CodeTooLarge if the call exceeds a limit of the store, and CodeInternal for any
// other failure. If a sequence fails, its error comes last.
type Engine interface {
	Checker
	Explainer
	ResourceFinder
	SubjectFinder
	Reader
	Writer
	SchemaStore
	Scratcher

	// Ready returns nil if the store answers and has a schema.
	Ready(ctx context.Context) error

	// Close closes the engine and releases its resources.
	Close() error
}

// Checker decides checks.
type Checker interface {
	// Check decides one check. The token names the revision that was read.
	Check(ctx context.Context, check Check, at Consistency) (Decision, Token, error)

	// CheckBulk decides many checks at one revision. The results are in the order of the checks, each with a decision
	// or an error. If no check can be decided, CheckBulk returns err. results then has the error of each check, or is
	// nil.
	CheckBulk(ctx context.Context, checks []Check, at Consistency) (results []CheckResult, token Token, err error)
}

// Explainer decides a check and says why.
type Explainer interface {
	// Explain decides one check as Check does, and also returns a trace of the evaluation.
	Explain(ctx context.Context, check Check, at Consistency) (Decision, *Trace, Token, error)
}

// ResourceFinder finds the resources on which a subject has a permission.
type ResourceFinder interface {
	// LookupResources yields each resource on which the subject has the permission once, sorted by id. The function
	// pages.Cursor returns a cursor for each result. A page with this cursor starts after the result, and reads the
	// same revision. If the cursor belongs to another query, the error has CodeInvalid.
	LookupResources(ctx context.Context, query ResourceQuery, at Consistency, page Page) iter.Seq2[FoundResource, error]
}

// SubjectFinder finds the subjects that have a permission on a resource.
type SubjectFinder interface {
	// LookupSubjects yields each subject that has the permission on the resource once, as soon as it is found.
	// Conditional subjects and the wildcard come last.
	LookupSubjects(ctx context.Context, query SubjectQuery, at Consistency) iter.Seq2[FoundSubject, error]
}

// Reader reads relationships. It does not evaluate permissions.
type Reader interface {
	// Read yields the stored relationships that match the filter.
	Read(ctx context.Context, filter Filter, at Consistency, page Page) iter.Seq2[ReadItem, error]
}

// Writer writes and deletes relationships.
type Writer interface {
	// Write applies all updates. If a precondition is false, or a relationship of a Create exists, Write changes
	// nothing and returns CodeConflict with ErrPrecondition as the cause.
	Write(ctx context.Context, write Write) (Token, error)

	// DeleteAll deletes every relationship that matches the filter, in one atomic change. If a precondition is false,
	// DeleteAll deletes nothing and returns the same error as Write.
	DeleteAll(ctx context.Context, filter Filter, preconditions []Precondition, metadata map[string]any) (Token, error)
}

// SchemaStore reads and replaces the stored schema.
type SchemaStore interface {
	// Schema returns the text of the stored schema, or "" if there is none.
	Schema(ctx context.Context) (string, error)

	// DiffSchema returns the differences between the stored schema and another one.
	DiffSchema(ctx context.Context, schema string) ([]SchemaChange, error)

	// ApplySchema replaces the stored schema. It returns CodeInvalid if stored relationships use a declaration that
	// the new schema lacks, for example a relation.
	ApplySchema(ctx context.Context, schema string) error
}

// Scratcher opens temporary engines, with which callers evaluate hypothetical relationships.
type Scratcher interface {
	// Scratch returns a separate in-memory engine that has only the given relationships. If schema is empty, the
	// engine uses the stored schema. The engine is not safe for concurrent use. The caller must close it.
	Scratch(ctx context.Context, schema string, relationships []Relationship) (Engine, error)
}
