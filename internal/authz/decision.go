package authz

// MaxContextBytes is the maximum size of the caveat context of one check.
const MaxContextBytes = 16 << 10

// State is the outcome of a check.
type State uint8

// Conditional means that the decision depends on caveat parameters that are missing in the context of the check.
const (
	Denied State = iota
	Allowed
	Conditional
)

// Decision is the answer to a check. A denial is a decision, not an error.
type Decision struct {
	State State

	// MissingContext lists these caveat parameters if State is Conditional.
	MissingContext []string
}

// Allowed reports whether the permission is granted. It reports false for a Conditional decision.
func (d Decision) Allowed() bool { return d.State == Allowed }

// Check asks whether a subject has a permission on a resource.
type Check struct {
	Subject    Subject
	Permission Permission
	Resource   Object

	// Context has values for the parameters of caveats. Its values have the types of encoding/json: nil, bool,
	// float64, string, []any and map[string]any.
	Context map[string]any
}

// CheckResult is the answer to one of the checks of CheckBulk. If only this check failed, Err is set.
type CheckResult struct {
	Decision Decision
	Err      error
}
