package spicedb

import (
	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

const (
	// maxCandidates limits how many resources or subjects a look-up checks one by one, if a caveat fails.
	maxCandidates = 10_000

	// maxCandidateRows limits how many relationships a look-up reads to find candidates, if a caveat fails.
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
