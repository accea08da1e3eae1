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

// heartbeat is how often a stream of events says something.
const heartbeat = 15 * time.Second

const eventStream = "text/event-stream"

// StreamAudit implements ServerInterface. What is wrong before the first byte is a problem as everywhere; afterwards
// the stream ends, and the client goes on behind the last event that it has.
func (s *server) StreamAudit(c *gin.Context, params StreamAuditParams) {
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	if s.Stopping != nil {
		defer context.AfterFunc(s.Stopping, cancel)()
	}
	e, err := s.beginEvents(ctx, c, params)
	if err != nil {
		s.problem(c, err)
		return
	}
	if callOf(c).method == http.MethodHead {
		return
	}
	if err := e.run(ctx); ctx.Err() == nil {
		s.problem(c, err) // which is only logged: the answer has begun
	}
}

// events is one stream.
type events struct {
	server     *server
	c          *gin.Context
	connection *http.ResponseController
	query      audit.Query
	reader     authz.ID
}

func (s *server) beginEvents(ctx context.Context, c *gin.Context, params StreamAuditParams) (*events, error) {
	query, err := auditFilter(params.Object, params.Account, params.Actor, params.Operation)
	if err != nil {
		return nil, err
	}
	e := &events{server: s, c: c, connection: http.NewResponseController(c.Writer), query: query}
	if e.reader, err = s.auditReader(ctx, callOf(c), query.Account); err != nil {
		return nil, err
	}
	last, err := s.History.Head(ctx)
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
	c.Header("X-Accel-Buffering", "no") // asks nginx to pass on what comes as it comes
	c.Status(http.StatusOK)
	return e, e.send(": the stream begins\n\n")
}

// position reads the id of an event, behind which the stream begins; 0 stands for the beginning.
func (e *events) position(id string, last int64) (int64, error) {
	if id == "0" {
		return 0, nil
	}
	seq, err := e.server.auditNumber(id, e.reader, e.query.Account)
	switch {
	case err == nil && seq >= 0 && seq <= last:
		return seq, nil
	case e.reader == "":
		return 0, authz.Errorf(
			authz.CodeInvalid,
			"the header Last-Event-ID must be the id of an event, a number from 0 to %d, which the last one has", last,
		)
	default:
		return 0, authz.Errorf(
			authz.CodeInvalid,
			"the header Last-Event-ID must be the id of an event that this actor received of this account, or 0",
		)
	}
}

// run sends what there is and what comes, until ctx ends, the client takes no more, or the reader may no longer.
func (e *events) run(ctx context.Context) error {
	for spoke := time.Now(); ; {
		changed := e.server.History.Changed()
		n, sent, err := e.next(ctx)
		if err != nil {
			return err
		}
		if sent { // entries that the reader may not see do not put off the next comment
			spoke = time.Now()
		}
		if time.Since(spoke) >= heartbeat {
			if err := e.permitted(ctx); err != nil {
				return err
			}
			if err := e.send(":\n\n"); err != nil {
				return err
			}
			spoke = time.Now()
		}
		if n > 0 {
			continue
		}
		waiting, cancel := context.WithDeadline(ctx, spoke.Add(heartbeat))
		err = e.server.History.Wait(waiting, changed)
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// next sends the entries that come next. It returns how many there were, shown or not, and whether one was sent.
func (e *events) next(ctx context.Context) (n int, sent bool, err error) {
	found, err := e.server.History.Find(ctx, e.query)
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	if err := e.permitted(ctx); err != nil {
		return 0, false, err
	}
	shown, err := e.server.show(ctx, e.reader, e.query, found)
	if err != nil {
		return 0, false, err
	}
	var text strings.Builder
	for _, entry := range shown {
		fmt.Fprintf(&text, "id: %s\ndata: %s\n\n", e.server.auditPosition(entry.seq, e.reader, e.query.Account), entry.text)
	}
	*e.query.After = found[len(found)-1].Seq
	if text.Len() == 0 {
		return len(found), false, nil
	}
	return len(found), true, e.send(text.String())
}

// permitted returns an error if the key has expired or is no longer one of the server's with what it had, or the actor
// may no longer read.
func (e *events) permitted(ctx context.Context) error {
	k := callOf(e.c)
	_, secret, _ := strings.Cut(e.c.Request.Header.Get("Authorization"), " ")
	key, found := e.server.Keys.Identify(strings.TrimLeft(secret, " "))
	if !found {
		return authz.Errorf(authz.CodeUnauthenticated, "the key is no longer one of this server's")
	}
	if key.HasExpired(time.Now()) {
		return expired(key)
	}
	if err := authorize(k.route, key.Scopes); err != nil {
		return err
	}
	now := *k
	now.admitted(key)
	_, err := e.server.auditReader(ctx, &now, e.query.Account)
	return err
}

// send writes to a client that has the time of a request to take it.
func (e *events) send(text string) error {
	// A recorder in a test has no connection to set a deadline on.
	_ = e.connection.SetWriteDeadline(time.Now().Add(e.server.Timeout))
	_, err := e.c.Writer.WriteString(text)
	if err = errors.Join(err, e.connection.Flush()); err != nil {
		return &authz.Error{Code: authz.CodeCanceled, Message: "the client took no more of the stream", Cause: err}
	}
	return nil
}
