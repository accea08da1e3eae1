//go:build !race

package replica_test

import "github.com/sluice-authz/sluice/internal/testsize"

// schemasInCI is the number of random schemas.
var schemasInCI = testsize.Of[uint64](15, 30)

// circlesInCI is the number of random fillings of each schema with circles.
var circlesInCI = testsize.Of[uint64](2, 3)
