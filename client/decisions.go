package client

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sluice-authz/sluice/client/rest"
)

// Reference names an object or, with a Relation, all subjects that have this relation to the object.
type Reference struct {
	Type, ID string
	Relation string
}

// User returns a reference to the person with this id, which the application chose. "user:bob" is the same person as
// "bob".
func User(id string) Reference { return Reference{Type: "user", ID: strings.TrimPrefix(id, "user:")} }

// Object parses "type:id". It splits at the first colon; the id may contain any characters.
func Object(reference string) Reference {
	typ, id, _ := strings.Cut(reference, ":")
	return Reference{Type: typ, ID: id}
}

// String returns the reference as type:id or type:id#relation, as zed writes it.
func (r Reference) String() string {
	if r.Relation != "" {
		return r.Type + ":" + r.ID + "#" + r.Relation
	}
	return r.Type + ":" + r.ID
}

// wire returns the reference as a JSON object, the form in which the API accepts any id. It rejects a reference that
// is not UTF-8, because encoding it as JSON would change its id.
func (r Reference) wire() (out rest.Reference, err error) {
	if !utf8.ValidString(r.String()) {
		return out, &Error{Code: Invalid, Detail: fmt.Sprintf("the reference %q is not UTF-8", r)}
	}
	return out, out.FromReferenceObject(rest.ReferenceObject{Type: r.Type, ID: r.ID, Relation: r.Relation})
}

// Check asks whether the subject has the permission on the resource.
type Check struct {
	Subject    Reference
	Permission string
	Resource   Reference

	// Context has values for the caveats of the schema. The server rejects numbers that a float64 cannot hold exactly:
	// send large integers as strings.
	Context map[string]any
}

func (c Check) wire() (out rest.BulkCheck, err error) {
	out.Permission, out.Context = c.Permission, c.Context
	if out.Subject, err = c.Subject.wire(); err != nil {
		return out, err
	}
	out.Resource, err = c.Resource.wire()
	return out, err
}

// Decision is the answer to a Check.
type Decision struct {
	Allowed bool

	// MissingContext lists the caveat parameters that the decision needs, but that are not in the Context of the
	// check. If there are any, Allowed is false.
	MissingContext []string

	// Token names the state of the data for which the decision was made. See WithToken.
	Token string

	// Err is the error of this check. Only CheckAll sets it. If it is set, Allowed is false.
	Err error
}

// Can reports whether a person has the permission on a resource "type:id". If there is an error, the result is false.
func (c *Client) Can(ctx context.Context, user, permission, resource string) (bool, error) {
	decision, err := c.Check(ctx, Check{Subject: User(user), Permission: permission, Resource: Object(resource)})
	return decision.Allowed, err
}

// CanEach reports, for each of up to 1000 resources "type:id", whether a person has the permission on it. It sends
// one request. If the server cannot decide about one of the resources, CanEach returns an error and no results.
func (c *Client) CanEach(ctx context.Context, user, permission string, resources ...string) (map[string]bool, error) {
	checks := make([]Check, len(resources))
	for i, resource := range resources {
		checks[i] = Check{Subject: User(user), Permission: permission, Resource: Object(resource)}
	}
	decisions, err := c.CheckAll(ctx, checks...)
	if err != nil {
		return nil, err
	}
	may := make(map[string]bool, len(resources))
	for i, decision := range decisions {
		if decision.Err != nil {
			return nil, decision.Err
		}
		may[resources[i]] = decision.Allowed
	}
	return may, nil
}

// CanAll reports whether a person has the permission on all of up to 1000 resources "type:id". If there is an error,
// the result is false. A call without resources is an error.
func (c *Client) CanAll(ctx context.Context, user, permission string, resources ...string) (bool, error) {
	may, err := c.CanEach(ctx, user, permission, resources...)
	if err != nil {
		return false, err
	}
	for _, allowed := range may {
		if !allowed {
			return false, nil
		}
	}
	return true, nil
}

// Check returns the decision about one check.
func (c *Client) Check(ctx context.Context, check Check) (Decision, error) {
	in, err := check.wire()
	if err != nil {
		return Decision{}, err
	}
	at, answered := chainOf(ctx).ask()
	decision, err := answer[rest.Decision](c.rest.Check(ctx, rest.CheckRequest{
		Subject: in.Subject, Permission: in.Permission, Resource: in.Resource, Context: in.Context, Consistency: at,
	}))
	if err != nil {
		return Decision{}, err
	}
	answered(decision.Token)
	return Decision{Allowed: decision.Allowed, MissingContext: decision.MissingContext, Token: decision.Token}, nil
}

// CheckAll decides up to 1000 checks in one request, all for the same state of the data. The decisions are in the
// order of the checks. If one check fails, its decision has the error, and the other checks are still decided.
func (c *Client) CheckAll(ctx context.Context, checks ...Check) ([]Decision, error) {
	in := make([]rest.BulkCheck, len(checks))
	for i, check := range checks {
		var err error
		if in[i], err = check.wire(); err != nil {
			return nil, err
		}
	}
	at, answered := chainOf(ctx).ask()
	bulk, err := answer[rest.BulkDecision](c.rest.CheckBulk(ctx, rest.BulkCheckRequest{Checks: in, Consistency: at}))
	if err != nil {
		return nil, err
	}
	if len(bulk.Results) != len(checks) {
		return nil, &Error{Code: Internal, Detail: "the number of results differs from the number of checks"}
	}
	answered(bulk.Token)
	decisions := make([]Decision, len(checks))
	for i, result := range bulk.Results {
		decisions[i] = Decision{Allowed: result.Allowed, MissingContext: result.MissingContext, Token: bulk.Token}
		if result.Error.Code != "" {
			decisions[i] = Decision{Err: &Error{Code: Code(result.Error.Code), Detail: result.Error.Detail}}
		}
	}
	return decisions, nil
}

// Permissions reports for each permission of a resource "type:id" whether the person has it. It reports false for a
// permission that could not be decided.
func (c *Client) Permissions(ctx context.Context, user, resource string) (map[string]bool, error) {
	in, err := Check{Subject: User(user), Resource: Object(resource)}.wire()
	if err != nil {
		return nil, err
	}
	at, answered := chainOf(ctx).ask()
	decided, err := answer[rest.PermissionsDecision](c.rest.DecidePermissions(ctx, rest.PermissionsRequest{
		Subject: in.Subject, Resource: in.Resource, Consistency: at,
	}))
	if err != nil {
		return nil, err
	}
	answered(decided.Token)
	return decided.Permissions, nil
}
