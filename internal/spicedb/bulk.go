package spicedb

import (
	"context"
	"errors"
	"slices"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

const (
	// maxBulk is the largest number of checks in one call to SpiceDB. Their steps together stay below the limit of a
	// call.
	maxBulk = 1000

	// maxTooLargeAlone is how many checks of one bulk may be too large when they are repeated alone. After that, no
	// check is repeated.
	maxTooLargeAlone = 100

	// If a bulk as a whole exceeds its limit of steps, each of its checks is first sent apart, in a bulk of one. At most
	// maxStepsApart of the checks sent apart may exceed the limit of a check in a bulk. Failed checks are then repeated
	// alone, as single checks, whose limit is higher. At most maxStepsAlone of the repeated checks may exceed this
	// higher limit.
	maxStepsAlone, maxStepsApart = 5, 25
)

// errNotRepeated is the error of a check that is not repeated alone.
var errNotRepeated = authz.Errorf(
	authz.CodeTooLarge, "the checks of this request need too many steps together; send this check in a separate request",
)

// CheckBulk implements authz.Engine, for any number of checks. SpiceDB evaluates checks that differ only in the
// resource together, so an error of one check becomes an error of all. CheckBulk repeats failed checks alone, so that
// each has the result of a single check. It limits the time for repetitions, and how many repeated checks may fail
// with CodeTooLarge. A failed check that is not repeated has the error CodeTooLarge. If all checks at an exact
// snapshot have this error, CheckBulk returns the token of the snapshot.
func (c *Client) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) (_ []authz.CheckResult, _ authz.Token, err error) {
	defer c.observe("CheckBulk", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	if len(checks) == 0 {
		return nil, "", authz.Errorf(authz.CodeInvalid, "there is nothing to check")
	}
	run := bulk{client: c, at: at, results: make([]authz.CheckResult, len(checks)), unsafe: c.conditionalAll(ctx)}
	deadline, _ := ctx.Deadline()
	run.until = time.Now().Add(time.Until(deadline) / 2)
	for start := 0; start < len(checks); start += maxBulk {
		end := min(start+maxBulk, len(checks))
		if err := run.check(ctx, checks[start:end], run.results[start:end]); err != nil {
			return nil, "", err
		}
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

// bulk evaluates checks in several calls, all at the state of the first one.
type bulk struct {
	client  *Client
	at      authz.Consistency
	token   authz.Token
	results []authz.CheckResult
	unsafe  map[schema.Name]bool // permissions of conditionalAll

	tooLarge     int       // checks that were too large alone
	alone, apart int       // checks that exceeded their limit of steps alone, and in a bulk of one
	until        time.Time // time from which no check is repeated any more
}

// mayRepeat reports whether the budget lets a check be repeated after it failed with an error.
func (b *bulk) mayRepeat(err error) bool {
	switch {
	case b.tooLarge >= maxTooLargeAlone, time.Now().After(b.until):
		return false
	default:
		return !exceedsSteps(err) || b.alone < maxStepsAlone && b.apart < maxStepsApart
	}
}

// check sets the results. If one check is malformed, or the request is too large, SpiceDB rejects the whole call. Then
// check sends each half of the checks separately, and halves again until a rejected check is alone.
func (b *bulk) check(ctx context.Context, checks []authz.Check, results []authz.CheckResult) error {
	err := b.call(ctx, checks, results)
	switch {
	case err == nil:
		return b.repeatAlone(ctx, checks, results)
	case !isOfQuestion(err):
		return err
	case len(checks) == 1:
		results[0].Err = err
		return b.repeatAlone(ctx, checks, results)
	case exceedsSteps(err):
		if err := b.checkApart(ctx, checks, results, err); err != nil {
			return err
		}
		return b.repeatAlone(ctx, checks, results)
	}
	half := len(checks) / 2
	if err := b.check(ctx, checks[:half], results[:half]); err != nil {
		return err
	}
	return b.check(ctx, checks[half:], results[half:])
}

// checkApart sends each check in a bulk of one, after a bulk that exceeded its limit of steps as a whole.
func (b *bulk) checkApart(ctx context.Context, checks []authz.Check, results []authz.CheckResult, failure error) error {
	for i := range checks {
		if !b.mayRepeat(failure) {
			results[i] = authz.CheckResult{Err: errNotRepeated}
			continue
		}
		err := b.call(ctx, checks[i:i+1], results[i:i+1])
		switch {
		case err == nil:
		case !isOfQuestion(err):
			return err
		default:
			results[i] = authz.CheckResult{Err: err}
		}
		if exceedsSteps(results[i].Err) {
			b.apart++
		}
	}
	return nil
}

// repeatAlone repeats the checks whose result other checks of the call may have affected, since SpiceDB shares parts of
// concurrent checks. It repeats them as single checks, one after the other. A single check may use more steps than a
// check in a bulk.
func (b *bulk) repeatAlone(ctx context.Context, checks []authz.Check, results []authz.CheckResult) error {
	for i, check := range checks {
		failure := results[i].Err
		failed := isCanceledCheck(ctx, failure) || exceedsSteps(failure) ||
			len(checks) > 1 && isOfQuestion(failure) && !isUnknownName(failure) && !errors.Is(failure, errNotRepeated)
		spoilt := len(checks) > 1 && b.unsafe[schema.Name{Type: check.Resource.Type, Name: check.Permission}]
		if !failed && !spoilt {
			continue
		}
		if !b.mayRepeat(failure) {
			results[i] = authz.CheckResult{Err: errNotRepeated}
			continue
		}
		response, err := b.client.check(ctx, check, b.at, false)
		switch {
		case err == nil:
			decision := fromPermissionship(response.GetPermissionship(), response.GetPartialCaveatInfo())
			results[i] = authz.CheckResult{Decision: decision}
			b.setState(fromToken(response.GetCheckedAt()))
		case !isOfQuestion(err):
			return err
		default:
			results[i] = authz.CheckResult{Err: err}
			if errors.Is(err, authz.CodeTooLarge) {
				b.tooLarge++
			}
		}
		if exceedsSteps(results[i].Err) {
			b.alone++
		}
	}
	return nil
}

// setState records the state of an answer. All later calls read the same state.
func (b *bulk) setState(token authz.Token) { b.token, b.at = token, authz.AtSnapshot(token) }

// isOfQuestion reports whether an error is about the request, and not about SpiceDB.
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

// reasonOfCause returns the reason that SpiceDB gave for an error that failure has translated, or anyReason if it
// gave none.
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
	for i, check := range checks {
		caveatContext, err := toStruct("context", check.Context)
		if err != nil {
			return err
		}
		if err := b.client.checkIntegers(ctx, check.Context); err != nil {
			return err
		}
		items[i] = &v1.CheckBulkPermissionsRequestItem{
			Resource:   toObject(check.Resource),
			Permission: string(check.Permission),
			Subject:    toSubject(check.Subject),
			Context:    caveatContext,
		}
	}
	request := &v1.CheckBulkPermissionsRequest{Consistency: consistency, Items: items}
	response, err := b.client.permissions.CheckBulkPermissions(ctx, request)
	if err != nil {
		return b.client.failure(ctx, err)
	}
	if len(response.GetPairs()) != len(checks) {
		answered := authz.Count(len(response.GetPairs()), "check", "checks")
		return authz.Errorf(authz.CodeInternal, "SpiceDB answered %s, but was asked %d", answered, len(checks))
	}
	for i, pair := range response.GetPairs() {
		if failed := pair.GetError(); failed != nil {
			results[i].Err = b.client.failure(ctx, status.ErrorProto(failed))
			continue
		}
		results[i].Decision = fromPermissionship(pair.GetItem().GetPermissionship(), pair.GetItem().GetPartialCaveatInfo())
	}
	b.setState(fromToken(response.GetCheckedAt()))
	return nil
}
