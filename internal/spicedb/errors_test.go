package spicedb

import (
	"context"
	"errors"
	"strings"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
)

func withReason(t *testing.T, code codes.Code, reason v1.ErrorReason, message string) error {
	t.Helper()
	st, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{Reason: reason.String(), Domain: "authzed.com"})
	require.NoError(t, err)
	return st.Err()
}

func TestFailure(t *testing.T) {
	const secret = "secret-cause"
	client := &Client{}
	for _, c := range []struct {
		err    error
		want   authz.Code
		replan bool
		shown  bool // callers see SpiceDB's message
	}{
		{
			withReason(t, codes.FailedPrecondition, v1.ErrorReason_ERROR_REASON_WRITE_OR_DELETE_PRECONDITION_FAILURE, secret),
			authz.CodeConflict, true, false,
		},
		{
			withReason(t, codes.AlreadyExists, v1.ErrorReason_ERROR_REASON_ATTEMPT_TO_RECREATE_RELATIONSHIP, secret),
			authz.CodeConflict, true, false,
		},
		{
			withReason(t, codes.Aborted, v1.ErrorReason_ERROR_REASON_SERIALIZATION_FAILURE, secret), authz.CodeConflict, true,
			false,
		},
		{
			withReason(t, codes.Aborted, v1.ErrorReason_ERROR_REASON_SERVICE_READ_ONLY, secret), authz.CodeUnavailable, false,
			false,
		},
		{
			withReason(t, codes.InvalidArgument, v1.ErrorReason_ERROR_REASON_TOO_MANY_UPDATES_IN_REQUEST, secret),
			authz.CodeTooLarge, false, false,
		},
		{
			withReason(t, codes.InvalidArgument, v1.ErrorReason_ERROR_REASON_TOO_MANY_PRECONDITIONS_IN_REQUEST, secret),
			authz.CodeTooLarge, false, false,
		},
		{
			withReason(t, codes.ResourceExhausted, v1.ErrorReason_ERROR_REASON_MAXIMUM_DEPTH_EXCEEDED, secret),
			authz.CodeTooLarge, false, false,
		},
		{
			withReason(t, codes.FailedPrecondition, v1.ErrorReason_ERROR_REASON_INVALID_CURSOR, secret), authz.CodeInvalid,
			false, false,
		},
		{
			withReason(t, codes.InvalidArgument, v1.ErrorReason_ERROR_REASON_INVALID_SUBJECT_TYPE, secret), authz.CodeInvalid,
			false, true,
		},
		{
			withReason(t, codes.InvalidArgument, v1.ErrorReason_ERROR_REASON_SCHEMA_PARSE_ERROR, secret), authz.CodeInvalid,
			false, true,
		},
		{
			withReason(t, codes.FailedPrecondition, v1.ErrorReason_ERROR_REASON_SCHEMA_TYPE_ERROR, secret), authz.CodeInvalid,
			false, true,
		},
		{
			withReason(t, codes.FailedPrecondition, v1.ErrorReason_ERROR_REASON_COUNTER_NOT_REGISTERED, secret),
			authz.CodeInternal, false, false,
		},
		{status.Error(codes.FailedPrecondition, secret), authz.CodeInternal, false, false},
		{status.Error(codes.Aborted, "could not serialize: "+secret), authz.CodeConflict, true, false},
		{status.Error(codes.AlreadyExists, secret), authz.CodeConflict, true, false},
		{status.Error(codes.InvalidArgument, "invalid revision requested"), authz.CodeInvalid, false, false},
		{status.Error(codes.InvalidArgument, secret), authz.CodeInvalid, false, false},
		{status.Error(codes.OutOfRange, "invalid revision: "+secret), authz.CodeInvalid, false, false},
		{
			status.Error(codes.ResourceExhausted, "grpc: received message larger than max: "+secret), authz.CodeTooLarge, false,
			false,
		},
		{status.Error(codes.ResourceExhausted, secret), authz.CodeUnavailable, false, false},
		{status.Error(codes.Unavailable, secret), authz.CodeUnavailable, false, false},
		{status.Error(codes.Canceled, secret), authz.CodeUnavailable, false, false}, // the context did not end
		{status.Error(codes.DeadlineExceeded, secret), authz.CodeDeadline, false, false},
		{status.Error(codes.NotFound, secret), authz.CodeNotFound, false, false},
		{status.Error(codes.Unauthenticated, secret), authz.CodeInternal, false, false},
		{status.Error(codes.PermissionDenied, secret), authz.CodeInternal, false, false},
		{status.Error(codes.Internal, secret), authz.CodeInternal, false, false},
		{status.Error(codes.Unknown, secret), authz.CodeInternal, false, false},
		{status.Error(codes.Unimplemented, secret), authz.CodeInternal, false, false},
		{errors.New(secret), authz.CodeInternal, false, false},
		{authz.Errorf(authz.CodeForbidden, "kept as it is"), authz.CodeForbidden, false, false},
	} {
		var got *authz.Error
		require.ErrorAs(t, client.failure(t.Context(), c.err), &got)
		require.Equal(t, c.want, got.Code, "%v", c.err)
		require.Equal(t, c.replan, errors.Is(got, authz.ErrPrecondition), "%v", c.err)
		require.Equal(t, c.shown, strings.Contains(got.Message, secret), "%v: %s", c.err, got.Message)
		require.NotEmpty(t, got.Message)
	}
}

func TestFailureOfAnEndedContext(t *testing.T) {
	client := &Client{}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	silent, end := context.WithCancelCause(t.Context())
	end(errSilent)
	for want, ctx := range map[authz.Code][]context.Context{
		authz.CodeCanceled: {canceled}, authz.CodeDeadline: {late, silent},
	} {
		for _, ctx := range ctx {
			require.ErrorIs(t, client.failure(ctx, status.Error(codes.Unavailable, "x")), want)
		}
	}
}

// TestShownFailureKeepsItsReason checks an error whose message is SpiceDB's text. It must contain the text only once,
// and SpiceDB's reason must remain readable.
func TestShownFailureKeepsItsReason(t *testing.T) {
	err := (&Client{}).failure(t.Context(), withReason(
		t, codes.InvalidArgument, v1.ErrorReason_ERROR_REASON_CAVEAT_EVALUATION_ERROR, "no such key: day",
	))
	require.Equal(t, 1, strings.Count(err.Error(), "no such key: day"), "%v", err)
	require.True(t, isCaveatFailure(err))
}
