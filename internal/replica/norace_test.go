//go:build !race

package replica_test

// schemasInCI is how many schemas take about a quarter of a minute.
const schemasInCI = 30

// circlesInCI is how many times each schema with circles is filled.
const circlesInCI = 3
