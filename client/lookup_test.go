package client_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

func TestLookups(t *testing.T) {
	ctx := client.WithToken(t.Context(), "")
	_, a, olga := company(t, "multi_owner", "team")
	owner := t.Name() + "-olga"
	var ids []string
	for i := range 5 {
		ids = append(ids, fmt.Sprintf("%s-%d#x", a, i))
		ok[client.Importer](t)(olga.CreateImporter(ctx, client.NewImporter{ID: ids[i], Account: a}))
	}
	ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, "gus", "guest"))

	require.ElementsMatch(t, ids, all(t, shared.Client.Resources(ctx, owner, "edit", "importer")))
	require.Empty(t, all(t, shared.Client.Resources(ctx, "gus", "edit", "importer")))
	for id, err := range shared.Client.Resources(ctx, owner, "edit", "importer") {
		require.NoError(t, err)
		require.Contains(t, ids, id)
		break // a caller may stop early
	}
	for _, err := range shared.Client.Resources(ctx, owner, "edti", "importer") {
		require.ErrorIs(t, err, client.Invalid)
	}

	subjects := all(t, shared.Client.LookupSubjects(ctx, client.Check{
		Subject: client.User(""), Permission: "view", Resource: client.Object("account:" + a),
	}))
	require.ElementsMatch(t, []client.FoundSubject{
		{Subject: client.User(owner), Allowed: true}, {Subject: client.User("gus"), Allowed: true},
	}, subjects)

	seen := all(t, olga.AccountContents(ctx, a, "importers"))
	require.Len(t, seen, len(ids))
	require.Contains(t, seen[0].Permissions, "edit")
	for _, err := range olga.AccountContents(ctx, a, "nothings") {
		require.Error(t, err)
	}
}

func TestWorkspaceContents(t *testing.T) {
	_, a, olga := company(t, "multi_owner", "operations")
	ok[client.Workspace](t)(olga.CreateWorkspace(t.Context(), client.NewWorkspace{ID: a + "-w", Account: a, Open: true}))
	ok[client.ChangedMember](t)(olga.PutAccountMember(t.Context(), a, "ann", "operator", "flow_author"))
	ok[client.WorkspacePart](t)(shared.Client.As("ann").CreateFlow(
		t.Context(), client.NewWorkspacePart{ID: a + "-f", Workspace: a + "-w"},
	))
	seen := all(t, shared.Client.As("ann").WorkspaceContents(t.Context(), a+"-w", "flows"))
	require.Len(t, seen, 1)
	require.Equal(t, a+"-f", seen[0].ID)
}
