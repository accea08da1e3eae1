//go:build race

package replica_test

// schemasInCI is the number of schemas that take about ten seconds under the race detector.
const schemasInCI = 6

// circlesInCI is the number of random fillings of each schema with circles.
const circlesInCI = 1
