package httpapi

import (
	"bytes"
	"strconv"
	"unicode/utf16"
)

// loneSurrogate returns where in valid JSON an escape stands that is half a surrogate pair, and -1 if none does.
// Decoding would replace it by U+FFFD, so that different texts became the same id.
func loneSurrogate(data []byte) int {
	for at := 0; ; {
		next := bytes.IndexByte(data[at:], '\\')
		if next < 0 {
			return -1
		}
		at += next
		switch high := escapedRune(data[at:]); {
		case !utf16.IsSurrogate(high):
			at += 2 // what follows an escaped backslash is no escape
		case utf16.DecodeRune(high, escapedRune(data[at+6:])) != '\uFFFD':
			at += 12
		default:
			return at
		}
	}
}

// escapedRune returns the rune of an escape \uXXXX at the start of the data, and -1 if there is none.
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
