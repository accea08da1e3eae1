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

// maxBulk is how many checks are asked in one call: few enough to need fewer steps together than one call may take.
const maxBulk = 1000

// maxTooLargeAlone is how many checks of one bulk are asked again alone and are too large. The others that have no answer are not
// asked then: each could take as many steps, and all of them longer than the request may.
const maxTooLargeAlone = 100

// errUnasked is the error of a check that is not asked alone.
var errUnasked = authz.Errorf(
	authz.CodeTooLarge, "the checks of this request need too many steps together; ask this one in a request of its own",
)

// CheckBulk implements authz.Engine. It takes any number of checks. SpiceDB decides checks that differ in the resource alone
// together, so that one that fails fails others; each of them is asked again, alone: the answer to each is that
// of a single check. When maxTooLargeAlone of them are too large, or half of the time that ctx allows is over, the others without an
// answer are too large. If all checks at an exact snapshot are too large, the token of the answer is that of the snapshot.
func (c *Client) CheckBulk(ctx context.Context, checks []authz.Check, at authz.Consistency) (_ []authz.CheckResult, _ authz.Token, err error) {
	defer c.observe("CheckBulk", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	if len(checks) == 0 {
		return nil, "", authz.Errorf(authz.CodeInvalid, "there is nothing to check")
	}
	run := bulk{client: c, at: at, results: make([]authz.CheckResult, len(checks)), spoilt: c.conditionalAll(ctx)}
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
	// Not one check was evaluated, so there is no state that the answers rest on.
	return nil, "", run.results[0].Err
}

// bulk answers checks in several calls, all at the state of the first one.
type bulk struct {
	client  *Client
	at      authz.Consistency
	token   authz.Token
	results []authz.CheckResult
	spoilt  map[schema.Name]bool // what SpiceDB decides wrongly of several resources

	tooLarge int       // checks that were too large alone
	until    time.Time // when no check is asked alone any more
}

// check fills in results. SpiceDB refuses a call as a whole for one malformed check, or when it is too large: then each
// half is tried on its own, until the refused check is alone.
func (b *bulk) check(ctx context.Context, checks []authz.Check, results []authz.CheckResult) error {
	err := b.call(ctx, checks, results)
	switch {
	case err == nil:
		return b.askAgain(ctx, checks, results)
	case !isOfQuestion(err):
		return err
	case len(checks) == 1:
		results[0].Err = err
		return nil
	case exceedsSteps(err):
		for i := range results {
			results[i] = authz.CheckResult{Err: err}
		}
		return b.askAgain(ctx, checks, results)
	}
	half := len(checks) / 2
	if err := b.check(ctx, checks[:half], results[:half]); err != nil {
		return err
	}
	return b.check(ctx, checks[half:], results[half:])
}

// askAgain asks each check alone, one after the other, whose answer may come from others in the call: of those that SpiceDB runs at
// the same time, it shares parts.
func (b *bulk) askAgain(ctx context.Context, checks []authz.Check, results []authz.CheckResult) error {
	if len(checks) == 1 && !isCanceledCheck(ctx, results[0].Err) {
		return nil
	}
	for i, check := range checks {
		failed := isOfQuestion(results[i].Err) && !isUnknownName(results[i].Err) || isCanceledCheck(ctx, results[i].Err)
		if !failed && !b.spoilt[schema.Name{Type: check.Resource.Type, Name: check.Permission}] {
			continue
		}
		if b.tooLarge >= maxTooLargeAlone || time.Now().After(b.until) {
			results[i] = authz.CheckResult{Err: errUnasked}
			continue
		}
		response, err := b.client.check(ctx, check, b.at, false)
		switch {
		case err == nil:
			results[i] = authz.CheckResult{Decision: fromPermissionship(response.GetPermissionship(), response.GetPartialCaveatInfo())}
			b.rests(fromToken(response.GetCheckedAt()))
		case !isOfQuestion(err):
			return err
		default:
			results[i] = authz.CheckResult{Err: err}
			if errors.Is(err, authz.CodeTooLarge) {
				b.tooLarge++
			}
		}
	}
	return nil
}

// rests notes the state that an answer rests on, which is that of all that follow.
func (b *bulk) rests(token authz.Token) { b.token, b.at = token, authz.AtSnapshot(token) }

// isOfQuestion reports whether an error is about what was asked, and not about SpiceDB.
func isOfQuestion(err error) bool {
	return errors.Is(err, authz.CodeInvalid) || errors.Is(err, authz.CodeTooLarge)
}

// isCanceledCheck reports whether SpiceDB canceled one check of a call, although the caller still waits.
func isCanceledCheck(ctx context.Context, err error) bool {
	var known *authz.Error
	return errors.As(err, &known) && isCanceledInside(ctx, known.Cause)
}

// exceedsSteps reports whether an embedded SpiceDB has ended a call for its steps.
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

// reasonOfCause is the reason that SpiceDB gives for an error that failure has translated; none if it gives none.
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
	response, err := b.client.permissions.CheckBulkPermissions(ctx, &v1.CheckBulkPermissionsRequest{Consistency: consistency, Items: items})
	if err != nil {
		return b.client.failure(ctx, err)
	}
	if len(response.GetPairs()) != len(checks) {
		return authz.Errorf(authz.CodeInternal, "SpiceDB answered %s of %d", authz.Count(len(response.GetPairs()), "check", "checks"), len(checks))
	}
	for i, pair := range response.GetPairs() {
		if failed := pair.GetError(); failed != nil {
			results[i].Err = b.client.failure(ctx, status.ErrorProto(failed))
			continue
		}
		results[i].Decision = fromPermissionship(pair.GetItem().GetPermissionship(), pair.GetItem().GetPartialCaveatInfo())
	}
	b.rests(fromToken(response.GetCheckedAt()))
	return nil
}
