// Package testsize says how much a test repeats. `make test` runs in minutes. `make test-long` repeats random and
// racing tests more often, and runs every suite in full on every store.
package testsize

import "os"

// Variable is the environment variable that `make test-long` sets to 1.
const Variable = "SLUICE_TEST_LONG"

// IsLong reports whether tests run in full size.
func IsLong() bool { return os.Getenv(Variable) == "1" }

// Of returns normal, or long in `make test-long`.
func Of[Size any](normal, long Size) Size {
	if IsLong() {
		return long
	}
	return normal
}
