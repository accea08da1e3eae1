package sqlitestore

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPool checks that concurrent readers share a few connections, that a single reader always gets the same one, and
// that closing the pool ends all goroutines.
func TestPool(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	require.NoError(t, writeBatch(t.Context(), s, 0, 1))
	p := newPool(s.directory.file())
	var first *conn
	for range 10 {
		require.NoError(t, p.use(func(c *conn) error {
			if first == nil {
				first = c
			}
			require.Same(t, first, c)
			return nil
		}))
	}

	var inside, most atomic.Int64
	var readers sync.WaitGroup
	for range 500 {
		readers.Go(func() {
			err := p.use(func(c *conn) error {
				for now := inside.Add(1); ; {
					if before := most.Load(); now <= before || most.CompareAndSwap(before, now) {
						break
					}
				}
				defer inside.Add(-1)
				runtime.Gosched()
				var count int64
				_, err := c.queryRow("SELECT count(*) FROM by_resource", nil, &count)
				if err == nil && count != batchSize+1 {
					t.Errorf("there are %d relationships", count)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	require.LessOrEqual(t, most.Load(), int64(cap(p.free)))
	require.LessOrEqual(t, len(p.idle), cap(p.free))

	require.NoError(t, p.close())
	require.ErrorIs(t, p.use(func(*conn) error { return nil }), errClosed)
	require.NoError(t, p.close())
}
