package httpapi

import (
	"reflect"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxAnswer is the largest size in bytes of an answer or, in a stream, of a line. The size is counted before an answer
// is encoded, and for lists while they are built. So a rejected answer uses little memory.
const maxAnswer = 16 << 20

// maxSearched is the highest number of results that a search collects before it answers one page of them.
const maxSearched = 250_000

// errLargeAnswer is the error for an answer above maxAnswer.
var errLargeAnswer = authz.Errorf(
	authz.CodeTooLarge, "the answer would be larger than %d bytes; ask for less at a time", maxAnswer,
)

// answerSize counts the bytes of an answer while it is built.
type answerSize int

// add counts an item of the answer. Above maxAnswer the error is errLargeAnswer.
func (s *answerSize) add(item any) error {
	if *s += answerSize(sizeOf(reflect.ValueOf(item), maxAnswer-int(*s))); *s > maxAnswer {
		return errLargeAnswer
	}
	return nil
}

// checkSize returns errLargeAnswer if an answer is larger than maxAnswer.
func checkSize(answer any) error {
	var size answerSize
	return size.add(answer)
}

// timeBytes is the length of a time in JSON.
const timeBytes = 32

// sizeOf estimates the number of bytes of a value in JSON, without escapes. It stops counting above the limit.
func sizeOf(v reflect.Value, limit int) int {
	const punctuation = 3 // bytes around a name or a string
	sum := 0
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return sizeOf(v.Elem(), limit)
		}
	case reflect.String:
		return v.Len() + punctuation
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 { // raw JSON
			return v.Len() + 1
		}
		for i := 0; i < v.Len() && sum <= limit; i++ {
			sum += sizeOf(v.Index(i), limit-sum)
		}
	case reflect.Map:
		for entry := v.MapRange(); sum <= limit && entry.Next(); {
			sum += sizeOf(entry.Key(), limit) + sizeOf(entry.Value(), limit-sum)
		}
	case reflect.Struct:
		t := v.Type()
		if t == timeOfDay {
			return timeBytes
		}
		for i := 0; i < v.NumField() && sum <= limit; i++ {
			if !v.Field(i).IsZero() {
				sum += len(t.Field(i).Name) + punctuation + sizeOf(v.Field(i), limit-sum)
			}
		}
	default: // numbers and booleans are short
	}
	return sum + punctuation
}
