package authz

import "fmt"

// Count formats a number with its noun: "1 entry", "2 entries".
func Count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
