package sqlitestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/testsize"
)

// The test has several writers. Each write creates a new batch and deletes an older one, so that the newest keptBatch
// batches of the writer remain. The write stores the number of the new batch in the caveat context of a relationship
// of the writer.
const (
	writers   = 4
	batchSize = 5
	keptBatch = 10
)

func batch(writer, number int) []tuple.Relationship {
	var out []tuple.Relationship
	for i := range batchSize {
		out = append(out, tuple.MustParse(fmt.Sprintf("batch:%d-%d#item@user:%d", writer, number, i)))
	}
	return out
}

func progress(writer, number int) tuple.Relationship {
	return tuple.MustParse(fmt.Sprintf(`writer:%d#made@batch:last[number:{"is":%d}]`, writer, number))
}

func writeBatch(ctx context.Context, s *Store, writer, number int) error {
	_, err := s.ReadWriteTx(ctx, func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		var updates []tuple.RelationshipUpdate
		for _, r := range batch(writer, number) {
			updates = append(updates, tuple.Create(r))
		}
		if err := tx.WriteRelationships(ctx, append(updates, tuple.Touch(progress(writer, number)))); err != nil {
			return err
		}
		_, _, err := tx.DeleteRelationships(ctx, &v1.RelationshipFilter{
			ResourceType: "batch", OptionalResourceId: fmt.Sprintf("%d-%d", writer, number-keptBatch),
		})
		return err
	})
	return err
}

// lastBatch returns the number in the writer's relationship, or 0 if there is none.
func lastBatch(ctx context.Context, s *Store, writer int) (number int, err error) {
	reader := s.SnapshotReader(s.head.Load().revision)
	found, err := reader.QueryRelationships(
		ctx, datastore.RelationshipsFilter{OptionalResourceType: "writer", OptionalResourceIds: []string{fmt.Sprint(writer)}},
	)
	if err != nil {
		return 0, err
	}
	r, ok, err := datastore.FirstRelationshipIn(found)
	if err != nil || !ok {
		return 0, err
	}
	return int(r.OptionalCaveat.GetContext().GetFields()["is"].GetNumberValue()), nil
}

// writeForever runs in the process that the test kills. It prints each acknowledged batch.
func writeForever(directory string) error {
	s, err := Open(directory, Options{GCWindow: 50 * time.Millisecond, GCInterval: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	failures := make(chan error)
	for w := range writers {
		last, err := lastBatch(background, s, w)
		if err != nil {
			return err
		}
		go func() {
			for number := last + 1; ; number++ {
				if err := writeBatch(background, s, w, number); err != nil {
					failures <- err
				}
				fmt.Printf("%d %d\n", w, number)
			}
		}()
	}
	return <-failures
}

// TestKill kills a writing process repeatedly and checks the stored relationships after each kill.
func TestKill(t *testing.T) {
	t.Parallel()
	times := testsize.Of(15, 200)
	directory := t.TempDir()
	acknowledged := make([]int, writers)
	inFlight, total := 0, 0
	for range times {
		child, lines := startChild(t, "write", directory)
		require.True(t, lines.Scan(), "the process ended by itself")
		var kill sync.Once
		for more := true; more; more = lines.Scan() {
			var w, number int
			_, err := fmt.Sscanf(lines.Text(), "%d %d", &w, &number)
			require.NoError(t, err)
			acknowledged[w] = number
			total++
			kill.Do(func() {
				time.AfterFunc(time.Duration(rand.IntN(50_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			})
		}
		require.Error(t, child.Wait())

		s, err := Open(directory, Options{GCInterval: time.Hour})
		require.NoError(t, err)
		for w := range writers {
			last, err := lastBatch(t.Context(), s, w)
			require.NoError(t, err)
			// The running write may have been committed without being acknowledged.
			require.Contains(t, []int{acknowledged[w], acknowledged[w] + 1}, last)
			inFlight += last - acknowledged[w]
			acknowledged[w] = last
		}
		requireBatches(t, s, acknowledged)
		require.NoError(t, s.Close())
	}
	t.Logf("%d kills, %d acknowledged writes, %d committed without an acknowledgment", times, total, inFlight)

	c, err := connect(directory+"/"+storeFile, "ro")
	require.NoError(t, err)
	var verdict string
	_, err = c.queryRow("PRAGMA integrity_check", nil, &verdict)
	require.NoError(t, err)
	require.Equal(t, "ok", verdict)
	require.NoError(t, c.Close())
}

// requireBatches requires that exactly the last batches of each writer are stored, in both tables of relationships.
// last has the number of each writer's newest batch.
func requireBatches(t *testing.T, s *Store, last []int) {
	t.Helper()
	var want []string
	for w, number := range last {
		if number > 0 {
			want = append(want, tuple.MustString(progress(w, number)))
		}
		for n := max(1, number-keptBatch+1); n <= number; n++ {
			for _, r := range batch(w, n) {
				want = append(want, tuple.MustString(r))
			}
		}
	}
	slices.Sort(want)
	reader := s.SnapshotReader(s.head.Load().revision)
	var forward, reverse []string
	for _, resource := range []string{"batch", "writer"} {
		found, err := reader.QueryRelationships(
			t.Context(), datastore.RelationshipsFilter{OptionalResourceType: resource}, options.WithSort(options.ByResource),
		)
		forward = append(forward, texts(t, found, err)...)
	}
	for _, subject := range []string{"batch", "user"} {
		found, err := reader.ReverseQueryRelationships(t.Context(), datastore.SubjectsFilter{SubjectType: subject})
		reverse = append(reverse, texts(t, found, err)...)
	}
	require.Equal(t, strings.Join(want, "\n"), strings.Join(slices.Sorted(slices.Values(forward)), "\n"))
	require.Equal(t, strings.Join(want, "\n"), strings.Join(slices.Sorted(slices.Values(reverse)), "\n"))
}

func texts(t *testing.T, found datastore.RelationshipIterator, err error) (out []string) {
	t.Helper()
	require.NoError(t, err)
	for r, err := range found {
		require.NoError(t, err)
		out = append(out, tuple.MustString(r))
	}
	return out
}
