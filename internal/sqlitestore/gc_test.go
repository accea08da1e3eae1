package sqlitestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"
)

// clock is a clock that a test moves.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Now().UnixNano())
	return c
}

func (c *clock) Now() time.Time { return time.Unix(0, c.now.Load()) }

func (c *clock) pass(d time.Duration) { c.now.Add(int64(d)) }

func collectGarbage(t *testing.T, s *Store) {
	t.Helper()
	require.NoError(t, datastore.RunGarbageCollection(t.Context(), s, s.options.GCWindow))
}

func rowsOf(t *testing.T, s *Store, table string) (count int64) {
	t.Helper()
	require.NoError(t, s.readers.use(func(c *conn) error {
		_, err := c.queryRow("SELECT count(*) FROM "+table, nil, &count)
		return err
	}))
	return count
}

// TestDaysOfRewriting rewrites the same relationships for three days. The file must not grow after the first day.
func TestDaysOfRewriting(t *testing.T) {
	t.Parallel()
	const every, days, users = 8 * time.Minute, 3, 10
	now := newClock()
	directory := t.TempDir()
	s := open(t, directory, Options{now: now.Now, GCInterval: time.Hour})
	size := func() int64 {
		_, err := s.writer.exec("PRAGMA wal_checkpoint(TRUNCATE)")
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(directory, storeFile))
		require.NoError(t, err)
		return info.Size()
	}
	var sizes []int64
	for day := range days {
		for i := range int(24 * time.Hour / every) {
			now.pass(every)
			_, err := s.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
				var updates []tuple.RelationshipUpdate
				r := tuple.MustParse(fmt.Sprintf(`account:acme#member@user:u[day:{"is":"%d %d"}]`, day, i))
				for user := range users {
					r.Subject.ObjectID = fmt.Sprint(user)
					updates = append(updates, tuple.Touch(r))
				}
				return tx.WriteRelationships(ctx, updates)
			})
			require.NoError(t, err)
			if i%15 == 0 {
				collectGarbage(t, s)
			}
		}
		sizes = append(sizes, size())
	}
	t.Logf("at the end of each day: %d bytes", sizes)
	require.Less(t, float64(sizes[days-1]), 1.1*float64(sizes[1]))
	require.EqualValues(t, users, rowsOf(t, s, "by_resource"))
	require.InDelta(t, users*24*time.Hour/every, rowsOf(t, s, "history"), users*20)

	now.pass(25 * time.Hour)
	collectGarbage(t, s)
	for table, rows := range map[string]int64{"history": 0, "change": 1, "by_resource": users, "by_subject": users} {
		require.Equal(t, rows, rowsOf(t, s, table), table)
	}
}

// TestWindow checks that revisions within the garbage-collection window can be read and watched, and older ones
// cannot. A reader that was opened before the garbage collection must get an error as well.
func TestWindow(t *testing.T) {
	now := newClock()
	s := open(t, t.TempDir(), Options{now: now.Now, GCWindow: time.Hour, GCInterval: 24 * time.Hour})
	var at []revision
	for number := 1; number <= 5; number++ {
		require.NoError(t, writeBatch(t.Context(), s, 0, number))
		at = append(at, s.head.Load().revision)
		now.pass(20 * time.Minute)
	}
	// The revisions are 100, 80, 60, 40 and 20 minutes old.
	early := s.SnapshotReader(at[3])
	stale := func(err error) {
		t.Helper()
		var invalid datastore.InvalidRevisionError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, datastore.RevisionStale, invalid.Reason())
	}
	collectGarbage(t, s)
	for i, r := range at {
		if i < 2 {
			stale(s.CheckRevision(t.Context(), r))
			continue
		}
		require.NoError(t, s.CheckRevision(t.Context(), r))
		r := s.SnapshotReader(r).(*reader)
		count, err := countMatches(iterate(
			t.Context(), r.rows, query{filter: datastore.RelationshipsFilter{OptionalResourceType: "batch"}},
		))
		require.NoError(t, err)
		require.Equal(t, (i+1)*batchSize, count)
	}
	watch := func(from revision) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		updates, errs := s.Watch(ctx, from, datastore.WatchJustRelationships())
		select {
		case change := <-updates:
			if change.Revision != nil {
				require.Equal(t, at[2], change.Revision)
				return nil
			}
			return <-errs
		case err := <-errs:
			return err
		}
	}
	require.NoError(t, watch(at[1])) // all later changes are still in the log
	stale(watch(at[0]))

	now.pass(50 * time.Minute) // the youngest revision is 70 minutes old
	require.NoError(t, writeBatch(t.Context(), s, 0, 6))
	collectGarbage(t, s)
	found, err := early.QueryRelationships(t.Context(), datastore.RelationshipsFilter{OptionalResourceType: "batch"})
	require.NoError(t, err)
	_, err = countMatches(found)
	stale(err)

	now.pass(10 * time.Hour)
	collectGarbage(t, s)
	require.NoError(
		t, s.CheckRevision(t.Context(), s.head.Load().revision), "the newest revision stays readable, whatever its age",
	)
	requireBatches(t, s, []int{6, 0, 0, 0})
}

