package audit_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// large is a source that exports many relationships.
type large struct {
	script
	objects, each int
}

func (l large) Export(context.Context, authz.Token) iter.Seq2[authz.Relationship, error] {
	return func(yield func(authz.Relationship, error) bool) {
		for i := range l.objects {
			for n := range l.each {
				r := authz.Relationship{
					Resource: authz.Object{Type: "folder", ID: authz.ID(fmt.Sprint(i))}, Relation: "reader",
					Subject: authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(fmt.Sprint(n))}},
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// BenchmarkSnapshot measures the first snapshot of a log, for a store of 30,000 relationships, ten for each object.
func BenchmarkSnapshot(b *testing.B) {
	for b.Loop() {
		log, err := audit.OpenFile(b.Context(), b.TempDir())
		require.NoError(b, err)
		follower := audit.NewFollower(audit.Config{Log: log, Source: large{objects: 3000, each: 10}, Place: place})
		stop := run(b, follower)
		for { // wait for the first entry: the snapshot is one transaction
			changed := log.Changed()
			head, err := log.Head(b.Context())
			require.NoError(b, err)
			if head.Seq > 0 {
				break
			}
			require.NoError(b, log.Wait(b.Context(), changed))
		}
		stop()
		require.NoError(b, log.Close())
	}
	b.ReportMetric(30_000*float64(b.N)/b.Elapsed().Seconds(), "relationships/s")
}
