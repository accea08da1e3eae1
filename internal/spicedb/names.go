package spicedb

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
	"github.com/sluice-authz/sluice/schema"
)

// unknownName returns an error with the most similar known names, if the cause is a name that the schema does not have.
// Otherwise it returns nil.
func (c *Client) unknownName(ctx context.Context, info *errdetails.ErrorInfo) *authz.Error {
	typ := info.GetMetadata()["definition_name"]
	switch info.GetReason() {
	case v1.ErrorReason_ERROR_REASON_UNKNOWN_DEFINITION.String():
		return suggest(fmt.Sprintf("the schema has no type %q", typ), typ, typeNames(c.definitions(ctx)))
	case v1.ErrorReason_ERROR_REASON_UNKNOWN_RELATION_OR_PERMISSION.String():
		name := info.GetMetadata()["relation_or_permission_name"]
		return suggest(
			fmt.Sprintf("the type %q has no permission or relation %q", typ, name), name,
			memberNames(c.definitions(ctx), authz.Type(typ)),
		)
	default:
		return nil
	}
}

// namesInterval is how long the names of the stored schema are cached for error messages. Without the cache, a request
// with a thousand checks could read and parse the schema a thousand times, which would take seconds.
const namesInterval = time.Second

// knownNames caches the definitions of the stored schema. It is safe for concurrent use.
type knownNames struct {
	mu          sync.Mutex
	readAt      time.Time
	definitions []authz.Definition
}

// get returns the definitions, and whether they are newer than namesInterval.
func (n *knownNames) get() ([]authz.Definition, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.definitions, time.Since(n.readAt) < namesInterval
}

// set stores definitions that were just read.
func (n *knownNames) set(definitions []authz.Definition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readAt, n.definitions = time.Now(), definitions
}

// forget makes the next call read the definitions again.
func (n *knownNames) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readAt = time.Time{}
}

// definitions returns the definitions of the stored schema, at most namesInterval old. It returns nil on an error,
// since callers only use them in error messages.
func (c *Client) definitions(ctx context.Context) []authz.Definition {
	if definitions, fresh := c.names.get(); fresh {
		return definitions
	}
	text, err := c.Schema(ctx)
	if err != nil {
		return nil
	}
	definitions, err := schema.Describe(text)
	if err != nil {
		return nil
	}
	c.names.set(definitions)
	return definitions
}

func suggest(problem, name string, names []string) *authz.Error {
	return &authz.Error{Code: authz.CodeInvalid, Message: problem + similar.Hint(name, names)}
}

func typeNames(definitions []authz.Definition) []string {
	var names []string
	for _, d := range definitions {
		names = append(names, string(d.Type))
	}
	return names
}

// memberNames returns the relations and public permissions of a type.
func memberNames(definitions []authz.Definition, typ authz.Type) []string {
	var names []string
	for _, d := range definitions {
		if d.Type != typ {
			continue
		}
		for _, p := range d.Public() {
			names = append(names, string(p))
		}
		for _, r := range d.Relations {
			names = append(names, string(r))
		}
	}
	return names
}
