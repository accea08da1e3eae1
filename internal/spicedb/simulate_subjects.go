package spicedb

import (
	"context"
	"slices"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/datastore/queryshape"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// chunk is how many objects SpiceDB evaluates in one step.
	chunk = 100

	// Cost of subjects: a subject in a list costs 1, and a subject in a set costs setCost. Each time SpiceDB copies the
	// exceptions of a wildcard, excludedPerCost of them cost 1.
	setCost, excludedPerCost = 4, 6
)

// subjectSimulation counts the subjects that SpiceDB would keep in memory in a look-up of subjects, before SpiceDB
// evaluates it. SpiceDB v1.56.0 lists a subject once for each path to it, until a permission merges the subjects of
// its parts. So if groups contain each other in two ways, the list doubles at each step. SpiceDB reads nothing while
// the list grows, so a failing read cannot end the evaluation. The simulation reads each relationship once.
type subjectSimulation struct {
	reader  datalayer.RevisionedReader
	schema  datalayer.SchemaReader
	subject tuple.RelationReference
	most    limits

	together *allowance // shared with other look-ups; nil means no limit

	definitions map[string]map[string]*core.Relation
	stored      map[storedKey]*storedSubjects
	named       int64 // number of subjects in the relationships read so far, repeated ones included

	steps, rows, cost int64
}

type storedKey struct{ typ, relation, id string }

// storedSubjects are the subjects of one object and relation. caveat says which of their relationships have a caveat.
type storedSubjects struct {
	all    []tuple.ObjectAndRelation
	caveat []bool
}

// subjectCount is the number of subjects that SpiceDB keeps in memory for one object. Repeated subjects count each
// time.
type subjectCount struct {
	subjects, wildcards, excluded int64

	// conditional is set if subjects have conditions. When a subject is repeated, SpiceDB joins its conditions, so
	// they grow.
	conditional bool
}

func (c subjectCount) total() int64 { return c.subjects + c.wildcards + c.excluded }

func (c subjectCount) plus(other subjectCount) subjectCount {
	return subjectCount{
		c.subjects + other.subjects, c.wildcards + other.wildcards, c.excluded + other.excluded,
		c.conditional || other.conditional,
	}
}

// counts has the subjectCount of each object of a step, by the id of the object.
type counts map[string]subjectCount

func (c counts) add(id string, n subjectCount) { c[id] = c[id].plus(n) }

// simulateSubjects returns an error if SpiceDB would keep too many subjects in memory for the answer, or take too
// many steps. It subtracts the cost from the allowance together.
func simulateSubjects(
	ctx context.Context, reader datalayer.RevisionedReader, request *v1.LookupSubjectsRequest, most limits,
	together *allowance,
) error {
	schema, err := reader.ReadSchema(ctx)
	if err != nil {
		return err
	}
	relation := request.GetOptionalSubjectRelation()
	if relation == "" {
		relation = tuple.Ellipsis
	}
	s := &subjectSimulation{
		reader: reader, schema: schema, most: most, together: together,
		subject:     tuple.RelationReference{ObjectType: request.GetSubjectObjectType(), Relation: relation},
		definitions: make(map[string]map[string]*core.Relation),
		stored:      make(map[storedKey]*storedSubjects),
	}
	resource := request.GetResource()
	_, err = s.step(ctx, resource.GetObjectType(), request.GetPermission(), []string{resource.GetObjectId()}, 1)
	return err
}

func tooManySteps() error { return status.Error(codes.ResourceExhausted, boundMessage) }

// spend counts the cost of subjects that SpiceDB keeps in memory.
func (s *subjectSimulation) spend(n int64) error {
	if s.cost += n; s.cost > s.most.found {
		return tooManySteps()
	}
	return s.together.spend(n)
}

// step counts the subjects that have a permission or relation on objects.
func (s *subjectSimulation) step(
	ctx context.Context, typ, name string, ids []string, depth int,
) (counts, error) {
	relation, err := s.relation(ctx, typ, name)
	if err != nil || relation == nil {
		return nil, err
	}
	if s.steps++; s.steps > s.most.steps {
		return nil, tooManySteps()
	}
	if depth > maxDepth {
		return nil, status.Error(codes.ResourceExhausted, depthMessage)
	}
	var found counts
	if rewrite := relation.GetUsersetRewrite(); rewrite != nil {
		found, err = s.rewrite(ctx, typ, rewrite, ids, depth)
	} else {
		found, err = s.follow(ctx, typ, name, "", ids, depth)
	}
	if err == nil && typ == s.subject.ObjectType && name == s.subject.Relation {
		s.named += int64(len(ids))
		for _, id := range ids {
			found.add(id, subjectCount{subjects: 1})
		}
	}
	return found, err
}

