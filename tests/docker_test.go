package tests

import (
	"context"
	"testing"

	dockernetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// docker runs commands of Docker that testcontainers does not offer.
type docker struct{ *testcontainers.DockerClient }

func newDocker(t *testing.T) docker {
	t.Helper()
	client, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return docker{client}
}

// pause stops the processes of a container. Its connections stay open.
func (d docker) pause(t *testing.T, id string) {
	t.Helper()
	if _, err := d.ContainerPause(t.Context(), id, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (d docker) unpause(t *testing.T, id string) {
	t.Helper()
	if _, err := d.ContainerUnpause(t.Context(), id, client.ContainerUnpauseOptions{}); err != nil {
		t.Fatal(err)
	}
}

// holds reports whether the container engine has an image.
func (d docker) holds(t *testing.T, image string) bool {
	t.Helper()
	_, err := d.ImageInspect(t.Context(), image)
	return err == nil
}

// connect adds a container to a network. name is its host name there.
func (d docker) connect(t *testing.T, network, id, name string) {
	t.Helper()
	_, err := d.NetworkConnect(t.Context(), network, client.NetworkConnectOptions{
		Container: id, EndpointConfig: &dockernetwork.EndpointSettings{Aliases: []string{name}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (d docker) disconnect(t *testing.T, network, id string) {
	t.Helper()
	if _, err := d.NetworkDisconnect(
		context.WithoutCancel(t.Context()), network, client.NetworkDisconnectOptions{Container: id, Force: true},
	); err != nil {
		t.Error(err)
	}
}
