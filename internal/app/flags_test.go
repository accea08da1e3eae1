package app

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

const beforeServiceAccounts = `definition user {}

definition account {
	relation team: user:*
	relation operations: user:*
	relation open: user:*
}
`

const afterServiceAccounts = `definition user {}

definition service_account {}

definition account {
	relation team: user:* | service_account:*
	relation operations: user:* | service_account:*
	relation open: user:* | service_account:*
}
`

// TestInterruptedFlagsContinue interrupts the upgrade of a store without service accounts at each of its steps, and
// repeats it. At the end, each flag of the product must be stored for both kinds of subject, and other relationships
// with a wildcard must be as before.
func TestInterruptedFlagsContinue(t *testing.T) {
	rows := []string{"account:ops#operations@user:*", "account:ops#open@user:*"}
	wanted := append(slices.Clone(rows), "account:ops#operations@service_account:*")
	for i := range flagBatch + 100 { // more flags than one write adds
		rows = append(rows, fmt.Sprintf("account:a%d#team@user:*", i))
		wanted = append(
			wanted, fmt.Sprintf("account:a%d#team@user:*", i), fmt.Sprintf("account:a%d#team@service_account:*", i),
		)
	}
	slices.Sort(wanted)
	for steps, done := 0, false; !done; steps++ {
		engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
		require.NoError(t, err)
		stamped, err := schema.WithStamp(
			beforeServiceAccounts, schema.Stamp{}.Next(schema.Version()-1, "", beforeServiceAccounts),
		)
		require.NoError(t, err)
		require.NoError(t, engine.ApplySchema(t.Context(), stamped))
		require.NoError(t, engine.Import(t.Context(), rows))

		start := func(engine authz.Engine) error {
			s := server{text: afterServiceAccounts, version: schema.Version()}
			return s.applySchema(t.Context(), engine, slog.New(slog.DiscardHandler))
		}
		err = start(&interrupted{Engine: engine, left: steps})
		if done = err == nil; !done {
			require.ErrorIs(t, err, errInterrupted)
			require.NoError(t, start(engine), "after %d steps", steps)
		}
		require.Equal(t, wanted, storedIn(t, engine), "after %d steps", steps)
		stored, err := readStored(t.Context(), engine)
		require.NoError(t, err)
		require.Equal(t, schema.Version(), stored.stamp.Version)
		require.False(t, stored.stamp.Unfinished)
		require.NoError(t, engine.Close())
		require.False(t, done && steps < 4, "the upgrade has %d steps", steps)
	}
}

// TestApplyCompletesFlags checks that applying a schema completes the flags that a server of an earlier version stored
// after the upgrade.
func TestApplyCompletesFlags(t *testing.T) {
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	_, err = ApplySchema(t.Context(), engine, afterServiceAccounts, "", false)
	require.NoError(t, err)
	require.NoError(t, engine.Import(t.Context(), []string{"account:late#team@user:*"}))
	changes, err := ApplySchema(t.Context(), engine, afterServiceAccounts, "", false)
	require.NoError(t, err)
	require.Equal(t, []string{"service accounts are added to 1 flag"}, texts(changes))
	require.Equal(
		t, []string{"account:late#team@service_account:*", "account:late#team@user:*"}, storedIn(t, engine),
	)
}
