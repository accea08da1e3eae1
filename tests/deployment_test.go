package tests

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/sluice-authz/sluice/internal/enginetest"
)

// sluiceImage returns the image that the tests run. `make image` builds it.
func sluiceImage() string {
	if image := os.Getenv("SLUICE_IMAGE"); image != "" {
		return image
	}
	return "sluice:dev"
}

// TestDeployment runs two Sluice containers that use one SpiceDB container. A write through one of them must be
// visible through the other.
func TestDeployment(t *testing.T) {
	t.Parallel()
	spicedb := enginetest.Container(t)
	engine := newDocker(t)
	needImage(t, engine)
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
		token := writer.by(
			"olga",
		).must(http.MethodPut, "accounts/"+one.id("a")+"/members/"+one.id("ulla"), roles("user")).token(t)
		if !ask(reader, token) {
			t.Fatalf("round %d: a write through one server is not visible through the other", round)
		}
		token = writer.by("olga").must(http.MethodDelete, "accounts/"+one.id("a")+"/members/"+one.id("ulla"), nil).token(t)
		if ask(reader, token) {
			t.Fatalf("round %d: a removal through one server is not visible through the other", round)
		}
		writer, reader = reader, writer
	}
	// Operations read the newest state, on both servers.
	one.play("olga PUT accounts/~a/members/~nina {roles: [user]} => 200")
	other.play("nina GET accounts/~a => 200", "olga DELETE accounts/~a/members/~nina => 200")
	if a := one.by("nina").call(http.MethodGet, "accounts/"+one.id("a"), nil); a.status != http.StatusNotFound {
		t.Errorf("%s: %d, want 404", a.request, a.status)
	}
}

func needImage(t *testing.T, engine docker) {
	t.Helper()
	if !engine.holds(t, sluiceImage()) {
		enginetest.Missing(t, "no image "+sluiceImage()+": `make image` makes it")
	}
}

// TestVolume runs the image with a named volume as its only writable folder. Acknowledged writes must survive a
// restart. Another container with the same volume must be able to read them. The running server writes a backup to
// the volume.
func TestVolume(t *testing.T) {
	t.Parallel()
	enginetest.NeedContainers(t)
	needImage(t, newDocker(t))
	volume := "sluice-test-" + strings.ToLower(rand.Text())
	container := onVolume(t, volume)
	details, err := container.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if user := details.Config.User; user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("the server runs as %q", user)
	}
	one := scene{caller: newCaller(t, address(t, container)), prefix: "v-"}
	one.play("backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga} => 201",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team} => 201")
	status, out, err := container.Exec(t.Context(), []string{"/sluice", "backup", "/data/backup.db"})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(out); status != 0 {
		t.Fatalf("the backup: status %d: %s", status, text)
	}

	if err := container.Stop(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	state, err := container.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state.Running || state.ExitCode != 0 {
		t.Errorf("after the stop: running %t, exit code %d", state.Running, state.ExitCode)
	}
	if err := container.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := scene{caller: newCaller(t, address(t, container)), prefix: "v-"}
	again.play("olga GET accounts/~a => 200", "olga PUT accounts/~a/members/~nina {roles: [user]} => 200")

	if err := testcontainers.TerminateContainer(container); err != nil {
		t.Fatal(err)
	}
	other := scene{caller: newCaller(t, address(t, onVolume(t, volume))), prefix: "v-"}
	other.play("nina GET accounts/~a => 200")
}

// onVolume starts a server that stores its data in a volume, and waits until its health check succeeds. The volume
// is deleted after the test.
func onVolume(t *testing.T, volume string) *testcontainers.DockerContainer {
	t.Helper()
	container, err := testcontainers.Run(t.Context(), sluiceImage(),
		testcontainers.WithMounts(testcontainers.VolumeMount(volume, "/data")),
		testcontainers.WithHostConfigModifier(func(config *dockercontainer.HostConfig) {
			config.ReadonlyRootfs = true
			config.CapDrop = []string{"ALL"}
		}),
		testcontainers.WithExposedPorts("8080/tcp"),
		testcontainers.WithEnv(map[string]string{"SLUICE_API_KEYS": strings.Join(apiKeys, ",")}),
		testcontainers.WithWaitStrategyAndDeadline(
			10*time.Minute, wait.ForHealthCheck().WithPollInterval(200*time.Millisecond),
		),
	)
	if container != nil {
		t.Cleanup(func() {
			if err := testcontainers.TerminateContainer(container, testcontainers.RemoveVolumes(volume)); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return container
}

func address(t *testing.T, container testcontainers.Container) string {
	t.Helper()
	address, err := container.PortEndpoint(t.Context(), "8080/tcp", "http")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// sluiceContainer starts a server in the given network, waits until its health check succeeds, and returns its
// address.
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
		testcontainers.WithWaitStrategyAndDeadline(
			10*time.Minute, wait.ForHealthCheck().WithPollInterval(200*time.Millisecond),
		),
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
	return address(t, container)
}
