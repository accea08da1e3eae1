//go:build race

package replica_test

// schemasInCI is the number of random schemas. Under the race detector, they take about ten seconds.
const schemasInCI = 6

// circlesInCI is how often the test fills each schema with random relationships that form circles.
const circlesInCI = 1
