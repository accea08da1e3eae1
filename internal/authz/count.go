package authz

import (
	"fmt"
	"strings"
)

// Count formats a number with its noun, for example "1 entry" or "2 entries".
func Count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// WithArticle puts "a" or "an" before a noun.
func WithArticle[S ~string](name S) string {
	if strings.ContainsRune("aeiou", rune(name[0])) && !strings.HasPrefix(string(name), "us") {
		return "an " + string(name)
	}
	return "a " + string(name)
}
