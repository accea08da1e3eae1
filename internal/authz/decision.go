package authz

// MaxContextBytes is how large the caveat context of one question may be.
const MaxContextBytes = 16 << 10

// State is the outcome of a check.
type State uint8

// A Conditional outcome depends on caveat context that the request did not give.
const (
	Denied State = iota
	Allowed
	Conditional
)

// Decision is the answer to a check. A denial is a decision, not an error.
type Decision struct {
	State State

	// MissingContext names the context fields that a Conditional outcome waits for.
	MissingContext []string
}

// Allowed reports whether the answer is yes. A conditional answer is no.
func (d Decision) Allowed() bool { return d.State == Allowed }

// Check asks whether a subject has a permission on a resource.
type Check struct {
	Subject    Subject
	Permission Permission
	Resource   Object

	// Context is what caveats may look at. Its values are those of encoding/json: nil, bool, float64, string,
	// []any and map[string]any.
	Context map[string]any
}

// CheckResult is the answer to one check of a bulk: a decision, or the error of this check alone.
type CheckResult struct {
	Decision Decision
	Err      error
}
