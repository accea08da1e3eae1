//go:build !race

package replica_test

import "github.com/sluice-authz/sluice/internal/testsize"

// schemasInCI is the number of random schemas.
var schemasInCI = testsize.Of[uint64](8, 30)

// circlesInCI is how often the test fills each schema with random relationships that form circles.
var circlesInCI = testsize.Of[uint64](1, 3)
