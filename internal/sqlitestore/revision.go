package sqlitestore

import (
	"strconv"

	"github.com/authzed/spicedb/pkg/datastore"
)

// revision is the time of a commit in nanoseconds since 1970. Each revision is greater than the previous revision,
// even if the clock goes back.
type revision int64

func (r revision) String() string { return strconv.FormatInt(int64(r), 10) }

func (r revision) Equal(other datastore.Revision) bool {
	o, ok := other.(revision)
	return ok && r == o
}

func (r revision) GreaterThan(other datastore.Revision) bool {
	o, ok := other.(revision)
	return !ok || r > o // every other type of revision is datastore.NoRevision, which is smaller
}

func (r revision) LessThan(other datastore.Revision) bool {
	o, ok := other.(revision)
	return ok && r < o
}

// ByteSortable reports whether the texts sort like the revisions, which holds for all times between 2001 and 2262.
func (r revision) ByteSortable() bool { return true }

// RevisionFromString parses the text that String returns.
func (*Store) RevisionFromString(serialized string) (datastore.Revision, error) {
	n, err := strconv.ParseInt(serialized, 10, 64)
	if err != nil || n <= 0 {
		return datastore.NoRevision, datastore.NewInvalidRevisionErr(
			datastore.NoRevision, datastore.CouldNotDetermineRevision,
		)
	}
	return revision(n), nil
}
