package spicedb

import (
	"context"
	"errors"
	"strings"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
)

// rule translates an error of SpiceDB. A rule without a criterion matches every error.
type rule struct {
	code   codes.Code
	reason v1.ErrorReason
	text   string // a part of SpiceDB's message

	is      authz.Code
	message string // empty means SpiceDB's message
	retry   bool   // the caller reads again and retries: authz.ErrPrecondition
}

const (
	anyCode   = codes.OK // no error has this code
	anyReason = v1.ErrorReason_ERROR_REASON_UNSPECIFIED
)

const (
	conflictMessage    = "a fact that the write requires has changed"
	unavailableMessage = "SpiceDB cannot be reached at the moment"
	storeMessage       = "the datastore of SpiceDB cannot be reached at the moment"
	internalMessage    = "an internal error occurred"
	cursorMessage      = "the cursor does not belong to this list"
	tokenMessage       = "the token is not one that this server returned"
	goneMessage        = "the token or cursor names a state that is no longer stored or never existed"
	malformedMessage   = "SpiceDB rejects the request as malformed: a name, an id or the context"
	keyMessage         = "SpiceDB rejects the configured key (--spicedb-token)"
	largeMessage       = "the request is too large"
)

// rules translate SpiceDB's errors to those of the domain. The first matching rule applies. Rules prefer reasons to
// codes, since the code FailedPrecondition has many meanings.
var rules = []rule{
	{
		reason: v1.ErrorReason_ERROR_REASON_WRITE_OR_DELETE_PRECONDITION_FAILURE, is: authz.CodeConflict,
		message: conflictMessage, retry: true,
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_ATTEMPT_TO_RECREATE_RELATIONSHIP, is: authz.CodeConflict,
		message: "a relationship to create exists already", retry: true,
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_SERIALIZATION_FAILURE, is: authz.CodeConflict, message: conflictMessage,
		retry: true,
	},

	{
		reason: v1.ErrorReason_ERROR_REASON_TOO_MANY_UPDATES_IN_REQUEST, is: authz.CodeTooLarge,
		message: "the write has too many updates",
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_TOO_MANY_PRECONDITIONS_IN_REQUEST, is: authz.CodeTooLarge,
		message: "the write has too many preconditions",
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_TOO_MANY_RELATIONSHIPS_FOR_TRANSACTIONAL_DELETE, is: authz.CodeTooLarge,
		message: largeMessage,
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_TRANSACTION_METADATA_TOO_LARGE, is: authz.CodeTooLarge,
		message: "the metadata of the write is too large",
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_MAX_RELATIONSHIP_CONTEXT_SIZE, is: authz.CodeTooLarge,
		message: "the context of a relationship is too large",
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_EXCEEDS_MAXIMUM_ALLOWABLE_LIMIT, is: authz.CodeTooLarge,
		message: "the limit is too large",
	},
	{reason: v1.ErrorReason_ERROR_REASON_MAXIMUM_DEPTH_EXCEEDED, is: authz.CodeTooLarge, message: depthMessage},

	{code: codes.Unauthenticated, is: authz.CodeInternal, message: keyMessage},
	{code: codes.PermissionDenied, is: authz.CodeInternal, message: keyMessage},

	{
		reason: v1.ErrorReason_ERROR_REASON_SERVICE_READ_ONLY, is: authz.CodeUnavailable,
		message: "SpiceDB accepts no writes at the moment",
	},

	{reason: v1.ErrorReason_ERROR_REASON_INVALID_CURSOR, is: authz.CodeInvalid, message: cursorMessage},
	{
		reason: v1.ErrorReason_ERROR_REASON_INVALID_FILTER, is: authz.CodeInvalid,
		message: "the schema does not allow a relationship that the filter selects",
	},
	{
		reason: v1.ErrorReason_ERROR_REASON_UPDATES_ON_SAME_RELATIONSHIP, is: authz.CodeInvalid,
		message: "the write has two updates of the same relationship",
	},
	{reason: v1.ErrorReason_ERROR_REASON_INVALID_SUBJECT_TYPE, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_CANNOT_UPDATE_PERMISSION, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_UNKNOWN_CAVEAT, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_CAVEAT_PARAMETER_TYPE_ERROR, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_CAVEAT_EVALUATION_ERROR, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_SCHEMA_PARSE_ERROR, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_SCHEMA_TYPE_ERROR, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_UNKNOWN_DEFINITION, is: authz.CodeInvalid},
	{reason: v1.ErrorReason_ERROR_REASON_UNKNOWN_RELATION_OR_PERMISSION, is: authz.CodeInvalid},

	{code: codes.InvalidArgument, text: "invalid revision requested", is: authz.CodeInvalid, message: tokenMessage},
	{
		code: codes.Unknown, text: "references a different datastore instance", is: authz.CodeInvalid,
		message: "the token belongs to another SpiceDB",
	},
	{
		code: codes.Unknown, text: "import resolution", is: authz.CodeInvalid,
		message: "the schema has imports; an applied schema must be one text without imports",
	},
	{code: codes.Internal, text: "error decoding cursor", is: authz.CodeInvalid, message: cursorMessage},
	{
		code: codes.InvalidArgument, text: "caveat context should have less", is: authz.CodeTooLarge,
		message: "the context is too large",
	},
	{text: depthMessage, is: authz.CodeTooLarge, message: depthMessage},
	{text: togetherMessage, is: authz.CodeTooLarge, message: togetherMessage},
	{text: boundMessage, is: authz.CodeTooLarge, message: boundMessage},
	{code: codes.ResourceExhausted, text: "message larger than max", is: authz.CodeTooLarge, message: largeMessage},

	{
		code: codes.Unavailable, text: sqlitestore.ErrFull.Error(), is: authz.CodeUnavailable,
		message: "the disk of the store is full; nothing was written",
	},
	{
		code: codes.Unavailable, text: sqlitestore.ErrCorrupt.Error(), is: authz.CodeUnavailable,
		message: "the store is damaged",
	},

	{code: codes.AlreadyExists, is: authz.CodeConflict, message: conflictMessage, retry: true},
	{code: codes.Aborted, is: authz.CodeConflict, message: conflictMessage, retry: true},
	{code: codes.InvalidArgument, is: authz.CodeInvalid, message: malformedMessage},
	{code: codes.OutOfRange, is: authz.CodeInvalid, message: goneMessage},
	{code: codes.NotFound, is: authz.CodeNotFound, message: "SpiceDB has no schema yet"},
	{code: codes.Unavailable, is: authz.CodeUnavailable, message: unavailableMessage},
	{code: codes.ResourceExhausted, is: authz.CodeUnavailable, message: "SpiceDB is overloaded"},
	{code: codes.Canceled, is: authz.CodeUnavailable, message: unavailableMessage},
	{code: codes.DeadlineExceeded, is: authz.CodeDeadline, message: "the request exceeded its time limit"},

	// SpiceDB has no code for an unavailable datastore.
	{text: "failed to connect to", is: authz.CodeUnavailable, message: storeMessage},
	{text: "connection refused", is: authz.CodeUnavailable, message: storeMessage},
	{text: "connection reset by peer", is: authz.CodeUnavailable, message: storeMessage},
	{text: "broken pipe", is: authz.CodeUnavailable, message: storeMessage},
	{text: "unexpected EOF", is: authz.CodeUnavailable, message: storeMessage},
	{text: "conn closed", is: authz.CodeUnavailable, message: storeMessage},
	{text: "SQLSTATE 57P0", is: authz.CodeUnavailable, message: storeMessage}, // PostgreSQL is shutting down or starting

	{is: authz.CodeInternal, message: internalMessage},
}

