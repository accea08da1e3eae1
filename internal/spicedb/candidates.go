package spicedb

import (
	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

const (
	// maxCandidates is the largest number of resources or subjects that a look-up checks one by one after a caveat
	// has failed.
	maxCandidates = 10_000

	// maxCandidateRows is the largest number of relationships that a look-up then reads to find candidates for these
	// checks.
	maxCandidateRows = 100_000
)

// isCaveatFailure reports whether an error means that a caveat could not be evaluated.
func isCaveatFailure(err error) bool {
	switch reasonOfCause(err) {
	case v1.ErrorReason_ERROR_REASON_CAVEAT_EVALUATION_ERROR, v1.ErrorReason_ERROR_REASON_CAVEAT_PARAMETER_TYPE_ERROR:
		return true
	default:
		return false
	}
}
