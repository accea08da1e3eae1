package spicedb_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

const smallSchema = `definition user {}

definition document {
	relation viewer: user
	permission view = viewer
}`

func TestSmoke(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx := context.Background()
	engine, err := spicedb.Embedded(ctx, spicedb.EmbeddedConfig{GRPCListen: "127.0.0.1:0", Key: "k"})
	require.NoError(t, err)
	require.ErrorIs(t, engine.Ready(ctx), authz.CodeUnavailable)
	require.NoError(t, engine.ApplySchema(ctx, smallSchema))
	require.NoError(t, engine.Ready(ctx))
	alice := authz.Subject{Object: authz.Object{Type: "user", ID: "alice@example.com"}}
	doc := authz.Object{Type: "document", ID: "d1"}
	token, err := engine.Write(ctx, authz.Write{Updates: []authz.Update{{Relationship: authz.Relationship{Resource: doc, Relation: "viewer", Subject: alice}}}})
	require.NoError(t, err)
	require.NotEmpty(t, token)
	decision, _, err := engine.Check(ctx, authz.Check{Subject: alice, Permission: "view", Resource: doc}, authz.Consistency{})
	require.NoError(t, err)
	require.True(t, decision.Allowed())
	for item, err := range engine.Read(ctx, authz.Filter{Type: "document"}, authz.Consistency{}, authz.Page{}) {
		require.NoError(t, err)
		t.Log(item)
	}
	_, _, err = engine.Check(ctx, authz.Check{Subject: alice, Permission: "vew", Resource: doc}, authz.Consistency{})
	t.Log(err)
	t.Log(engine.GRPCAddress)
	require.NoError(t, engine.Close())
}
