package spicedb_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestAcknowledgedWritesAreDelivered checks that a follower of Watch has every change once no write is outstanding,
// also after overlapping writes. Writes that changed nothing must not remain outstanding.
func TestAcknowledgedWritesAreDelivered(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, options spicedb.Options) *spicedb.Client{
		"memory": func(t *testing.T, options spicedb.Options) *spicedb.Client {
			return embedded(t, spicedb.EmbeddedConfig{Options: options}).Client
		},
		"sqlite": func(t *testing.T, options spicedb.Options) *spicedb.Client {
			return embedded(t, spicedb.EmbeddedConfig{Options: options, Datastore: spicedb.SQLite, DataDir: t.TempDir()}).Client
		},
		"postgres": func(t *testing.T, options spicedb.Options) *spicedb.Client {
			return embedded(
				t, spicedb.EmbeddedConfig{Options: options, Datastore: spicedb.Postgres, URI: enginetest.Postgres(t)},
			).Client
		},
		"remote": func(t *testing.T, options spicedb.Options) *spicedb.Client {
			host := embedded(t, spicedb.EmbeddedConfig{GRPCListen: "127.0.0.1:0", Key: "a-key"})
			return remote(t, spicedb.RemoteConfig{Options: options, Endpoint: host.GRPCAddress, Token: "a-key", Insecure: true})
		},
		"remote postgres": func(t *testing.T, options spicedb.Options) *spicedb.Client {
			host := embedded(t, spicedb.EmbeddedConfig{
				Datastore: spicedb.Postgres, URI: enginetest.Postgres(t), GRPCListen: "127.0.0.1:0", Key: "a-key",
			})
			return remote(t, spicedb.RemoteConfig{Options: options, Endpoint: host.GRPCAddress, Token: "a-key", Insecure: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var acknowledged spicedb.Acknowledged
			engine := open(t, spicedb.Options{Acknowledged: &acknowledged})
			require.NoError(t, engine.ApplySchema(t.Context(), enginetest.Schema))
			_, begin, err := engine.Head(t.Context())
			require.NoError(t, err)

			const writers, each = 4, 10
			var writing sync.WaitGroup
			wrote := make(chan error, writers)
			for writer := range writers {
				writing.Go(func() {
					for n := range each {
						write := authz.Write{
							Updates: []authz.Update{{Action: authz.Touch, Relationship: authz.Relationship{
								Resource: authz.Object{Type: "document", ID: authz.ID(fmt.Sprintf("d%d-%d", writer, n))}, Relation: "viewer",
								Subject: authz.Subject{Object: authz.Object{Type: "user", ID: "alice"}},
							}}},
							Metadata: map[string]any{"request_id": "r"},
						}
						for range 2 { // the second write changes nothing
							if _, err := engine.Write(t.Context(), write); err != nil {
								wrote <- err
								return
							}
						}
					}
					wrote <- nil
				})
			}
			writing.Wait()
			for range writers {
				require.NoError(t, <-wrote)
			}
			// This deletion changes nothing.
			_, err = engine.DeleteAll(t.Context(), authz.Filter{Type: "document", ID: "never-there"}, nil, nil)
			require.NoError(t, err)
			writes, count := acknowledged.Outstanding()
			require.GreaterOrEqual(t, count, 2*writers*each+1)
			require.True(
				t, strings.Contains(fmt.Sprint(writes[len(writes)-2].Metadata), "request_id:r"),
				"an outstanding write must have its metadata",
			)

			delivered := make(map[authz.ID]bool)
			for change, err := range engine.Watch(t.Context(), begin) {
				require.NoError(t, err)
				for _, u := range change.Updates {
					delivered[u.Relationship.Resource.ID] = true
				}
				acknowledged.Delivered(change.Token)
				if _, left := acknowledged.Outstanding(); left == 0 {
					break
				}
			}
			require.Len(t, delivered, writers*each)
		})
	}
}
