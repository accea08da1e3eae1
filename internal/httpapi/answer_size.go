package httpapi

import "github.com/sluice-authz/sluice/internal/authz"

// maxAnswer is how large an answer is at most, in bytes; streams have no such limit. What an answer is made of is counted by
// each call, so that it does not grow far beyond this before it is refused.
const maxAnswer = 16 << 20

// errLargeAnswer is the error about an answer above maxAnswer.
var errLargeAnswer = authz.Errorf(authz.CodeTooLarge, "the answer would be larger than %d bytes; ask for less at a time", maxAnswer)
