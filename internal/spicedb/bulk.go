package spicedb

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

const (
	// maxBulk is the largest number of checks in one call to SpiceDB. It keeps the steps of all checks of a call
	// below the limit of the call.
	maxBulk = 1000

	// maxFailedSteps limits the steps of repeated checks that fail with CodeTooLarge, for all checks of a bulk
	// together. Steps below the first limit of repeatSteps do not count.
	maxFailedSteps = 100_000
)

// repeatSteps are the step limits of repeated checks. All checks are repeated with the first limit; those that exceed
// it are repeated with the next one, and so on. So cheap checks are answered before expensive ones are repeated. The
// last limit is that of a single check.
var repeatSteps = []int64{64, 256, 2_000, 10_000}

// errNotRepeated is the error of a check that failed together with others and is not repeated alone.
var errNotRepeated = authz.Errorf(
	authz.CodeTooLarge, "the checks of this request need too many steps together; send this check in a separate request",
)

// CheckBulk implements authz.Engine, for any number of checks. SpiceDB evaluates checks that differ only in the
// resource together, so an error of one check becomes the error of all of them. CheckBulk repeats these checks one by
// one, so that each has the result of a single check. It limits the time for repetitions, and the steps of
// repetitions that fail with CodeTooLarge. A failed check that is not repeated has an error with CodeTooLarge. If all
// checks at an exact snapshot have an error with this code, CheckBulk returns the token of the snapshot.
func (c *Client) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) (_ []authz.CheckResult, _ authz.Token, err error) {
	defer c.observe("CheckBulk", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	if len(checks) == 0 {
		return nil, "", authz.Errorf(authz.CodeInvalid, "there is nothing to check")
	}
	run := bulk{
		client: c, at: at, checks: checks, results: make([]authz.CheckResult, len(checks)), unsafe: c.conditionalAll(ctx),
	}
	deadline, _ := ctx.Deadline()
	run.until = time.Now().Add(time.Until(deadline) / 2)
	for start := 0; start < len(checks); start += maxBulk {
		if err := run.check(ctx, start, min(start+maxBulk, len(checks))); err != nil {
			return nil, "", err
		}
	}
	if err := run.repeat(ctx); err != nil {
		return nil, "", err
	}
	if run.token != "" {
		return run.results, run.token, nil
	}
	isDecided := func(r authz.CheckResult) bool { return !errors.Is(r.Err, authz.CodeTooLarge) }
	if at.Freshness == authz.ExactSnapshot && !slices.ContainsFunc(run.results, isDecided) {
		return run.results, at.Token, nil
	}
	// No check was evaluated, so there is no token.
	return run.results, "", run.results[0].Err
}

// bulk evaluates checks in several calls, all at the state of the first call.
type bulk struct {
	client  *Client
	at      authz.Consistency
	token   authz.Token
	checks  []authz.Check
	results []authz.CheckResult
	unsafe  map[schema.Name]bool // permissions of conditionalAll

	pending     []int     // positions of the checks to repeat alone
	failedSteps int64     // steps of repeated checks that failed with CodeTooLarge
	until       time.Time // time after which no check is repeated
}

// check sets the results of the checks from start to end. It adds those that must be repeated alone to pending.
// SpiceDB rejects the whole call if one check is malformed or the request is too large. Then check calls itself for
// each half of the checks, until a rejected check is alone.
func (b *bulk) check(ctx context.Context, start, end int) error {
	err := b.call(ctx, b.checks[start:end], b.results[start:end])
	switch {
	case err == nil:
		b.findPending(ctx, start, end)
		return nil
	case !isOfQuestion(err):
		return err
	case exceedsSteps(err):
		for i := start; i < end; i++ {
			b.pending = append(b.pending, i)
		}
		return nil
	case end-start == 1:
		b.results[start].Err = err
		b.findPending(ctx, start, end)
		return nil
	}
	half := (start + end) / 2
	if err := b.check(ctx, start, half); err != nil {
		return err
	}
	return b.check(ctx, half, end)
}

// findPending adds the checks whose result may depend on other checks of the call to pending. SpiceDB evaluates
// checks together only if they have the same subject. findPending also adds checks that took too many steps, since a
// single check may take more.
func (b *bulk) findPending(ctx context.Context, start, end int) {
	same := make(map[authz.Subject]int)
	for _, check := range b.checks[start:end] {
		same[check.Subject]++
	}
	for i := start; i < end; i++ {
		check, failure := b.checks[i], b.results[i].Err
		shared := same[check.Subject] > 1
		if isCanceledCheck(ctx, failure) || exceedsSteps(failure) ||
			shared && isOfQuestion(failure) && !isUnknownName(failure) ||
			shared && b.unsafe[schema.Name{Type: check.Resource.Type, Name: check.Permission}] {
			b.pending = append(b.pending, i)
		}
	}
}

// repeat repeats the pending checks one by one: first all with the lowest step limit, then those that exceeded it with
// the next limit.
func (b *bulk) repeat(ctx context.Context) error {
	for n, steps := range repeatSteps {
		var exceeding []int
		for _, i := range b.pending {
			if time.Now().After(b.until) || b.failedSteps >= maxFailedSteps {
				b.results[i] = authz.CheckResult{Err: errNotRepeated}
				continue
			}
			used, err := b.repeatAlone(ctx, i, steps)
			if err != nil {
				return err
			}
			failure := b.results[i].Err
			if n > 0 && errors.Is(failure, authz.CodeTooLarge) {
				b.failedSteps += used
			}
			if exceedsSteps(failure) {
				exceeding = append(exceeding, i)
			}
		}
		b.pending = exceeding
	}
	return nil
}

// repeatAlone repeats a check with a step limit and sets its result. It returns the steps that the check took.
func (b *bulk) repeatAlone(ctx context.Context, i int, steps int64) (used int64, err error) {
	var trailer metadata.MD
	limited := metadata.AppendToOutgoingContext(ctx, maxStepsHeader, strconv.FormatInt(steps, 10))
	response, err := b.client.check(limited, b.checks[i], b.at, false, grpc.Trailer(&trailer))
	switch {
	case err == nil:
		decision := fromPermissionship(response.GetPermissionship(), response.GetPartialCaveatInfo())
		b.results[i] = authz.CheckResult{Decision: decision}
		b.setState(fromToken(response.GetCheckedAt()))
	case !isOfQuestion(err):
		return 0, err
	default:
		b.results[i] = authz.CheckResult{Err: err}
	}
	return stepsOf(trailer, steps), nil
}

// setState makes later calls read at the revision of this answer.
func (b *bulk) setState(token authz.Token) { b.token, b.at = token, authz.AtSnapshot(token) }

// isOfQuestion reports whether the request itself causes an error, and not the state of SpiceDB.
func isOfQuestion(err error) bool {
	return errors.Is(err, authz.CodeInvalid) || errors.Is(err, authz.CodeTooLarge)
}

// isCanceledCheck reports whether SpiceDB canceled one check of a call although the caller still waits.
func isCanceledCheck(ctx context.Context, err error) bool {
	var known *authz.Error
	return errors.As(err, &known) && isCanceledInside(ctx, known.Cause)
}

// exceedsSteps reports whether an embedded SpiceDB ended a call because it exceeded its limits.
func exceedsSteps(err error) bool {
	var known *authz.Error
	return errors.As(err, &known) && known.Message == boundMessage
}

// isUnknownName reports whether an error is about a type, relation or permission that the schema does not have.
func isUnknownName(err error) bool {
	switch reasonOfCause(err) {
	case v1.ErrorReason_ERROR_REASON_UNKNOWN_DEFINITION, v1.ErrorReason_ERROR_REASON_UNKNOWN_RELATION_OR_PERMISSION:
		return true
	default:
		return false
	}
}

// reasonOfCause returns the reason that SpiceDB gave for an error, after failure has translated the error. It returns
// anyReason if SpiceDB gave none.
func reasonOfCause(err error) v1.ErrorReason {
	var known *authz.Error
	if !errors.As(err, &known) || known.Cause == nil {
		return anyReason
	}
	return v1.ErrorReason(v1.ErrorReason_value[reasonOf(status.Convert(known.Cause)).GetReason()])
}

func (b *bulk) call(ctx context.Context, checks []authz.Check, results []authz.CheckResult) error {
	consistency, err := toConsistency(b.at)
	if err != nil {
		return err
	}
	items := make([]*v1.CheckBulkPermissionsRequestItem, len(checks))
	given := make([]givenContext, len(checks))
	for i, check := range checks {
		given[i], err = b.client.toGivenContext(ctx, check.Resource.Type, check.Permission, check.Context)
		if err != nil {
			return err
		}
		items[i] = &v1.CheckBulkPermissionsRequestItem{
			Resource:   toObject(check.Resource),
			Permission: string(check.Permission),
			Subject:    toSubject(check.Subject),
			Context:    given[i].values,
		}
	}
	request := &v1.CheckBulkPermissionsRequest{Consistency: consistency, Items: items}
	response, err := b.client.permissions.CheckBulkPermissions(ctx, request)
	if err != nil {
		return b.client.failure(ctx, err)
	}
	if len(response.GetPairs()) != len(checks) {
		answered := authz.Count(len(response.GetPairs()), "check", "checks")
		return authz.Errorf(authz.CodeInternal, "SpiceDB answered %s instead of %d", answered, len(checks))
	}
	for i, pair := range response.GetPairs() {
		if failed := pair.GetError(); failed != nil {
			results[i].Err = given[i].nameNumber(b.client.failure(ctx, status.ErrorProto(failed)))
			continue
		}
		results[i].Decision = fromPermissionship(pair.GetItem().GetPermissionship(), pair.GetItem().GetPartialCaveatInfo())
	}
	b.setState(fromToken(response.GetCheckedAt()))
	return nil
}
