//go:build !race

package spicedb_test

const raceDetector = false
