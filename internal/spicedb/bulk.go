package spicedb

import (
	"context"
	"errors"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxBulk is how many checks SpiceDB takes in one call.
const maxBulk = 10_000

// CheckBulk implements authz.Engine. It takes any number of checks.
func (c *Client) CheckBulk(ctx context.Context, checks []authz.Check, at authz.Consistency) (_ []authz.CheckResult, _ authz.Token, err error) {
	defer c.observe("CheckBulk", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	if len(checks) == 0 {
		return nil, "", authz.Errorf(authz.CodeInvalid, "there is nothing to check")
	}
	run := bulk{client: c, at: at, results: make([]authz.CheckResult, len(checks))}
	for start := 0; start < len(checks); start += maxBulk {
		end := min(start+maxBulk, len(checks))
		if err := run.check(ctx, checks[start:end], run.results[start:end]); err != nil {
			return nil, "", err
		}
	}
	if run.token == "" {
		// Not one check was evaluated, so there is no state that the answers rest on.
		return nil, "", run.results[0].Err
	}
	return run.results, run.token, nil
}

// bulk answers checks in several calls, all at the state of the first one.
type bulk struct {
	client  *Client
	at      authz.Consistency
	token   authz.Token
	results []authz.CheckResult
}

// check fills in results. SpiceDB refuses a call as a whole for one malformed check, or when it is too large: then each
// half is tried on its own, until the refused check is alone.
func (b *bulk) check(ctx context.Context, checks []authz.Check, results []authz.CheckResult) error {
	err := b.call(ctx, checks, results)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, authz.CodeInvalid) && !errors.Is(err, authz.CodeTooLarge):
		return err
	case len(checks) == 1:
		results[0].Err = err
		return nil
	}
	half := len(checks) / 2
	if err := b.check(ctx, checks[:half], results[:half]); err != nil {
		return err
	}
	return b.check(ctx, checks[half:], results[half:])
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
		return authz.Errorf(authz.CodeInternal, "SpiceDB answered %d checks of %d", len(response.GetPairs()), len(checks))
	}
	for i, pair := range response.GetPairs() {
		if failed := pair.GetError(); failed != nil {
			results[i].Err = b.client.failure(ctx, status.ErrorProto(failed))
			continue
		}
		results[i].Decision = fromPermissionship(pair.GetItem().GetPermissionship(), pair.GetItem().GetPartialCaveatInfo())
	}
	b.token = fromToken(response.GetCheckedAt())
	b.at = authz.AtSnapshot(b.token)
	return nil
}
