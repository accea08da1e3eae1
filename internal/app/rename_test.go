package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

const beforeRename = `definition user {}

definition workspace {
	relation owner: user
	relation entrant: user
	permission view = owner + entrant
}

definition departure {
	relation from: workspace
	relation begun_by: user
}
`

const afterRename = `definition user {}

definition workspace {
	relation owner: user
	relation member: user
	permission view = owner + member
}

definition offboarding {
	relation from: workspace
	relation requested_by: user
}
`

// TestInterruptedRenameContinues interrupts an upgrade at each of its steps and repeats it. At the end, every
// relationship must be stored only under its new name.
func TestInterruptedRenameContinues(t *testing.T) {
	rows := []string{
		"workspace:etl#owner@user:olga", "departure:alice#from@workspace:etl", "departure:alice#begun_by@user:olga",
	}
	wanted := []string{
		"offboarding:alice#from@workspace:etl", "offboarding:alice#requested_by@user:olga", "workspace:etl#owner@user:olga",
	}
	for i := range renameBatch + 100 { // more relationships than one write holds
		rows = append(rows, fmt.Sprintf("workspace:etl#entrant@user:u%d", i))
		wanted = append(wanted, fmt.Sprintf("workspace:etl#member@user:u%d", i))
	}
	slices.Sort(wanted)
	for steps, done := 0, false; !done; steps++ {
		engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
		require.NoError(t, err)
		_, err = ApplySchema(t.Context(), engine, beforeRename, "", false)
		require.NoError(t, err)
		require.NoError(t, engine.Import(t.Context(), rows))

		_, err = ApplySchema(t.Context(), &interrupted{Engine: engine, left: steps}, afterRename, "", false)
		if done = err == nil; !done {
			require.ErrorIs(t, err, errInterrupted)
			_, err = ApplySchema(t.Context(), engine, afterRename, "", false)
			require.NoError(t, err, "after %d steps", steps)
		}
		changes, err := DiffSchema(t.Context(), engine, afterRename)
		require.NoError(t, err)
		require.Empty(t, changes, "after %d steps", steps)
		require.Equal(t, wanted, storedIn(t, engine), "after %d steps", steps)
		require.NoError(t, engine.Close())
	}
}

// TestRenameRefusesOtherBreakingChanges checks that an upgrade renames nothing if another of its changes is breaking.
func TestRenameRefusesOtherBreakingChanges(t *testing.T) {
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	_, err = ApplySchema(t.Context(), engine, beforeRename+"\ndefinition page {\n\trelation reader: user\n}\n", "", false)
	require.NoError(t, err)
	require.NoError(t, engine.Import(t.Context(), []string{"workspace:etl#entrant@user:otto"}))
	_, err = ApplySchema(t.Context(), engine, afterRename, "", false)
	require.ErrorContains(t, err, "page")
	require.Equal(t, []string{"workspace:etl#entrant@user:otto"}, storedIn(t, engine))
}

var errInterrupted = errors.New("interrupted")

// interrupted is an engine that makes a number of writes, and then fails.
type interrupted struct {
	authz.Engine
	left int
}

func (e *interrupted) step() error {
	if e.left == 0 {
		return errInterrupted
	}
	e.left--
	return nil
}

func (e *interrupted) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if err := e.step(); err != nil {
		return "", err
	}
	return e.Engine.Write(ctx, write)
}

func (e *interrupted) ApplySchema(ctx context.Context, text string) error {
	if err := e.step(); err != nil {
		return err
	}
	return e.Engine.ApplySchema(ctx, text)
}

// storedIn returns every stored relationship as text, sorted.
func storedIn(t *testing.T, engine authz.Engine) (rows []string) {
	t.Helper()
	text, err := engine.Schema(t.Context())
	require.NoError(t, err)
	definitions, err := schema.Describe(text)
	require.NoError(t, err)
	for _, d := range definitions {
		for item, err := range engine.Read(t.Context(), authz.Filter{Type: d.Type}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			rows = append(rows, item.Relationship.String())
		}
	}
	slices.Sort(rows)
	return rows
}
