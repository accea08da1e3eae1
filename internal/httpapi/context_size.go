package httpapi

import "github.com/sluice-authz/sluice/internal/authz"

// maxContext is the largest context of one question in bytes, as weight counts them. In AuthZEN it includes the
// properties. It also applies if no caveat reads the context, so that the answer does not depend on the engine.
const maxContext = authz.MaxContextBytes

// maxBatchContext limits the contexts of all questions of one request together, in bytes. A default of a batch counts
// once for each question that uses it.
const maxBatchContext = 4 << 20

// context reads the context of a question.
func (r *reader) context(value *Context) map[string]any {
	if r.err == nil && value != nil && weight(map[string]any(*value), maxContext) > maxContext {
		r.err = authz.Errorf(
			authz.CodeTooLarge,
			`the field "context" is larger than %d bytes; each value and each name counts 8 bytes plus its text`,
			maxContext,
		)
	}
	return optional(value)
}

// checkContextSize records an error with CodeTooLarge if the properties and the context of a question are too large.
func (r *reader) checkContextSize(q question) {
	sum := 0
	for _, object := range []map[string]any{
		optional(q.subject.Properties), optional(q.action.Properties), optional(q.resource.Properties),
		q.context,
	} {
		if object != nil && sum <= maxContext {
			sum += weight(object, maxContext-sum)
		}
	}
	if r.err == nil && sum > maxContext {
		r.err = authz.Errorf(
			authz.CodeTooLarge,
			"the properties and the context are larger than %d bytes; each value and each name counts 8 bytes plus its text",
			maxContext,
		)
	}
}

// weight estimates the size of a value in bytes: 8 for each value and each name, plus its text. It stops counting above
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
