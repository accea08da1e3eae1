//go:build race

package replica_test

// schemasInCI is how many schemas take about ten seconds under the race detector.
const schemasInCI = 6

// circlesInCI is how many times each schema with circles is filled.
const circlesInCI = 1
