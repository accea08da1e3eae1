package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
)

// TestInvitationPages reads the open invitations of an account page by page.
func TestInvitationPages(t *testing.T) {
	t.Parallel()
	s := teamScene(t, memory.get(t))
	open := make(map[string]bool)
	for range 7 {
		open[s.invite("olga POST accounts/~a/invitations {roles: [user]}").Handle] = true
	}
	used := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	s.with(used, "nina POST invitations/$ID/accept")
	pages, cursor := 0, ""
	for {
		var page struct {
			Invitations []invitation
			NextCursor  string `json:"next_cursor"`
		}
		s.by("olga").must(http.MethodGet, s.in("accounts/~a/invitations?limit=3&cursor=")+cursor, nil).decode(t, &page)
		for _, i := range page.Invitations {
			if i.ID != "" || !open[i.Handle] {
				t.Errorf("%+v must not be listed", i)
			}
			delete(open, i.Handle)
		}
		pages++
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if pages != 3 || len(open) > 0 {
		t.Errorf("%d pages, in which %v are missing", pages, open)
	}
}

// TestInvitationIDsAreSecret searches the stored relationships and the log of the server for the id of an
// invitation.
func TestInvitationIDsAreSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	config := configuration()
	config.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server, err := app.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	on, err := connect(server.URL, server.GRPCAddress, server.GRPCKey)
	if err != nil {
		t.Fatal(err)
	}
	s := teamScene(t, on)
	i := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	s.with(
		i, "sven POST invitations/$ID/accept => 404 not_found", "gert DELETE accounts/~a/invitations/$ID => 403 forbidden",
	)
	stored, err := json.Marshal(everything(t, on.spicedb))
	if err != nil {
		t.Fatal(err)
	}
	s.with(i, "nina POST invitations/$ID/accept")
	if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "/v1/invitations/{id}/accept") || strings.Contains(log.String(), i.ID) {
		t.Errorf("the log must have the route but not the id: %s", &log)
	}
	if !bytes.Contains(stored, []byte(i.Handle)) || bytes.Contains(stored, []byte(i.ID)) {
		t.Errorf("the store must have the handle but not the id: %s", stored)
	}
}
