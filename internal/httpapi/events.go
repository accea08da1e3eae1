package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// heartbeat is the interval after which an idle stream sends a comment.
const heartbeat = 15 * time.Second

const eventStream = "text/event-stream"

// StreamAudit implements ServerInterface. Errors before the first byte are problems. A later error ends the stream, and
// the client continues after its last event.
func (a *auditAPI) StreamAudit(c *gin.Context, params StreamAuditParams) {
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	if a.stopping != nil {
		defer context.AfterFunc(a.stopping, cancel)()
	}
	e, err := a.beginEvents(ctx, c, params)
	if err != nil {
		a.problem(c, err)
		return
	}
	if callOf(c).method == http.MethodHead {
		return
	}
	if err := e.run(ctx); ctx.Err() == nil {
		// Here, problem only logs the error, because the answer has begun.
		a.problem(c, err)
	}
}

// events is one stream of audit entries.
type events struct {
	api        *auditAPI
	c          *gin.Context
	connection *http.ResponseController
	query      audit.Query
	reader     authz.Actor
}

func (a *auditAPI) beginEvents(ctx context.Context, c *gin.Context, params StreamAuditParams) (*events, error) {
	query, err := auditFilter(params.Object, params.Account, params.Actor, params.Operation)
	if err != nil {
		return nil, err
	}
	e := &events{api: a, c: c, connection: http.NewResponseController(c.Writer), query: query}
	if e.reader, err = a.auditReader(ctx, callOf(c), query.Account); err != nil {
		return nil, err
	}
	last, err := a.history.Head(ctx)
	if err != nil {
		return nil, err
	}
	after := last.Seq
	if params.LastEventID != nil {
		if after, err = e.position(*params.LastEventID, last.Seq); err != nil {
			return nil, err
		}
	}
	e.query.After, e.query.Limit = &after, auditBatch
	c.Header("Content-Type", eventStream)
	c.Header("X-Accel-Buffering", "no") // tells nginx not to buffer the stream
	c.Status(http.StatusOK)
	return e, e.send(": the stream begins\n\n")
}

// position reads the id of the event after which the stream begins. 0 means the beginning of the log.
func (e *events) position(id string, last int64) (int64, error) {
	if id == "0" {
		return 0, nil
	}
	seq, err := e.api.auditNumber(id, e.reader, e.query.Account)
	switch {
	case err == nil && seq >= 0 && seq <= last:
		return seq, nil
	case e.reader == "":
		return 0, authz.Errorf(
			authz.CodeInvalid,
			"the header Last-Event-ID must be the id of an event: a number from 0 to %d, the id of the last event",
			last,
		)
	default:
		return 0, authz.Errorf(
			authz.CodeInvalid,
			"the header Last-Event-ID must be the id of an event that this actor received for this account, or 0",
		)
	}
}

// run sends stored entries and then new ones. It returns when ctx ends, the client disconnects or the reader loses
// access.
func (e *events) run(ctx context.Context) error {
	for lastSent := time.Now(); ; {
		changed := e.api.history.Changed()
		n, sent, err := e.next(ctx)
		if err != nil {
			return err
		}
		if sent { // after only hidden entries, a delayed comment would reveal them
			lastSent = time.Now()
		}
		if time.Since(lastSent) >= heartbeat {
			if err := e.requireAccess(ctx); err != nil {
				return err
			}
			if err := e.send(":\n\n"); err != nil {
				return err
			}
			lastSent = time.Now()
		}
		if n > 0 {
			continue
		}
		waiting, cancel := context.WithDeadline(ctx, lastSent.Add(heartbeat))
		err = e.api.history.Wait(waiting, changed)
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// next sends the next entries. It returns the number of entries that it read, including hidden ones, and whether it
// sent any.
func (e *events) next(ctx context.Context) (n int, sent bool, err error) {
	found, err := e.api.history.Find(ctx, e.query)
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	if err := e.requireAccess(ctx); err != nil {
		return 0, false, err
	}
	shown, err := e.api.visibleEntries(ctx, e.reader, e.query, found)
	if err != nil {
		return 0, false, err
	}
	var text strings.Builder
	for _, entry := range shown {
		fmt.Fprintf(
			&text,
			"id: %s\ndata: %s\n\n",
			e.api.auditPosition(entry.seq, e.reader, e.query.Account),
			entry.text,
		)
	}
	*e.query.After = found[len(found)-1].Seq
	if text.Len() == 0 {
		return len(found), false, nil
	}
	return len(found), true, e.send(text.String())
}

// requireAccess checks again that the key is valid and has its scopes, and that the actor may read.
func (e *events) requireAccess(ctx context.Context) error {
	k := callOf(e.c)
	_, secret, _ := strings.Cut(e.c.Request.Header.Get("Authorization"), " ")
	key, found := e.api.keys.Identify(strings.TrimLeft(secret, " "))
	if !found {
		return authz.Errorf(authz.CodeUnauthenticated, "the key was removed from this server")
	}
	if key.HasExpired(time.Now()) {
		return expiredKeyError(key)
	}
	if err := authorize(k.route, key.Scopes); err != nil {
		return err
	}
	now := *k
	now.setScopes(key)
	_, err := e.api.auditReader(ctx, &now, e.query.Account)
	return err
}

// send writes text to the client. The time limit of a write is that of a request.
func (e *events) send(text string) error {
	// A recorder in a test has no connection to set a deadline on.
	_ = e.connection.SetWriteDeadline(time.Now().Add(e.api.timeout))
	_, err := e.c.Writer.WriteString(text)
	if err = errors.Join(err, e.connection.Flush()); err != nil {
		return &authz.Error{Code: authz.CodeCanceled, Message: "the client stopped reading the stream", Cause: err}
	}
	return nil
}