// TestExpiredAreCollected checks that the garbage collection deletes relationships that expired before the window, and
// no others.
func TestExpiredAreCollected(t *testing.T) {
	now := newClock()
	s := open(t, t.TempDir(), Options{now: now.Now, GCInterval: 24 * time.Hour})
	expiring := func(user string, at time.Time) tuple.RelationshipUpdate {
		r := tuple.MustParse("account:acme#member@user:" + user)
		r.OptionalExpiration = &at
		return tuple.Create(r)
	}
	_, err := s.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		updates := []tuple.RelationshipUpdate{tuple.Create(tuple.MustParse("account:acme#member@user:always"))}
		for i := range gcStep + 10 {
			updates = append(updates, expiring(fmt.Sprint("soon", i), now.Now().Add(time.Minute)))
		}
		return tx.WriteRelationships(ctx, append(updates, expiring("later", now.Now().Add(48*time.Hour))))
	})
	require.NoError(t, err)
	now.pass(2 * time.Hour)
	collectGarbage(t, s)
	require.EqualValues(t, gcStep+12, rowsOf(t, s, "by_resource"), "relationships that expired within the window stay")
	now.pass(24 * time.Hour)
	collectGarbage(t, s)
	for _, table := range []string{"by_resource", "by_subject"} {
		require.EqualValues(t, 2, rowsOf(t, s, table))
	}
	stats, err := s.Statistics(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, stats.EstimatedRelationshipCount)
}

// TestWritersDuringCollection checks that writes run between the steps of a garbage collection.
func TestWritersDuringCollection(t *testing.T) {
	now := newClock()
	s := open(t, t.TempDir(), Options{now: now.Now, GCInterval: 24 * time.Hour})
	const garbage = 15 * gcStep
	for round := range 2 {
		_, err := s.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
			var updates []tuple.RelationshipUpdate
			r := tuple.MustParse(fmt.Sprintf(`document:d#viewer@user:tom[round:{"is":%d}]`, round))
			for i := range garbage {
				r.Resource.ObjectID = fmt.Sprint(i)
				updates = append(updates, tuple.Touch(r))
			}
			return tx.WriteRelationships(ctx, updates)
		})
		require.NoError(t, err)
	}
	now.pass(25 * time.Hour)
	collected := make(chan error, 1)
	go func() {
		collected <- datastore.RunGarbageCollection(context.WithoutCancel(t.Context()), s, s.options.GCWindow)
	}()
	for number := 1; ; number++ {
		select {
		case err := <-collected:
			require.NoError(t, err)
			require.Zero(t, rowsOf(t, s, "history WHERE key GLOB 'document *'"))
			require.Greater(t, number, 10, "more than ten writes must run during the collection")
			return
		default:
			require.NoError(t, writeBatch(t.Context(), s, 0, number))
		}
	}
}