// failure translates the error of a call to an *authz.Error.
func (c *Client) failure(ctx context.Context, err error) error {
	var known *authz.Error
	if errors.As(err, &known) {
		return err
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent), errors.Is(cause, context.DeadlineExceeded):
		return &authz.Error{Code: authz.CodeDeadline, Message: "the request exceeded its time limit", Cause: err}
	case cause != nil:
		return &authz.Error{Code: authz.CodeCanceled, Message: "the request was canceled", Cause: err}
	}
	st := status.Convert(err)
	info := reasonOf(st)
	if unknown := c.unknownName(ctx, info); unknown != nil {
		unknown.Cause = err
		return unknown
	}
	return translate(st, v1.ErrorReason(v1.ErrorReason_value[info.GetReason()]), err)
}

// textlessCause wraps SpiceDB's error as the cause of an authz.Error whose message is already SpiceDB's text. The
// text of textlessCause has only the code, so that a log does not repeat the message. reasonOfCause can still read
// SpiceDB's reason.
type textlessCause struct{ error }

// Error implements error.
func (c textlessCause) Error() string { return "SpiceDB answered " + status.Code(c.error).String() }

// Unwrap returns SpiceDB's error.
func (c textlessCause) Unwrap() error { return c.error }

func translate(st *status.Status, reason v1.ErrorReason, err error) *authz.Error {
	for _, r := range rules {
		if r.code != anyCode && r.code != st.Code() || r.reason != anyReason && r.reason != reason || !strings.Contains(
			st.Message(), r.text,
		) {
			continue
		}
		out := &authz.Error{Code: r.is, Message: r.message, Cause: err}
		if out.Message == "" {
			out.Message = st.Message()
			out.Cause = textlessCause{err}
		}
		if r.retry {
			out.Cause = errors.Join(authz.ErrPrecondition, err)
		}
		return out
	}
	return &authz.Error{Code: authz.CodeInternal, Message: internalMessage, Cause: err}
}

// reasonOf returns SpiceDB's machine-readable details of an error, or nil if there are none.
func reasonOf(st *status.Status) *errdetails.ErrorInfo {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}
