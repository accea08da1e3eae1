package spicedb

import (
	"context"
	"errors"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// DefaultTimeout bounds a call whose context has no deadline; of a stream, the wait for each message.
const DefaultTimeout = 30 * time.Second

// Options are what embedded and remote clients have in common. The zero value is fine.
type Options struct {
	// Timeout bounds a call whose context has no deadline, and of a stream the wait for each message; DefaultTimeout if zero.
	Timeout time.Duration

	// Observe is told how long each call took, under the name of the Engine's method, and its error. A sequence is
	// observed when it ends.
	Observe func(method string, d time.Duration, err error)

	// Acknowledged, if set, collects the writes.
	Acknowledged *Acknowledged
}

// Client is the authz.Engine over a connection to SpiceDB's gRPC API.
type Client struct {
	conn        *grpc.ClientConn
	permissions v1.PermissionsServiceClient
	schema      v1.SchemaServiceClient
	watch       v1.WatchServiceClient
	options     Options
	scratches   scratches
	pages       authz.ResourcePages
	alls        conditionalAlls
	names       knownNames
	parameters  knownParameters
}

var _ authz.Engine = (*Client)(nil)

func newClient(conn *grpc.ClientConn, options Options) *Client {
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	return &Client{
		conn:        conn,
		permissions: v1.NewPermissionsServiceClient(conn),
		schema:      v1.NewSchemaServiceClient(conn),
		watch:       v1.NewWatchServiceClient(conn),
		options:     options,
	}
}

// Conn is the connection to SpiceDB, for what the Engine interface leaves out, such as Watch. It ends with Close.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close ends the connection, and the scratches that are not in use.
func (c *Client) Close() error { return errors.Join(c.scratches.close(), c.conn.Close()) }

// Check implements authz.Engine.
func (c *Client) Check(ctx context.Context, check authz.Check, at authz.Consistency) (_ authz.Decision, _ authz.Token, err error) {
	defer c.observe("Check", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	response, err := c.check(ctx, check, at, false)
	if err != nil {
		return authz.Decision{}, "", err
	}
	return fromPermissionship(response.GetPermissionship(), response.GetPartialCaveatInfo()), fromToken(response.GetCheckedAt()), nil
}

func (c *Client) check(ctx context.Context, check authz.Check, at authz.Consistency, traced bool) (*v1.CheckPermissionResponse, error) {
	consistency, err := toConsistency(at)
	if err != nil {
		return nil, err
	}
	caveatContext, err := toStruct("context", check.Context)
	if err != nil {
		return nil, err
	}
	if err := c.checkIntegers(ctx, check.Context); err != nil {
		return nil, err
	}
	response, err := c.permissions.CheckPermission(ctx, &v1.CheckPermissionRequest{
		Consistency: consistency,
		Resource:    toObject(check.Resource),
		Permission:  string(check.Permission),
		Subject:     toSubject(check.Subject),
		Context:     caveatContext,
		WithTracing: traced,
	})
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return response, nil
}

// Ready implements authz.Engine: nil when SpiceDB answers and holds a schema, else CodeUnavailable.
func (c *Client) Ready(ctx context.Context) (err error) {
	defer c.observe("Ready", time.Now(), &err)
	text, err := c.Schema(ctx)
	switch {
	case err != nil:
		return err
	case text == "":
		return authz.Errorf(authz.CodeUnavailable, "SpiceDB holds no schema yet")
	}
	return nil
}

// deadline gives a call its time limit, if ctx has none.
func (c *Client) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.options.Timeout)
}

func (c *Client) observe(method string, start time.Time, err *error) {
	if c.options.Observe != nil {
		c.options.Observe(method, time.Since(start), *err)
	}
}
