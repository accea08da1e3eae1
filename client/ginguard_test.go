package client_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/ginguard"
	"github.com/sluice-authz/sluice/client/guard"
)

func TestGinGuardAnswersByDecision(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	server := startWithAccount(t, "a")
	nobody, err := client.New("http://127.0.0.1:1", "key", client.WithTries(1))
	require.NoError(t, err)

	for name, test := range map[string]struct {
		sluice  guard.Decider
		options []guard.Option
		user    string
		status  int
	}{
		"allowed":               {server.Client, nil, "olga", http.StatusNoContent},
		"denied":                {server.Client, nil, "eve", http.StatusForbidden},
		"denied, hidden":        {server.Client, []guard.Option{guard.Hide()}, "eve", http.StatusNotFound},
		"no user":               {server.Client, nil, "", http.StatusUnauthorized},
		"an unreachable server": {nobody, nil, "olga", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			may := ginguard.New(test.sluice, func(c *gin.Context) string { return c.GetHeader("X-Test-User") }, test.options...)
			in := 0
			router := gin.New()
			router.GET("/accounts/:id", may.Require("view", ginguard.Path("account", "id")), func(c *gin.Context) {
				in++
				c.Status(http.StatusNoContent)
			})
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/accounts/a", nil)
			request.Header.Set("X-Test-User", test.user)
			recorder := httptest.NewRecorder()
			router.ServeHTTP(recorder, request)
			require.Equal(t, test.status, recorder.Code)
			require.Equal(t, test.status == http.StatusNoContent, in == 1)
		})
	}
}
