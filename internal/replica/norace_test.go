//go:build !race

package replica_test

// schemasInCI is the number of schemas that take about 15 seconds.
const schemasInCI = 30

// circlesInCI is the number of random fillings of each schema with circles.
const circlesInCI = 3
