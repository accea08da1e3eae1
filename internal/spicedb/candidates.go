package spicedb

import (
	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

const (
	// maxCandidates is the largest number of resources or subjects that a look-up with a failing caveat checks one by
	// one.
	maxCandidates = 10_000

	// maxCandidateRows is the largest number of relationships that a look-up with a failing caveat reads to find
	// candidates.
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
