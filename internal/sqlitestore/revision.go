package sqlitestore

import (
	"strconv"

	"github.com/authzed/spicedb/pkg/datastore"
)

// revision is the moment of a commit in nanoseconds since 1970. Each is greater than the one before, even where the clock
// is not.
type revision int64

func (r revision) String() string { return strconv.FormatInt(int64(r), 10) }

func (r revision) Equal(other datastore.Revision) bool {
	o, ok := other.(revision)
	return ok && r == o
}

func (r revision) GreaterThan(other datastore.Revision) bool {
	o, ok := other.(revision)
	return !ok || r > o // than no revision
}

func (r revision) LessThan(other datastore.Revision) bool {
	o, ok := other.(revision)
	return ok && r < o
}

// ByteSortable holds for all moments between 2001 and 2262.
func (r revision) ByteSortable() bool { return true }

// RevisionFromString reads what String wrote.
func (*Store) RevisionFromString(serialized string) (datastore.Revision, error) {
	n, err := strconv.ParseInt(serialized, 10, 64)
	if err != nil || n <= 0 {
		return datastore.NoRevision, datastore.NewInvalidRevisionErr(datastore.NoRevision, datastore.CouldNotDetermineRevision)
	}
	return revision(n), nil
}
