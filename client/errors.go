package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// Code is a kind of error. It implements error, for use with errors.Is.
type Code string

// The codes of the API.
const (
	Invalid          Code = "invalid"
	Unauthenticated  Code = "unauthenticated"
	Forbidden        Code = "forbidden"
	NotFound         Code = "not_found"
	MethodNotAllowed Code = "method_not_allowed"
	Conflict         Code = "conflict"
	FeatureRequired  Code = "feature_required"

	// PreconditionFailed means that the call requires a version of an object, and that the object has another
	// version.
	PreconditionFailed Code = "precondition_failed"

	TooLarge    Code = "too_large"
	Unsupported Code = "unsupported"
	Limited     Code = "limited"
	Canceled    Code = "canceled"
	Internal    Code = "internal"
	Unavailable Code = "unavailable" // also used if the server cannot be reached
	Deadline    Code = "deadline"
)

// Error returns the code.
func (c Code) Error() string { return string(c) }

// Error describes why a call failed. All errors of this package have this type.
type Error struct {
	Code      Code
	Status    int           // HTTP status; 0 if the server did not answer
	Detail    string        // description for people
	RequestID string        // the request's id in the server's log
	After     time.Duration // from the header Retry-After: how long to wait before a retry; 0 without it

	// Permission is the permission that the actor lacks, if Code is Forbidden.
	Permission string

	// Accounts and Subscriptions have the ids of the objects that caused the error, if Code is Conflict. They may be
	// empty.
	Accounts      []string
	Subscriptions []string

	// Holders has some of the holders of a role, if the role cannot be deleted because it has holders. HolderCounts
	// has the number of all its holders by their type, for example "user".
	Holders      []HeldRole
	HolderCounts map[string]int

	cause error
}

// Error returns code, detail and request id.
func (e *Error) Error() string {
	text := "sluice: " + string(e.Code) + ": " + e.Detail
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Is reports whether target is the error's Code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap returns the cause, for example an error of the HTTP transport.
func (e *Error) Unwrap() error { return e.cause }

// problem returns the error for an answer whose status reports a failure.
func problem(response *http.Response, body []byte) *Error {
	e := &Error{Status: response.StatusCode, RequestID: response.Header.Get("X-Request-ID"), After: retryAfter(response)}
	var sent rest.Problem
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if media == "application/problem+json" && json.Unmarshal(body, &sent) == nil && sent.Code != "" {
		known := problemOf(sent)
		known.RequestID, known.After = e.RequestID, e.After
		return known
	}
	e.Code, e.Detail = Internal, fmt.Sprintf("the answer is not from Sluice: %s", response.Status)
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Code = Unavailable
	case http.StatusTooManyRequests:
		e.Code = Limited
	}
	return e
}

// problemOf converts a problem document into an error.
func problemOf(sent rest.Problem) *Error {
	return &Error{
		Code: Code(sent.Code), Status: sent.Status, Detail: sent.Detail, RequestID: sent.RequestID,
		Permission: sent.Permission, Accounts: sent.Accounts, Subscriptions: sent.Subscriptions,
		Holders: readHeldRoles(sent.Holders), HolderCounts: sent.HolderCounts,
	}
}

// retryAfter returns the time in the header Retry-After. It ignores a date in this header; Sluice sends seconds only.
func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
