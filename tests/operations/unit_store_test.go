package operations_test

import (
	"testing"

	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// TestSpiceDBBehavesAsTheStoreOfRuleTests holds SpiceDB to the suite that the store in memory of the rule tests passes.
func TestSpiceDBBehavesAsTheStoreOfRuleTests(t *testing.T) { txtest.Suite(t, newEngine(t)) }
