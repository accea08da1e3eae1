package replica_test

import (
	"testing"
)

// FuzzDifferential compares answers under a small random schema. The bits of the second argument select its constructs.
func FuzzDifferential(f *testing.F) {
	for bits := range 8 {
		f.Add(uint64(bits), uint8(1<<bits))
	}
	w := newWorld(f)
	w.small = true
	f.Fuzz(func(t *testing.T, seed uint64, bits uint8) {
		may := func(n int) bool { return bits>>n&1 != 0 }
		w.found = nil
		w.schema(t, seed, traits{
			wildcards: may(0), usersets: may(1), expiration: may(2), caveats: may(3), recursion: may(4), subtraction: may(5),
			all: may(6), self: may(7),
		})
	})
}
