package spicedb

import (
	"context"
	"slices"
	"sync"

	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
)

// SpiceDB v1.56.0 evaluates the base of an exclusion and its subtracted parts at the same time. Then the steps of a
// check depend on the speed of each part. So for checks, orderedSchema changes the definitions that SpiceDB reads: it
// wraps the base in a union and each subtracted part in an intersection, neither of which changes a result. SpiceDB
// starts a span for each of them. In the span of a subtracted part, the tracer waits until the span of the base ends.

// Names of the spans that SpiceDB creates for exclusions, unions and intersections.
const exclusionSpan, unionSpan, intersectionSpan = "-", "+", "&"

// turns makes the subtracted parts of one exclusion wait for its base.
type turns struct {
	baseEnded chan struct{}
	once      sync.Once
}

func newTurns() *turns { return &turns{baseEnded: make(chan struct{})} }

func (t *turns) endBase() { t.once.Do(func() { close(t.baseEnded) }) }

// await waits until the base has ended. It returns early if ctx or the call ends.
func (t *turns) await(ctx, call context.Context) {
	select {
	case <-t.baseEnded:
	case <-ctx.Done():
	case <-call.Done():
	}
}

// orderedSchema returns definitions in which each part of an exclusion has its own span.
type orderedSchema struct{ datalayer.SchemaReader }

// LookupTypeDefByName implements datalayer.SchemaReader.
func (s orderedSchema) LookupTypeDefByName(
	ctx context.Context, name string,
) (datastore.RevisionedTypeDefinition, bool, error) {
	found, ok, err := s.SchemaReader.LookupTypeDefByName(ctx, name)
	if ok && err == nil {
		found.Definition = ordered(found.Definition)
	}
	return found, ok, err
}

// orderings has, by the name of each type, the last definition that ordered has changed. Several stores can have types
// with the same name.
var orderings sync.Map

type ordering struct{ from, to *core.NamespaceDefinition }

// ordered returns a definition in which the base of each exclusion is a union, and each other part is an intersection.
func ordered(definition *core.NamespaceDefinition) *core.NamespaceDefinition {
	if !slices.ContainsFunc(definition.GetRelation(), func(r *core.Relation) bool {
		return hasExclusion(r.GetUsersetRewrite())
	}) {
		return definition
	}
	known, _ := orderings.Load(definition.GetName())
	if last, ok := known.(ordering); ok && last.from == definition {
		return last.to
	}
	changed := definition.CloneVT()
	for _, relation := range changed.GetRelation() {
		order(relation.GetUsersetRewrite())
	}
	orderings.Store(definition.GetName(), ordering{definition, changed})
	return changed
}

// partsOf returns the parts of a union, intersection or exclusion.
func partsOf(rewrite *core.UsersetRewrite) []*core.SetOperation_Child {
	switch operation := rewrite.GetRewriteOperation().(type) {
	case *core.UsersetRewrite_Union:
		return operation.Union.GetChild()
	case *core.UsersetRewrite_Intersection:
		return operation.Intersection.GetChild()
	case *core.UsersetRewrite_Exclusion:
		return operation.Exclusion.GetChild()
	default:
		return nil
	}
}

func hasExclusion(rewrite *core.UsersetRewrite) bool {
	if rewrite.GetExclusion() != nil {
		return true
	}
	return slices.ContainsFunc(partsOf(rewrite), func(part *core.SetOperation_Child) bool {
		return hasExclusion(part.GetUsersetRewrite())
	})
}

// order changes an expression as the beginning of this file describes.
func order(rewrite *core.UsersetRewrite) {
	parts := partsOf(rewrite)
	for _, part := range parts {
		order(part.GetUsersetRewrite())
	}
	if rewrite.GetExclusion() == nil {
		return
	}
	for i, part := range parts {
		if i > 0 {
			parts[i] = nested(&core.UsersetRewrite{RewriteOperation: &core.UsersetRewrite_Intersection{
				Intersection: &core.SetOperation{Child: []*core.SetOperation_Child{part}},
			}})
			continue
		}
		// SpiceDB starts a span only for a union of several parts.
		nothing := &core.SetOperation_Child{ChildType: &core.SetOperation_Child_XNil{XNil: &core.SetOperation_Child_Nil{}}}
		parts[i] = nested(&core.UsersetRewrite{RewriteOperation: &core.UsersetRewrite_Union{
			Union: &core.SetOperation{Child: []*core.SetOperation_Child{part, nothing}},
		}})
	}
}

func nested(rewrite *core.UsersetRewrite) *core.SetOperation_Child {
	return &core.SetOperation_Child{ChildType: &core.SetOperation_Child_UsersetRewrite{UsersetRewrite: rewrite}}
}
