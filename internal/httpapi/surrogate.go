package httpapi

import (
	"bytes"
	"strconv"
	"unicode/utf16"
)

// loneSurrogate returns the position of an escape in valid JSON that is half of a surrogate pair, or -1. Decoding would
// replace it by U+FFFD, so different texts would become the same id.
func loneSurrogate(data []byte) int {
	for at := 0; ; {
		next := bytes.IndexByte(data[at:], '\\')
		if next < 0 {
			return -1
		}
		at += next
		switch high := escapedRune(data[at:]); {
		case !utf16.IsSurrogate(high):
			at += 2 // the byte after an escaped backslash does not begin an escape
		case utf16.DecodeRune(high, escapedRune(data[at+6:])) != '\uFFFD':
			at += 12
		default:
			return at
		}
	}
}

// escapedRune returns the rune of an escape \uXXXX at the start of the data, or -1 if there is none.
func escapedRune(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
