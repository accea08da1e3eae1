package spicedb

import (
	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

const (
	// maxCandidates is how many resources or subjects a look-up in which a caveat fails checks one by one.
	maxCandidates = 10_000

	// maxCandidateRows is how many relationships it reads to find them.
	maxCandidateRows = 100_000
)

// isCaveatFailure reports whether an error says that a caveat could not be evaluated.
func isCaveatFailure(err error) bool {
	switch reasonOfCause(err) {
	case v1.ErrorReason_ERROR_REASON_CAVEAT_EVALUATION_ERROR, v1.ErrorReason_ERROR_REASON_CAVEAT_PARAMETER_TYPE_ERROR:
		return true
	default:
		return false
	}
}
