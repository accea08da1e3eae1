package bench_test

import (
	"context"
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
)

// BenchmarkStart measures the time in which a server with an embedded SpiceDB in memory starts, until it answers. It
// includes the write of the schema.
func BenchmarkStart(b *testing.B) {
	config := app.DefaultConfig()
	config.Listen, config.Store = "127.0.0.1:0", app.StoreConfig{Datastore: "memory"}
	config.APIKeys = []string{"bench:check:" + key}
	for b.Loop() {
		s, err := app.Start(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(context.WithoutCancel(b.Context())); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
