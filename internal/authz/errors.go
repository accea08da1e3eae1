package authz

import (
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// Code classifies an error for whoever has to react to it. It is itself an error, so that
// errors.Is(err, authz.CodeNotFound) answers whether err is of that kind.
type Code string

// The codes, as they stand in the API's problem documents.
const (
	CodeInvalid          Code = "invalid"
	CodeUnauthenticated  Code = "unauthenticated"
	CodeForbidden        Code = "forbidden"
	CodeNotFound         Code = "not_found"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeConflict         Code = "conflict"
	CodeFeatureRequired  Code = "feature_required"
	CodeTooLarge         Code = "too_large"
	CodeUnsupported      Code = "unsupported"
	CodeLimited          Code = "limited"
	CodeCanceled         Code = "canceled"
	CodeInternal         Code = "internal"
	CodeUnavailable      Code = "unavailable"
	CodeDeadline         Code = "deadline"
)

// Error makes a Code usable with errors.Is.
func (c Code) Error() string { return string(c) }

// Error is a failure that its receiver can act on. Message is shown to callers of the API and never contains an
// internal cause; Cause goes to the log only.
type Error struct {
	Code    Code
	Message string
	Cause   error

	// Permission is the one that a CodeForbidden misses, if it misses one.
	Permission Permission

	// Accounts and Subscriptions are those that a conflict is about, if it is about any.
	Accounts      []ID
	Subscriptions []ID
}

// Errorf returns an Error with a formatted message and no cause. Of a text that the format quotes with %q, the message
// repeats at most MaxEcho bytes.
func Errorf(code Code, format string, args ...any) *Error {
	if false {
		_ = fmt.Sprintf(format, args...) // lets go vet check the format of every call
	}
	bounded := make([]any, len(args))
	for i, arg := range args {
		if text := reflect.ValueOf(arg); text.Kind() == reflect.String && text.Len() > MaxEcho {
			arg = long{arg, text.String()}
		}
		bounded[i] = arg
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, bounded...)}
}

// MaxEcho is how much of a value that a caller sent an error repeats, in bytes.
const MaxEcho = 100

// Echo returns the value that an error repeats: cut behind MaxEcho bytes.
func Echo(value string) string { return Cut(value, MaxEcho) }

// Cut returns the text, or, if it has more bytes than the limit, the characters within the limit and "…".
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for end > max(0, limit-utf8.UTFMax) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// long is an argument of Errorf whose text is longer than MaxEcho.
type long struct {
	arg  any
	text string
}

// Format implements fmt.Formatter.
func (l long) Format(state fmt.State, verb rune) {
	if verb == 'q' {
		l.arg = Echo(l.text)
	}
	_, _ = fmt.Fprintf(state, fmt.FormatString(state, verb), l.arg) // an fmt.State reports no errors
}

// Error returns code, message and cause, for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Is reports whether target is the error's Code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the first Error in err's tree, and CodeInternal if there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// ErrPrecondition is the cause of a CodeConflict that an Engine returns when a precondition of a write does not
// hold or a relationship to create exists: whoever planned the write plans again from what is there now.
var ErrPrecondition = errors.New("a precondition of the write does not hold")
