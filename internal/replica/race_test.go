//go:build race

package replica_test

// schemasInCI is how many schemas take about half a minute under the race detector.
const schemasInCI = 4

// circlesInCI is how many times each schema with circles is filled.
const circlesInCI = 1
