package httpapi

import "github.com/sluice-authz/sluice/internal/authz"

// maxContext is how large the context of one question may be, in bytes as weight counts them. In AuthZEN the properties
// count as well. It holds whether or not a caveat reads the context, so that an answer does not depend on which engine
// gives it.
const maxContext = authz.MaxContextBytes

// maxBatchContext is how much context the questions of one request may have together, as caveats find it, in bytes. A
// default of a batch counts once for each question.
const maxBatchContext = 4 << 20

// context reads the context of a question.
func (r *reader) context(value *Context) map[string]any {
	if r.err == nil && value != nil && weight(map[string]any(*value), maxContext) > maxContext {
		r.err = authz.Errorf(
			authz.CodeTooLarge,
			`the field "context" is larger than %d bytes, of which each value and each name counts 8 and its text`, maxContext,
		)
	}
	return optional(value)
}

// sized keeps an error with CodeTooLarge if the properties and the context of a question are too large.
func (r *reader) sized(asked question) {
	sum := 0
	for _, object := range []map[string]any{
		optional(asked.subject.Properties), optional(asked.action.Properties), optional(asked.resource.Properties),
		asked.context,
	} {
		if object != nil && sum <= maxContext {
			sum += weight(object, maxContext-sum)
		}
	}
	if r.err == nil && sum > maxContext {
		r.err = authz.Errorf(
			authz.CodeTooLarge,
			"the properties and the context are larger than %d bytes, of which each value and each name counts 8 and its text",
			maxContext,
		)
	}
}

// weight is about how many bytes a value takes: 8 for each value and each name, and its text. It stops counting above
// the limit.
func weight(value any, limit int) int {
	sum := 8
	add := func(v any) bool {
		sum += weight(v, limit-sum)
		return sum <= limit
	}
	switch v := value.(type) {
	case string:
		sum += len(v)
	case []any:
		for _, item := range v {
			if !add(item) {
				break
			}
		}
	case map[string]any:
		for key, item := range v {
			if !add(key) || !add(item) {
				break
			}
		}
	}
	return sum
}
