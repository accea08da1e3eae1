package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/guard"
	"github.com/sluice-authz/sluice/client/sluicetest"
)

// userOfHeader stands for the authentication of an application: it reads the user from a header.
func userOfHeader(r *http.Request) string { return r.Header.Get("X-Test-User") }

// guardedRoute returns an application with one route behind a guard. It counts in *in the requests that the guard
// admits.
func guardedRoute(sluice guard.Decider, permission string, in *int, options ...guard.Option) http.Handler {
	may := guard.New(sluice, userOfHeader, options...)
	mux := http.NewServeMux()
	enter := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*in++
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("GET /accounts/{id}", may.Require(permission, guard.Path("account", "id"))(enter))
	return mux
}

func getAs(t *testing.T, app http.Handler, user, path string) *http.Response {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if user != "" {
		request.Header.Set("X-Test-User", user)
	}
	recorder := httptest.NewRecorder()
	app.ServeHTTP(recorder, request)
	return recorder.Result()
}

// startWithAccount starts a server with one account. Its owner is the user olga.
func startWithAccount(t *testing.T, account string) *sluicetest.Server {
	t.Helper()
	server := sluicetest.Start(t)
	_, err := server.Client.CreateSubscription(
		t.Context(), client.NewSubscription{ID: "s", RoleSet: "multi_owner", Owner: "olga"},
	)
	require.NoError(t, err)
	_, err = server.Client.As("olga").CreateAccount(
		t.Context(), client.NewAccount{ID: account, Subscription: "s", RoleSet: "team"},
	)
	require.NoError(t, err)
	return server
}

func TestGuardAnswersByDecision(t *testing.T) {
	t.Parallel()
	server := startWithAccount(t, "north/east")
	wrongKey, err := client.New(server.URL, "none-of-the-servers")
	require.NoError(t, err)
	nobody, err := client.New("http://127.0.0.1:1", "key", client.WithTries(1))
	require.NoError(t, err)

	hide := []guard.Option{guard.Hide()}
	for name, test := range map[string]struct {
		sluice     guard.Decider
		options    []guard.Option
		permission string
		user, path string
		status     int
		told       client.Code
	}{
		"allowed":          {server.Client, nil, "view", "olga", "/accounts/north%2Feast", 204, ""},
		"denied":           {server.Client, nil, "view", "eve", "/accounts/north%2Feast", 403, ""},
		"denied, hidden":   {server.Client, hide, "view", "eve", "/accounts/north%2Feast", 404, ""},
		"no user":          {server.Client, nil, "view", "", "/accounts/north%2Feast", 401, ""},
		"no user, hidden":  {server.Client, hide, "view", "", "/accounts/north%2Feast", 401, ""},
		"a missing object": {server.Client, nil, "view", "olga", "/accounts/south", 403, ""},
		"an invalid id": {
			server.Client, hide, "view", "olga", "/accounts/" + strings.Repeat("x", 300), 404, client.Invalid,
		},
		"an id that is not UTF-8":  {server.Client, nil, "view", "olga", "/accounts/%FF", 403, client.Invalid},
		"an unknown permission":    {server.Client, nil, "veiw", "olga", "/accounts/north%2Feast", 403, client.Invalid},
		"an invalid key":           {wrongKey, nil, "view", "olga", "/accounts/north%2Feast", 500, client.Unauthenticated},
		"an unreachable server":    {nobody, hide, "view", "olga", "/accounts/north%2Feast", 503, client.Unavailable},
		"an error of another kind": {broken{}, nil, "view", "olga", "/accounts/north%2Feast", 503, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			var in int
			var told error
			options := append([]guard.Option{guard.OnError(func(_ context.Context, err error) { told = err })}, test.options...)
			response := getAs(t, guardedRoute(test.sluice, test.permission, &in, options...), test.user, test.path)
			require.NoError(t, response.Body.Close())
			require.Equal(t, test.status, response.StatusCode)
			require.Equal(t, test.status == http.StatusNoContent, in == 1)
			if test.status >= 400 {
				require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
			}
			if test.told == "" {
				require.NoError(t, told)
			} else {
				require.ErrorIs(t, told, test.told)
			}
		})
	}
}

// broken is a Decider whose method Can returns true together with an error.
type broken struct{}

func (broken) Can(context.Context, string, string, string) (bool, error) {
	return true, errors.Join(client.Code("broken"))
}

// TestGuardAnswersWithoutServer stops the server between two requests. The guard must answer the second one with
// 503.
func TestGuardAnswersWithoutServer(t *testing.T) {
	t.Parallel()
	server, err := sluicetest.New(t.Context())
	require.NoError(t, err)
	_, err = server.Client.CreateSubscription(
		t.Context(), client.NewSubscription{ID: "s", RoleSet: "multi_owner", Owner: "olga"},
	)
	require.NoError(t, err)
	_, err = server.Client.As("olga").CreateAccount(
		t.Context(), client.NewAccount{ID: "a", Subscription: "s", RoleSet: "team"},
	)
	require.NoError(t, err)
	var in int
	app := guardedRoute(server.Client, "view", &in)
	for _, status := range []int{http.StatusNoContent, http.StatusServiceUnavailable} {
		response := getAs(t, app, "olga", "/accounts/a")
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode)
		require.Equal(t, 1, in)
		require.NoError(t, server.Close())
	}
}
