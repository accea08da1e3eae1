//go:build !race

package replica_test

// schemasInCI is how many schemas take about half a minute.
const schemasInCI = 30
