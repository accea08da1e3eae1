package operations_test

import (
	"testing"

	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// TestSpiceDBBehavesAsTheStoreOfRuleTests runs the suite of the rule tests' in-memory store on SpiceDB.
func TestSpiceDBBehavesAsTheStoreOfRuleTests(t *testing.T) { txtest.Suite(t, newEngine(t)) }
