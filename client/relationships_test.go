package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/sluicetest"
)

func TestRelationships(t *testing.T) {
	server := sluicetest.Start(t, sluicetest.WithSchema("../tests/testdata/own.zed"))
	ctx, folder := t.Context(), client.Reference{Type: "folder", ID: "a#b"}
	viewer := func(id string) client.Relationship {
		return client.Relationship{Resource: folder, Relation: "viewer", Subject: client.User(id)}
	}
	ends := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	temporary, conditional := viewer("temp"), viewer("late")
	temporary.ExpiresAt = ends
	conditional.Caveat, conditional.CaveatContext = "in_hours", map[string]any{"hour": 3.0}
	everybody := client.Relationship{
		Resource: client.Object("folder:open"), Relation: "viewer", Subject: client.User(""), Everybody: true,
	}
	asterisk := viewer("*")
	require.NoError(t, server.Client.WriteRelationships(ctx, []client.RelationshipUpdate{
		client.CreateRelationship(viewer("b@b.com")), client.TouchRelationship(temporary),
		client.CreateRelationship(conditional), client.TouchRelationship(everybody), client.TouchRelationship(asterisk),
	}, client.MustNotMatch(client.RelationshipFilter{Resource: folder})))
	stored := all(t, server.Client.Relationships(ctx, "folder:a#b", ""))
	require.ElementsMatch(t, []client.Relationship{viewer("b@b.com"), temporary, conditional, asterisk}, stored)
	require.Equal(t, []client.Relationship{everybody}, all(t, server.Client.Relationships(ctx, "folder:open", "")))
	require.True(t, ok[bool](t)(server.Client.Can(ctx, "anybody", "view", "folder:open")))

	err := server.Client.As("ann").WriteRelationships(
		ctx, []client.RelationshipUpdate{client.CreateRelationship(viewer("b@b.com"))},
	)
	require.ErrorIs(t, err, client.Conflict)
	require.ErrorContains(t, err, "updates[0].relationship")
	err = server.Client.WriteRelationships(ctx, []client.RelationshipUpdate{client.DeleteRelationship(viewer("b@b.com"))},
		client.MustMatch(client.RelationshipFilter{Resource: folder, Relation: "viewer", Subject: client.User("nobody")}),
	)
	require.ErrorIs(t, err, client.Conflict)
	require.ErrorContains(t, err, "preconditions[0].must_match")
	require.NoError(t, server.Client.As("ann").WriteRelationships(
		ctx, []client.RelationshipUpdate{client.DeleteRelationship(conditional), client.DeleteRelationship(temporary)},
		client.MustMatch(client.RelationshipFilter{Resource: everybody.Resource, Subject: client.User(""), Everybody: true}),
	))
	require.Len(t, all(t, server.Client.Relationships(ctx, "folder:a#b", "")), 2)
	require.NoError(t, server.Client.DeleteRelationships(ctx, "folder:a#b"))
	require.NoError(t, server.Client.As("ann").DeleteRelationships(ctx, "folder:open"))
	require.Empty(t, all(t, server.Client.Relationships(ctx, "folder:a#b", "")))
	require.ErrorIs(t, server.Client.DeleteRelationships(ctx, "account:a"), client.Invalid)
}

func TestParseRelationship(t *testing.T) {
	r := ok[client.Relationship](t)(client.ParseRelationship("folder:f#viewer@user:b@b.com"))
	require.Equal(t, client.Relationship{
		Resource: client.Object("folder:f"), Relation: "viewer", Subject: client.User("b@b.com"),
	}, r)
	require.Equal(t, client.Reference{Type: "folder", ID: "g", Relation: "viewer"},
		ok[client.Relationship](t)(client.ParseRelationship("folder:f#viewer@folder:g#viewer")).Subject)
	require.True(t, ok[client.Relationship](t)(client.ParseRelationship("folder:f#viewer@user:*")).Everybody)
	for _, wrong := range []string{"", "folder:f", "folder:f#viewer", "folder:f@user:bob"} {
		_, err := client.ParseRelationship(wrong)
		require.ErrorIs(t, err, client.Invalid)
	}
}
