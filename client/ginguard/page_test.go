package ginguard_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/ginguard"
	"github.com/sluice-authz/sluice/client/guard"
)

// TestPage checks that every line of code in docs/client.md is also in this file, which compiles.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/client.md")
	require.NoError(t, err)
	compiled, err := os.ReadFile("page_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			code, _, _ := strings.Cut(line, " // ")
			code, _, _ = strings.Cut(code, " … }")
			if code = strings.TrimSpace(code); !strings.HasPrefix(code, "import ") {
				require.Contains(t, string(compiled), code)
			}
		}
	}
}

func _(ctx context.Context, key, orderID string, endOfProject time.Time) {
	sluice, err := client.New("https://authz.example.com", key)
	use(err)
	{
		may, err := sluice.Can(ctx, "alice", "run", "importer:i1")
		use(may, err)
		each, err := sluice.CanEach(ctx, "alice", "view", "importer:i1", "importer:i2")
		use(each, err)
		all, err := sluice.CanAll(ctx, "alice", "use", "connection:c1", "connection:c2")
		use(all, err)
		what, err := sluice.Permissions(ctx, "alice", "importer:i1")
		use(what, err)
	}
	for id, err := range sluice.Resources(ctx, "alice", "run", "importer") {
		use(id, err)
	}
	for item, err := range sluice.As("alice").AccountContents(ctx, "acme", "importers") {
		use(item, err)
	}
	{
		olga := sluice.As("olga")
		account, err := olga.CreateAccount(ctx, client.NewAccount{ID: "acme", Subscription: "s1", RoleSet: "team"})
		use(account, err)
		_, err = olga.PutAccountMember(ctx, "acme", "bob", "guest")
		use(err)
		_, err = olga.PutAccountMemberUntil(ctx, "acme", "carl", endOfProject, "guest")
		use(err)
		invitation, err := olga.InviteToAccount(ctx, "acme", client.NewInvitation{Invitee: "nina", Roles: []string{"guest"}})
		use(err)
		_, err = sluice.As("nina").AcceptInvitation(ctx, invitation.ID)
		use(err)
		for member, err := range olga.AccountMembers(ctx, "acme") {
			use(member, err)
		}
		_, err = olga.PutAccountMember(client.WithIdempotencyKey(ctx, orderID), "acme", "bob", "user")
		use(err)
	}
	{
		olga := sluice.As("olga")
		importer, err := olga.GetImporter(ctx, "i1")
		use(importer, err)
		member, err := olga.GetAccountMember(ctx, "acme", "bob")
		use(member, err)
		for subscription, err := range sluice.Subscriptions(ctx) {
			use(subscription, err)
		}
	}
	var refusal *client.Error
	switch {
	case errors.Is(err, client.Forbidden) && errors.As(err, &refusal):
		log.Printf("lacks %s (request %s)", refusal.Permission, refusal.RequestID)
	case errors.Is(err, client.NotFound):
	}
}

func _(ctx context.Context, sluice *client.Client, request, r *http.Request) {
	var err error
	ctx = client.WithToken(ctx, "")
	_, err = sluice.As("olga").PutAccountMember(ctx, "acme", "bob", "user")
	use(err)
	may, err := sluice.Can(ctx, "bob", "view", "account:acme")
	request.Header.Set(client.TokenHeader, client.Token(ctx))
	ctx = client.WithToken(ctx, r.Header.Get(client.TokenHeader))
	use(ctx, may, err)
}

func _(sluice *client.Client, mux *http.ServeMux, userOfSession guard.User, run http.Handler) {
	may := guard.New(sluice, userOfSession, guard.Hide())
	mux.Handle("POST /importers/{id}/run", may.Require("run", guard.Path("importer", "id"))(run))
}

func _(sluice *client.Client, router *gin.Engine, userOfSession ginguard.User, run gin.HandlerFunc) {
	may := ginguard.New(sluice, userOfSession)
	router.POST("/importers/:id/run", may.Require("run", ginguard.Path("importer", "id")), run)
}

func use(...any) {}
