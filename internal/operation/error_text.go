package operation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxNamed is how many names an error holds.
const maxNamed = 10

// list formats names for an error: the first maxNamed of them, and the number of the others.
func list[S ~string](names []S) string {
	parts := texts(names[:min(len(names), maxNamed)])
	if more := len(names) - len(parts); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(parts, ", "), more)
	}
	return strings.Join(parts, ", ")
}

// atEntry prefixes the message of an error with the field of a bulk request that caused it.
func atEntry(field string, id authz.ID, err error) error {
	var known *authz.Error
	if !errors.As(err, &known) {
		return err
	}
	named := *known
	named.Message = fmt.Sprintf("the field %q: %s", authz.Echo(field+"."+string(id)), known.Message)
	return &named
}
