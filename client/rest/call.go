package rest

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Call sends a request to a path of the server, for callers that read the method and the path from data. The path is
// percent-encoded. The body is JSON, or nil.
func (c *Client) Call(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	server, err := url.Parse(c.Server)
	if err != nil {
		return nil, err
	}
	target, err := Join(server, strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if err := c.applyEditors(ctx, request, nil); err != nil {
		return nil, err
	}
	return c.Client.Do(request)
}
