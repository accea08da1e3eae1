package spicedb

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/zedtoken"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
)

var _ authz.Source = (*Client)(nil)

// Head implements authz.Source.
func (c *Client) Head(ctx context.Context) (_ string, _ authz.Token, err error) {
	defer c.observe("Head", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	response, err := c.schema.ReadSchema(ctx, &v1.ReadSchemaRequest{})
	if err != nil {
		return "", "", c.failure(ctx, err)
	}
	return response.GetSchemaText(), fromToken(response.GetReadAt()), nil
}

// Export implements authz.Source.
func (c *Client) Export(ctx context.Context, at authz.Token) iter.Seq2[authz.Relationship, error] {
	return sequence(c, "Export", func(yield func(authz.Relationship) bool) error {
		return c.export(ctx, at, 0, func(relationships []*v1.Relationship) bool {
			for _, r := range relationships {
				if !yield(fromRelationship(r)) {
					return false
				}
			}
			return true
		})
	})
}

// ExportStored calls take with every relationship of a state, as SpiceDB's own type, in batches. It stops when take
// returns an error.
func (c *Client) ExportStored(ctx context.Context, at authz.Token, take func([]*v1.Relationship) error) (err error) {
	defer c.observe("Export", time.Now(), &err)
	var stop error
	err = c.export(ctx, at, 0, func(relationships []*v1.Relationship) bool {
		stop = take(relationships)
		return stop == nil
	})
	return errors.Join(err, stop)
}

// export calls each with the relationships of a state, in messages of at most limit relationships. Zero means SpiceDB's
// default.
func (c *Client) export(ctx context.Context, at authz.Token, limit uint32, each func([]*v1.Relationship) bool) error {
	consistency, err := toConsistency(authz.AtSnapshot(at))
	if err != nil {
		return err
	}
	open := func(ctx context.Context) (grpc.ServerStreamingClient[v1.ExportBulkRelationshipsResponse], error) {
		return c.permissions.ExportBulkRelationships(
			ctx, &v1.ExportBulkRelationshipsRequest{Consistency: consistency, OptionalLimit: limit},
		)
	}
	return stream(
		ctx, c, open, func(found *v1.ExportBulkRelationshipsResponse) bool { return each(found.GetRelationships()) },
	)
}

// Watch implements authz.Source.
func (c *Client) Watch(ctx context.Context, after authz.Token) iter.Seq2[authz.Change, error] {
	return sequence(c, "Watch", func(yield func(authz.Change) bool) error {
		enough := errors.New("the consumer has stopped")
		err := c.watchStored(ctx, after, func(message *v1.WatchResponse) error {
			if !yield(fromWatch(message)) {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			return nil
		}
		return err
	})
}

// WatchStored calls take with the messages of Watch, as SpiceDB's own type, until take returns an error. The first
// message is a checkpoint for the token after.
func (c *Client) WatchStored(ctx context.Context, after authz.Token, take func(*v1.WatchResponse) error) (err error) {
	defer c.observe("Watch", time.Now(), &err)
	return c.watchStored(ctx, after, take)
}

// watchStored follows SpiceDB's Watch. If SpiceDB no longer has the changes after a state, its Watch continues without
// an error. So watchStored first reads the state: SpiceDB rejects this read if it no longer has the state.
func (c *Client) watchStored(ctx context.Context, after authz.Token, take func(*v1.WatchResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := c.export(ctx, after, 1, func([]*v1.Relationship) bool { return false })
	if errors.Is(err, authz.CodeInvalid) {
		return c.historyLost(ctx, after, err)
	}
	if err == nil {
		err = take(&v1.WatchResponse{ChangesThrough: toToken(after), IsCheckpoint: true})
	}
	if err != nil {
		return err
	}
	messages, err := c.watch.Watch(ctx, &v1.WatchRequest{
		OptionalStartCursor: toToken(after),
		OptionalUpdateKinds: []v1.WatchKind{
			v1.WatchKind_WATCH_KIND_INCLUDE_RELATIONSHIP_UPDATES,
			v1.WatchKind_WATCH_KIND_INCLUDE_SCHEMA_UPDATES,
			v1.WatchKind_WATCH_KIND_INCLUDE_CHECKPOINTS,
		},
	})
	for err == nil {
		var message *v1.WatchResponse
		if message, err = messages.Recv(); err != nil {
			break
		}
		if stop := take(message); stop != nil {
			return stop
		}
	}
	if status.Code(err) == codes.Unimplemented {
		return &authz.Error{
			Code: authz.CodeUnavailable, Message: "SpiceDB's Watch is off: it needs track_commit_timestamp=on in PostgreSQL",
			Cause: err,
		}
	}
	return c.failure(ctx, err)
}

// historyLost returns the error that says why Watch cannot continue after a token, as far as SpiceDB's newest state
// shows it.
func (c *Client) historyLost(ctx context.Context, after authz.Token, refusal error) error {
	why := authz.ErrHistoryLost
	if _, head, err := c.Head(ctx); err == nil {
		then, now := storeOf(after), storeOf(head)
		_, last := revisionOf(toToken(after))
		_, newest := revisionOf(toToken(head))
		switch {
		case then != now:
			why = authz.ErrOtherStore
		case !newest.IsZero() && newest.Before(last):
			why = authz.ErrWentBack
		}
	}
	return &authz.Error{Code: authz.CodeInvalid, Message: goneMessage, Cause: errors.Join(why, refusal)}
}

// storeOf returns the datastore that a token names.
func storeOf(token authz.Token) string {
	decoded, err := zedtoken.Decode(toToken(token))
	if err != nil {
		return ""
	}
	return decoded.GetV1().GetDatastoreUniqueIdPrefix()
}

func fromWatch(message *v1.WatchResponse) authz.Change {
	change := authz.Change{Schema: message.GetSchemaUpdated(), Token: fromToken(message.GetChangesThrough())}
	change.Revision, change.At = revisionOf(message.GetChangesThrough())
	for _, u := range message.GetUpdates() {
		action := authz.Touch
		if u.GetOperation() == v1.RelationshipUpdate_OPERATION_DELETE {
			action = authz.Delete
		}
		change.Updates = append(
			change.Updates, authz.Update{Action: action, Relationship: fromRelationship(u.GetRelationship())},
		)
	}
	for _, metadata := range message.GetFullRevisionMetadata() {
		if len(metadata.GetFields()) > 0 {
			change.Metadata = append(change.Metadata, metadata.AsMap())
		}
	}
	return change
}

// revisionOf returns a name for the transaction of a token, which includes its datastore, and the time of the
// transaction. The token itself cannot be this name: the start of Watch decides whether the token has the hash of the
// schema.
func revisionOf(token *v1.ZedToken) (revision string, at time.Time) {
	decoded, err := zedtoken.Decode(token)
	if err != nil || decoded.GetV1() == nil {
		return token.GetToken(), time.Time{}
	}
	revision = decoded.GetV1().GetRevision()
	return decoded.GetV1().GetDatastoreUniqueIdPrefix() + "/" + revision, timeOf(revision)
}

// timeOf returns the time of a revision. Revisions of the in-memory datastore, CockroachDB (with a logical part after
// a point) and Spanner are nanoseconds since 1970. PostgreSQL's have a field. For other revisions, for example
// MySQL's transaction numbers, it returns the zero time.
func timeOf(revision string) time.Time {
	nanos, _, _ := strings.Cut(revision, ".")
	if n, err := strconv.ParseInt(nanos, 10, 64); err == nil {
		return plausible(n)
	}
	raw, err := base64.StdEncoding.DecodeString(revision)
	var postgres implv1.PostgresRevision
	if err != nil || postgres.UnmarshalVT(raw) != nil {
		return time.Time{}
	}
	return plausible(int64(postgres.GetOptionalTimestamp())) //nolint:gosec // past the year 2262 it is not plausible
}

// plausible returns the time, or the zero time if it is before the year 2000.
func plausible(nanos int64) time.Time {
	at := time.Unix(0, nanos).UTC()
	if at.Year() < 2000 {
		return time.Time{}
	}
	return at
}
