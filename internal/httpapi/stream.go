package httpapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// ndjson is the media type of a stream with one JSON value per line.
const ndjson = "application/x-ndjson"

// flushAfter is the interval at which written lines are flushed.
const flushAfter = 100 * time.Millisecond

// streamSubjects answers a look-up of subjects with a stream of lines. An error before the first line is a problem
// document. After the first line, the last line says whether the list is complete.
func (a *decisionAPI) streamSubjects(c *gin.Context) {
	ctx := c.Request.Context()
	query, token, err := a.subjectQuery(ctx, c)
	if err != nil {
		a.problem(c, err)
		return
	}
	out := a.newLines(c)
	for found, err := range a.engine.LookupSubjects(ctx, query, authz.AtSnapshot(token)) {
		if err != nil {
			a.metrics.decision(authz.Decision{}, err)
			out.breakOff(err) //nolint:contextcheck // out holds the context of the request
			return
		}
		a.metrics.decision(found.Decision, found.Err)
		shown, err := a.showSubject(ctx, found)
		if err == nil {
			err = out.write(shown)
		}
		if err != nil {
			out.breakOff(err) //nolint:contextcheck // out holds the context of the request
			return
		}
	}
	if err := out.write(Done{Token: string(token)}); err != nil {
		out.breakOff(err)
	}
}

// lines writes JSON values as lines. A stream may take longer than Config.Timeout, but each write may not.
type lines struct {
	api        *decisionAPI
	c          *gin.Context
	connection *http.ResponseController
	encoder    *json.Encoder
	flushed    time.Time
	isBroken   bool // writing has failed
}

func (a *decisionAPI) newLines(c *gin.Context) *lines {
	l := &lines{api: a, c: c, connection: http.NewResponseController(c.Writer), encoder: json.NewEncoder(c.Writer)}
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *lines) write(value any) error {
	if err := checkSize(value); err != nil {
		return err
	}
	if !l.c.Writer.Written() {
		l.c.Header("Content-Type", ndjson)
		l.c.Status(http.StatusOK)
	}
	// Ignore the error: a recorder in a test has no connection to set a deadline on.
	_ = l.connection.SetWriteDeadline(time.Now().Add(l.api.timeout))
	err := l.encoder.Encode(value)
	if err == nil && time.Since(l.flushed) > flushAfter {
		err = l.connection.Flush()
		l.flushed = time.Now()
	}
	if err != nil {
		l.isBroken = true
		return &authz.Error{Code: authz.CodeCanceled, Message: "the client stopped reading the stream", Cause: err}
	}
	return nil
}

// breakOff ends a stream with an error: as a problem document before the first line, otherwise as the last line.
func (l *lines) breakOff(err error) {
	if l.c.Writer.Written() && !l.isBroken {
		_ = l.write(BrokenOff{Error: l.api.problemOf(l.c.Request.Context(), callOf(l.c), err)})
	}
	l.api.problem(l.c, err)
}
