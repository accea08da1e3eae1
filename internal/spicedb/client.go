package spicedb

import (
	"context"
	"errors"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

// DefaultTimeout limits a call whose context has no deadline. For a stream, it limits the time until each message.
const DefaultTimeout = 30 * time.Second

// Options are the settings that embedded and remote clients share. The zero value is valid.
type Options struct {
	// Timeout limits a call whose context has no deadline and, for a stream, the wait for each message. Zero means
	// DefaultTimeout.
	Timeout time.Duration

	// Observe is called after each call with the name of the Engine method, the duration and the error. For a sequence,
	// it is called when the sequence ends.
	Observe func(method string, d time.Duration, err error)

	// Acknowledged collects the writes of the client. It may be nil.
	Acknowledged *Acknowledged
}

// Client is an authz.Engine that uses a connection to SpiceDB's gRPC API.
type Client struct {
	conn        *grpc.ClientConn
	permissions v1.PermissionsServiceClient
	schema      v1.SchemaServiceClient
	watch       v1.WatchServiceClient
	options     Options
	scratches   scratches
	pages       pages.Resources
	alls        conditionalAlls
	names       knownNames
	caveats     knownCaveats
	authorities *authorities // nil without a CA file
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

// Conn returns the connection to SpiceDB, for calls that the Engine interface does not have. Close closes it.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close closes the connection, and the scratch engines that are not in use.
func (c *Client) Close() error { return errors.Join(c.scratches.close(), c.conn.Close()) }

// Check implements authz.Engine.
func (c *Client) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (_ authz.Decision, _ authz.Token, err error) {
	defer c.observe("Check", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	response, err := c.check(ctx, check, at, false)
	if err != nil {
		return authz.Decision{}, "", err
	}
	decision := fromPermissionship(response.GetPermissionship(), response.GetPartialCaveatInfo())
	return decision, fromToken(response.GetCheckedAt()), nil
}

func (c *Client) check(
	ctx context.Context, check authz.Check, at authz.Consistency, traced bool, options ...grpc.CallOption,
) (*v1.CheckPermissionResponse, error) {
	consistency, err := toConsistency(at)
	if err != nil {
		return nil, err
	}
	given, err := c.toGivenContext(ctx, check.Resource.Type, check.Permission, check.Context)
	if err != nil {
		return nil, err
	}
	response, err := c.permissions.CheckPermission(ctx, &v1.CheckPermissionRequest{
		Consistency: consistency,
		Resource:    toObject(check.Resource),
		Permission:  string(check.Permission),
		Subject:     toSubject(check.Subject),
		Context:     given.values,
		WithTracing: traced,
	}, options...)
	if err != nil {
		return nil, given.nameNumber(c.failure(ctx, err))
	}
	return response, nil
}

// Ready implements authz.Engine. It returns nil if SpiceDB answers and has a schema, and CodeUnavailable otherwise.
func (c *Client) Ready(ctx context.Context) (err error) {
	defer c.observe("Ready", time.Now(), &err)
	text, err := c.Schema(ctx)
	switch {
	case err != nil:
		return err
	case text == "":
		return authz.Errorf(authz.CodeUnavailable, "SpiceDB has no schema yet")
	}
	return nil
}

// deadline returns ctx, with the time limit of a call if ctx has no deadline.
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
