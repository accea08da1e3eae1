package sqlitestore

import (
	"testing"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/test"
	"github.com/stretchr/testify/require"
)

// open opens a store and closes it at the end of the test.
func open(tb testing.TB, path string, options Options) *Store {
	tb.Helper()
	s, err := Open(path, options)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

// TestConformance runs SpiceDB's own test suite for datastores.
//
// It omits one category, whose tests keep two write transactions open at the same time. The suite says that "datastores
// with a global write lock (e.g. memdb) must exclude this category". All but one of these tests pass here and are run
// by name. The exception is ConcurrentWriteSerializationTest: it ends the first transaction after the second one, but
// in this store the second one cannot begin before the first has ended.
func TestConformance(t *testing.T) {
	factory := test.NewTesterFactory(&sqliteError{class: errBusy, cause: errBusy})
	tester := factory.NewTester(test.DatastoreTesterFunc(
		func(
			tb testing.TB, quantization, gcInterval, gcWindow time.Duration, watchBuffer uint16,
		) (datastore.Datastore, error) {
			return open(tb, tb.TempDir(), Options{
				quantization: quantization, GCInterval: gcInterval, GCWindow: gcWindow, watchBuffer: watchBuffer,
			}), nil
		}))
	test.AllWithExceptions(t, tester, test.WithCategories(test.ConcurrentWriteCategory))
	for name, run := range map[string]func(*testing.T, test.DatastoreTester){
		"ConcurrentWriteDeadlock":                   test.ConcurrentWriteDeadlockTest,
		"StoredSchemaConcurrentSchemaWins":          test.StoredSchemaConcurrentSchemaWinsTest,
		"StoredSchemaWriteSucceedsUnderRelWriteTra": test.StoredSchemaWriteSucceedsUnderRelWriteTrafficTest,
	} {
		t.Run(name, func(t *testing.T) { run(t, tester) })
	}
}
