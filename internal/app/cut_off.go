package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
)

// endRequests stops accepting requests and waits for the running ones. If requests still run when ctx ends,
// endRequests closes their connections and names these requests in the error.
func endRequests(ctx context.Context, server *http.Server, active *httpapi.ActiveRequests, drain time.Duration) error {
	err := server.Shutdown(ctx)
	if err == nil || ctx.Err() == nil {
		return err
	}
	requests := active.Requests()
	return errors.Join(cutOff(requests, drain), server.Close())
}

// cutOff returns the error that names the interrupted requests.
func cutOff(requests []httpapi.Request, drain time.Duration) error {
	if len(requests) == 0 {
		return fmt.Errorf(
			"at the end of --drain-timeout %s a client was still sending the headers of a request: its connection was closed",
			drain,
		)
	}
	var names []string
	for _, r := range requests[:min(len(requests), maxNamed)] {
		names = append(names, fmt.Sprintf("%s %s (request %s)", r.Method, r.Route, r.ID))
	}
	if more := len(requests) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	what := authz.Count(len(requests), "request was still running and was", "requests were still running and were")
	return fmt.Errorf("at the end of --drain-timeout %s, %s cut off: %s; "+
		"clients should retry under the same Idempotency-Key; to give requests more time, raise --drain-timeout above "+
		"--request-timeout", drain, what, strings.Join(names, ", "))
}
