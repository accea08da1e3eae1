package replica

import (
	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/schema/v2"
	"github.com/authzed/spicedb/pkg/tuple"
)

// relationRead reads a relation in a plan for checks. It has the same result as the planner's own iterator, and
// allocates less: a check reads at most one relationship, so it builds no list of them. Other reads use the list that
// the in-memory replica returns.
type relationRead struct {
	*query.DatastoreIterator

	relation *schema.BaseRelation
}

// CheckImpl implements query.Plan.
func (l *relationRead) CheckImpl(
	ctx *query.Context, resource query.Object, subject query.ObjectAndRelation,
) (*query.Path, error) {
	r, ours := ctx.Reader.(*reader)
	if !ours || isSet(l.relation) || subject.Relation != tuple.Ellipsis {
		return l.DatastoreIterator.CheckImpl(ctx, resource, subject)
	}
	if subject.ObjectType != l.relation.Type() {
		return nil, nil //nolint:nilnil // the planner, too, returns nil if there is no path
	}
	named := subject
	if l.relation.Wildcard() {
		named.ObjectID = tuple.PublicWildcard
	}
	found, err := r.check(l.relation.DefinitionName(), resource.ObjectID, l.relation.RelationName(), named)
	if !found || err != nil {
		return nil, err
	}
	return &query.Path{Resource: resource, Relation: l.relation.RelationName(), Subject: subject}, nil
}

// IterSubjectsImpl implements query.Plan.
func (l *relationRead) IterSubjectsImpl(
	ctx *query.Context, resource query.Object, filter query.ObjectType,
) (query.PathSeq, error) {
	if l.relation.Wildcard() {
		return l.DatastoreIterator.IterSubjectsImpl(ctx, resource, filter)
	}
	subjects := query.ObjectType{Type: l.relation.Type(), Subrelation: l.relation.Subrelation()}
	return ctx.Reader.QuerySubjects(
		ctx, resource, l.relation.RelationName(), subjects, l.relation.Caveat() != "", l.relation.Expiration(),
		query.QueryPage{},
	)
}

// compile returns the iterator of an outline. It uses relationRead to read relations.
func compile(o query.Outline, keys map[query.OutlineNodeID]query.CanonicalKey) (query.Iterator, error) {
	subs := make([]query.Iterator, len(o.SubOutlines))
	for i, sub := range o.SubOutlines {
		var err error
		if subs[i], err = compile(sub, keys); err != nil {
			return nil, err
		}
	}
	made, err := query.MakeIterator(o.Type, o.Args, subs, keys[o.ID])
	if own, is := made.(*query.DatastoreIterator); is {
		return &relationRead{DatastoreIterator: own, relation: o.Args.Relation}, err
	}
	return made, err
}
