package tests

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/sluice-authz/sluice/internal/enginetest"
)

// sluiceImage is the image under test, as `make image` makes it.
func sluiceImage() string {
	if image := os.Getenv("SLUICE_IMAGE"); image != "" {
		return image
	}
	return "sluice:dev"
}

// TestDeployment runs two Sluice containers before one SpiceDB container: a write through one is seen through the other.
func TestDeployment(t *testing.T) {
	t.Parallel()
	spicedb := enginetest.Container(t)
	engine := newDocker(t)
	if !engine.holds(t, sluiceImage()) {
		enginetest.Missing(t, "no image "+sluiceImage()+": `make image` makes it")
	}
	own, err := network.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		engine.disconnect(t, own.Name, spicedb.GetContainerID())
		if err := own.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	engine.connect(t, own.Name, spicedb.GetContainerID(), "spicedb")
	first, second := sluiceContainer(t, own, spicedb.Token), sluiceContainer(t, own, spicedb.Token)

	one := scene{caller: newCaller(t, first), prefix: "d-"}
	other := scene{caller: newCaller(t, second), prefix: "d-"}
	one.play("backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga} => 201",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team} => 201")
	ask := func(of scene, token string) bool {
		t.Helper()
		var decision struct{ Allowed bool }
		of.must(http.MethodPost, "check", map[string]any{
			"subject": "user:" + of.id("ulla"), "permission": "view", "resource": "account:" + of.id("a"),
			"consistency": map[string]string{"at_least_as_fresh": token},
		}).decode(t, &decision)
		return decision.Allowed
	}
	writer, reader := one, other
	for round := range 20 {
		token := writer.by("olga").must(http.MethodPut, "accounts/"+one.id("a")+"/members/"+one.id("ulla"), roles("user")).token(t)
		if !ask(reader, token) {
			t.Fatalf("round %d: a write through one server is not seen through the other", round)
		}
		token = writer.by("olga").must(http.MethodDelete, "accounts/"+one.id("a")+"/members/"+one.id("ulla"), nil).token(t)
		if ask(reader, token) {
			t.Fatalf("round %d: a removal through one server is not seen through the other", round)
		}
		writer, reader = reader, writer
	}
	// Operations look at the newest state, whichever server they go through.
	one.play("olga PUT accounts/~a/members/~nina {roles: [user]} => 200")
	other.play("nina GET accounts/~a => 200", "olga DELETE accounts/~a/members/~nina => 200")
	if a := one.by("nina").call(http.MethodGet, "accounts/"+one.id("a"), nil); a.status != http.StatusNotFound {
		t.Errorf("%s: %d, want 404", a.request, a.status)
	}
}

// sluiceContainer starts a server, waits until its own health check says that it is ready, and returns its address.
func sluiceContainer(t *testing.T, in *testcontainers.DockerNetwork, token string) string {
	t.Helper()
	container, err := testcontainers.Run(t.Context(), sluiceImage(),
		network.WithNetwork(nil, in),
		testcontainers.WithExposedPorts("8080/tcp"),
		testcontainers.WithEnv(map[string]string{
			"SLUICE_SPICEDB_ENDPOINT": "spicedb:50051",
			"SLUICE_SPICEDB_TOKEN":    token,
			"SLUICE_SPICEDB_INSECURE": "true",
			"SLUICE_API_KEYS":         strings.Join(apiKeys, ","),
		}),
		testcontainers.WithWaitStrategyAndDeadline(2*time.Minute, wait.ForHealthCheck().WithPollInterval(200*time.Millisecond)),
	)
	if container != nil {
		t.Cleanup(func() {
			if err := testcontainers.TerminateContainer(container); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	address, err := container.PortEndpoint(t.Context(), "8080/tcp", "http")
	if err != nil {
		t.Fatal(err)
	}
	return address
}
