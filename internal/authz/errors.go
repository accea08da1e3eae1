package authz

import (
	"errors"
	"fmt"
)

// Code classifies an error for whoever has to react to it. It is itself an error, so that
// errors.Is(err, authz.CodeNotFound) answers whether err is of that kind.
type Code string

// The codes, as they stand in the API's problem documents.
const (
	CodeInvalid         Code = "invalid"
	CodeUnauthenticated Code = "unauthenticated"
	CodeForbidden       Code = "forbidden"
	CodeNotFound        Code = "not_found"
	CodeConflict        Code = "conflict"
	CodeFeatureRequired Code = "feature_required"
	CodeTooLarge        Code = "too_large"
	CodeLimited         Code = "limited"
	CodeCanceled        Code = "canceled"
	CodeInternal        Code = "internal"
	CodeUnavailable     Code = "unavailable"
	CodeDeadline        Code = "deadline"
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

// Errorf returns an Error with a formatted message and no cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
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