// follow counts the subjects to which a relation of objects leads. For an arrow, it counts the subjects of a permission
// or relation on the objects to which the relation leads.
func (s *subjectSimulation) follow(
	ctx context.Context, typ, relation, computed string, ids []string, depth int,
) (counts, error) {
	if err := s.read(ctx, typ, relation, ids); err != nil {
		return nil, err
	}
	next := func(subject tuple.ObjectAndRelation) (tuple.RelationReference, bool) {
		if computed != "" {
			subject.Relation = computed
		}
		return subject.RelationReference(), subject.Relation != tuple.Ellipsis
	}
	found := make(counts, len(ids))
	following := make(map[tuple.RelationReference]map[string]bool)
	for _, id := range ids {
		stored := s.stored[storedKey{typ, relation, id}]
		if s.rows += int64(len(stored.all)); s.rows > s.most.rows {
			return nil, tooManySteps()
		}
		if err := s.together.spend(int64(len(stored.all))); err != nil {
			return nil, err
		}
		for i, subject := range stored.all {
			if computed == "" && subject.RelationReference() == s.subject {
				one := subjectCount{subjects: 1, conditional: stored.caveat[i]}
				if subject.ObjectID == tuple.PublicWildcard {
					one = subjectCount{wildcards: 1, conditional: stored.caveat[i]}
				}
				found.add(id, one)
			}
			if to, leads := next(subject); leads {
				if following[to] == nil {
					following[to] = make(map[string]bool)
				}
				following[to][subject.ObjectID] = true
			}
		}
	}
	below := make(map[tuple.RelationReference]counts, len(following))
	for to, objects := range following {
		below[to] = make(counts, len(objects))
		for part := range slices.Chunk(sortedKeys(objects), chunk) {
			of, err := s.step(ctx, to.ObjectType, to.Relation, part, depth+1)
			if err != nil {
				return nil, err
			}
			for id, n := range of {
				below[to].add(id, n)
			}
		}
	}
	for _, id := range ids {
		stored := s.stored[storedKey{typ, relation, id}]
		for i, subject := range stored.all {
			to, leads := next(subject)
			if !leads {
				continue
			}
			n := below[to][subject.ObjectID]
			n.conditional = n.conditional || stored.caveat[i]
			found.add(id, n)
			if len(stored.all) > 1 || n.conditional { // SpiceDB shares a single list and copies others
				if err := s.spend(n.total()); err != nil {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

// read reads the subjects of objects that were not read before.
func (s *subjectSimulation) read(ctx context.Context, typ, relation string, ids []string) error {
	missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return s.stored[storedKey{typ, relation, id}] != nil
	})
	if len(missing) == 0 {
		return ctx.Err()
	}
	for _, id := range missing {
		s.stored[storedKey{typ, relation, id}] = &storedSubjects{}
	}
	rows, err := s.reader.QueryRelationships(ctx, datastore.RelationshipsFilter{
		OptionalResourceType: typ, OptionalResourceRelation: relation, OptionalResourceIds: missing,
	}, options.WithQueryShape(queryshape.AllSubjectsForResources))
	if err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if s.named++; s.named > s.most.rows {
			return tooManySteps()
		}
		stored := s.stored[storedKey{typ, relation, row.Resource.ObjectID}]
		stored.all = append(stored.all, row.Subject)
		stored.caveat = append(stored.caveat, row.OptionalCaveat != nil)
	}
	return nil
}

// relation returns a relation or permission of a type, or nil if there is none.
func (s *subjectSimulation) relation(ctx context.Context, typ, name string) (*core.Relation, error) {
	relations, known := s.definitions[typ]
	if !known {
		definition, found, err := s.schema.LookupTypeDefByName(ctx, typ)
		if err != nil {
			return nil, err
		}
		relations = make(map[string]*core.Relation)
		if found {
			for _, one := range definition.Definition.GetRelation() {
				relations[one.GetName()] = one
			}
		}
		s.definitions[typ] = relations
	}
	return relations[name], nil
}
