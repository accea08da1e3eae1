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

// Code is what kind of problem an error is. It is itself an error, for errors.Is.
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
	TooLarge         Code = "too_large"
	Unsupported      Code = "unsupported"
	Limited          Code = "limited"
	Canceled         Code = "canceled"
	Internal         Code = "internal"
	Unavailable      Code = "unavailable" // also where the server could not be reached
	Deadline         Code = "deadline"
)

// Error makes a Code usable with errors.Is.
func (c Code) Error() string { return string(c) }

// Error is what went wrong with a call. All errors of this package are of this type.
type Error struct {
	Code      Code
	Status    int           // of the answer; 0 if there was none
	Detail    string        // what is wrong, for people
	RequestID string        // stands in the server's log
	After     time.Duration // when the server will take another try, if it said so

	// Permission is the one that the actor lacks, of a Forbidden operation.
	Permission string

	// Accounts and Subscriptions are those that a Conflict is about, if it is about any.
	Accounts      []string
	Subscriptions []string

	cause error
}

// Error returns code, detail and the id of the request.
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

// Unwrap returns what the transport of the request said, if that is what failed.
func (e *Error) Unwrap() error { return e.cause }

// problem reads the error that an answer holds.
func problem(response *http.Response, body []byte) *Error {
	e := &Error{Status: response.StatusCode, RequestID: response.Header.Get("X-Request-ID"), After: retryAfter(response)}
	var sent rest.Problem
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if media == "application/problem+json" && json.Unmarshal(body, &sent) == nil && sent.Code != "" {
		known := problemOf(sent)
		known.RequestID, known.After = e.RequestID, e.After
		return known
	}
	e.Code, e.Detail = Internal, fmt.Sprintf("the answer is not one of Sluice: %s", response.Status)
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Code = Unavailable
	case http.StatusTooManyRequests:
		e.Code = Limited
	}
	return e
}

// problemOf is the error that a problem document tells of.
func problemOf(sent rest.Problem) *Error {
	return &Error{
		Code: Code(sent.Code), Status: sent.Status, Detail: sent.Detail, RequestID: sent.RequestID,
		Permission: sent.Permission, Accounts: sent.Accounts, Subscriptions: sent.Subscriptions,
	}
}

// retryAfter is how long the answer asks to wait; the form with a date is not Sluice's and means nothing here.
func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
