package spicedb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// exportBatch is the number of relationships per message of an export or import.
const exportBatch = 1000

// ExportTexts calls take with all relationships of a state as text, one batch after the other. Each call of take also
// gets the cursor that continues after the batch.
func (c *Client) ExportTexts(
	ctx context.Context, at authz.Token, after string, take func(relationships []string, after string) error,
) error {
	consistency, err := toConsistency(authz.AtSnapshot(at))
	if err != nil {
		return err
	}
	// SpiceDB v1.56.0 exports even if the token belongs to another SpiceDB. This call returns an error for such a
	// token.
	if _, err := c.schema.ReflectSchema(ctx, &v1.ReflectSchemaRequest{Consistency: consistency}); err != nil {
		return c.failure(ctx, err)
	}
	request := &v1.ExportBulkRelationshipsRequest{Consistency: consistency, OptionalLimit: exportBatch}
	if after != "" {
		request.OptionalCursor = &v1.Cursor{Token: after}
	}
	stream, err := c.permissions.ExportBulkRelationships(ctx, request)
	if err != nil {
		return c.failure(ctx, err)
	}
	for {
		response, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.failure(ctx, err)
		case ctx.Err() != nil: // ignore messages that arrived before ctx ended
			return c.failure(ctx, ctx.Err())
		}
		texts := make([]string, len(response.GetRelationships()))
		for i, r := range response.GetRelationships() {
			if r.OptionalExpiresAt != nil {
				r.OptionalExpiresAt = timestamppb.New(fromTime(r.GetOptionalExpiresAt()))
			}
			if texts[i], err = relationshipText(r); err != nil {
				return err
			}
		}
		if err := take(texts, response.GetAfterResultCursor().GetToken()); err != nil {
			return err
		}
	}
}

// relationshipText is the inverse of parseRelationship. It writes all digits of the numbers in the context.
func relationshipText(r *v1.Relationship) (string, error) {
	text := tuple.V1StringRelationshipWithoutCaveatOrExpiration(r)
	if name := r.GetOptionalCaveat().GetCaveatName(); name != "" {
		text += "[" + name
		if context := fromCaveatContext(r.GetOptionalCaveat().GetContext()); context != "" {
			text += ":" + context
		}
		text += "]"
	}
	expiration, err := tuple.V1StringExpiration(r.GetOptionalExpiresAt())
	return text + expiration, err
}

// parseRelationship parses a relationship; its expiration has the format of authz.ParseTime. An error has CodeInvalid,
// for example if a double cannot hold a number in the caveat context exactly.
func parseRelationship(text string) (*v1.Relationship, error) {
	parsed, err := tuple.ParseV1Rel(schema.CanonicalExpirations(text))
	if err != nil {
		if wrong := schema.CheckExpiration(text); wrong != nil {
			return nil, authz.Errorf(authz.CodeInvalid, "%q is not a relationship: its expiration %v", text, wrong)
		}
		return nil, notRelationship(text, err)
	}
	if ends := parsed.GetOptionalExpiresAt(); ends != nil && ends.CheckValid() != nil {
		return nil, authz.Errorf(
			authz.CodeInvalid, "%q is not a relationship: it expires at %s, and SpiceDB accepts no time before the year 1",
			text, ends.AsTime().Format(time.RFC3339),
		)
	}
	return parsed, schema.CheckContext(text)
}

// ParseRelationship parses a relationship as Import does. An error has CodeInvalid.
func ParseRelationship(text string) (authz.Relationship, error) {
	parsed, err := parseRelationship(text)
	if err != nil {
		return authz.Relationship{}, err
	}
	return fromRelationship(parsed), nil
}

var (
	relationshipParts = regexp.MustCompile(`^([a-z0-9_/]+):(.*?)#([a-z0-9_]+)@([a-z0-9_/]+):(.*?)(#[a-z0-9_]+)?(\[.*\])?$`)
	storedID          = regexp.MustCompile(`^([a-zA-Z0-9/_|\-=+]+|\*)$`)
)

// notRelationship returns the error for a text that is not a relationship. If an id lacks escapes, the error shows
// the escaped relationship.
func notRelationship(text string, cause error) error {
	parts := relationshipParts.FindStringSubmatch(text)
	if parts == nil || storedID.MatchString(parts[2]) && storedID.MatchString(parts[5]) {
		return authz.Errorf(authz.CodeInvalid, "%q is not a relationship: %v", text, cause)
	}
	for _, i := range []int{2, 5} {
		if !storedID.MatchString(parts[i]) {
			parts[i] = authz.EncodeID(authz.ID(parts[i]))
		}
	}
	escaped := parts[1] + ":" + parts[2] + "#" + parts[3] + "@" + parts[4] + ":" + parts[5] + parts[6] + parts[7]
	return authz.Errorf(
		authz.CodeInvalid, "%q is not a relationship: an id lacks escapes; with escapes it is %q", text, escaped,
	)
}

// Import writes relationships from their texts. If none of them exists yet, it uses one write. Otherwise it uses
// several writes, which replace existing relationships with another caveat or expiration.
func (c *Client) Import(ctx context.Context, relationships []string) error {
	parsed := make([]*v1.Relationship, len(relationships))
	for i, text := range relationships {
		var err error
		if parsed[i], err = parseRelationship(text); err != nil {
			return err
		}
		if err := c.prepareStored(ctx, parsed[i]); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
	}
	err := c.create(ctx, parsed)
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.AlreadyExists:
		return c.Load(ctx, parsed)
	default:
		return c.failure(ctx, err)
	}
}

// create writes relationships, none of which may exist.
func (c *Client) create(ctx context.Context, relationships []*v1.Relationship) error {
	stream, err := c.permissions.ImportBulkRelationships(ctx)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(relationships, exportBatch) {
		err := stream.Send(&v1.ImportBulkRelationshipsRequest{Relationships: batch})
		if err != nil && !errors.Is(err, io.EOF) {
			return err // after io.EOF, CloseAndRecv has the error
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}
