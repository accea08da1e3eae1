package authz

// MaxContextBytes is the largest size of the caveat context of one check.
const MaxContextBytes = 16 << 10

// State is the outcome of a check.
type State uint8

// Conditional means that the decision depends on caveat context that the request did not give.
const (
	Denied State = iota
	Allowed
	Conditional
)

// Decision is the answer to a check. A denial is a decision, not an error.
type Decision struct {
	State State

	// MissingContext names the context fields that a Conditional decision depends on.
	MissingContext []string
}

// Allowed reports whether the permission is granted. It reports false for a Conditional decision.
func (d Decision) Allowed() bool { return d.State == Allowed }

// Check asks whether a subject has a permission on a resource.
type Check struct {
	Subject    Subject
	Permission Permission
	Resource   Object

	// Context is the input of caveats. Its values have the types of encoding/json: nil, bool, float64, string, []any
	// and map[string]any.
	Context map[string]any
}

// CheckResult is the answer to one check of CheckBulk: a decision, or the error of this check only.
type CheckResult struct {
	Decision Decision
	Err      error
}
