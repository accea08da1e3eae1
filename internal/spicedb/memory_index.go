package spicedb

import (
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/google/btree"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// index holds the relationships of one revision, sorted by resource and by subject. A clone costs nothing: the two
// share what neither has changed since. Relationships in it are never changed.
type index struct {
	resources *btree.BTreeG[*tuple.Relationship]
	subjects  *btree.BTreeG[*tuple.Relationship]
}

const degree = 32

func newIndex() *index {
	tree := func(compare func(a, b *tuple.Relationship) int) *btree.BTreeG[*tuple.Relationship] {
		return btree.NewG(degree, func(a, b *tuple.Relationship) bool { return compare(a, b) < 0 })
	}
	return &index{resources: tree(keyspan.CompareByResource), subjects: tree(keyspan.CompareBySubject)}
}

// clone must not run at the same time as a change of x.
func (x *index) clone() *index {
	return &index{resources: x.resources.Clone(), subjects: x.subjects.Clone()}
}

func (x *index) set(r tuple.Relationship) {
	r.OptionalCaveat = r.OptionalCaveat.CloneVT()
	r.OptionalIntegrity = r.OptionalIntegrity.CloneVT()
	if r.OptionalExpiration != nil {
		expiration := *r.OptionalExpiration
		r.OptionalExpiration = &expiration
	}
	x.resources.ReplaceOrInsert(&r)
	x.subjects.ReplaceOrInsert(&r)
}

func (x *index) remove(r tuple.Relationship) {
	x.resources.Delete(&r)
	x.subjects.Delete(&r)
}
