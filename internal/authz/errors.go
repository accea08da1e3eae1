package authz

import (
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// Code classifies an error. It is an error itself, so that errors.Is(err, authz.CodeNotFound) reports whether err has
// that code.
type Code string

// The codes of all errors. The API returns them in problem documents.
const (
	CodeInvalid          Code = "invalid"
	CodeUnauthenticated  Code = "unauthenticated"
	CodeForbidden        Code = "forbidden"
	CodeNotFound         Code = "not_found"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeConflict         Code = "conflict"

	// CodePreconditionFailed means that the caller requires a version of an object, and that the object has another
	// version.
	CodePreconditionFailed Code = "precondition_failed"

	CodeFeatureRequired Code = "feature_required"
	CodeTooLarge        Code = "too_large"
	CodeUnsupported     Code = "unsupported"
	CodeLimited         Code = "limited"
	CodeCanceled        Code = "canceled"
	CodeInternal        Code = "internal"
	CodeUnavailable     Code = "unavailable"
	CodeDeadline        Code = "deadline"
)

// Error implements error, so that a Code works with errors.Is.
func (c Code) Error() string { return string(c) }

// Error is an error with a code. Message is shown to API callers and never contains internal details. Cause is only
// logged.
type Error struct {
	Code    Code
	Message string
	Cause   error

	// Permission is the permission that the actor lacks, if Code is CodeForbidden; otherwise it is "".
	Permission Permission

	// Accounts and Subscriptions have the ids of the objects that caused the error, if Code is CodeConflict. They may
	// be empty.
	Accounts      []ID
	Subscriptions []ID

	// Holders has some of the holders of a role, if the role cannot be deleted because it has holders. HolderCounts
	// has the number of all its holders by their type. It is nil for any other error.
	Holders      []HeldRole
	HolderCounts map[Type]int
}

// HeldRole names a holder of a role, and the object on which the holder has it.
type HeldRole struct {
	Holder Holder
	On     Object
}

// Errorf returns an Error with a formatted message and without a cause. It truncates each string that the verb %q
// formats to MaxEcho bytes.
func Errorf(code Code, format string, args ...any) *Error {
	if false {
		_ = fmt.Sprintf(format, args...) // makes go vet check the format of each call
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

// MaxEcho is the maximum number of bytes of a request's value that an error repeats.
const MaxEcho = 100

// Echo truncates a value of a request to MaxEcho bytes, so that an error can repeat it.
func Echo(value string) string { return Cut(value, MaxEcho) }

// Cut returns the text if it is not longer than the limit in bytes. Otherwise it returns as many whole characters as
// fit into the limit, followed by "…".
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
	_, _ = fmt.Fprintf(state, fmt.FormatString(state, verb), l.arg) // fmt.State returns no errors
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

// CodeOf returns the code of the first *Error that err wraps, as errors.As finds it. If there is none, it returns
// CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// ErrPrecondition is the cause of a CodeConflict if a precondition of a write is false, or if a relationship of a
// Create exists. The caller should read the current state and retry.
var ErrPrecondition = errors.New("a precondition of the write does not hold")
