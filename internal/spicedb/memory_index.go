package spicedb

import (
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/google/btree"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// index has the relationships of one revision, sorted by resource and by subject. A clone is cheap: clones share
// unchanged parts. Relationships in an index are never modified.
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

// clone returns a copy. It must not run concurrently with a change of x.
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
