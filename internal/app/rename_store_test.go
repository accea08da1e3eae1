package app_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
)

// unpack writes the files of an archive into a directory.
func unpack(t *testing.T, archive, directory string) {
	t.Helper()
	file, err := os.Open(filepath.Clean(archive))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		content, err := io.ReadAll(files)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(directory, filepath.Base(header.Name)), content, 0o600))
	}
}

// TestStartUpgradesEarlierStore starts a server on a store of schema version 7, in which an offboarding and a deletion
// were interrupted. The store has the demo company and a restricted workspace, vault.
func TestStartUpgradesEarlierStore(t *testing.T) {
	directory := t.TempDir()
	unpack(t, "testdata/store_v7.tar.gz", directory)
	lines := &logLines{}
	server := durable(t, directory, lines, nil)

	for subject, wanted := range map[string]bool{"user:otto": true, "user:rex": false} {
		question := `{"subject":"` + subject + `","permission":"view","resource":"workspace:vault"}`
		require.Equal(t, wanted, allowed(t, server, question), subject)
	}
	stored := func(resource string) string {
		status, answer := call(t, server, http.MethodGet, "/v1/relationships?resource="+resource, "")
		require.Equal(t, http.StatusOK, status, answer)
		return fmt.Sprint(answer)
	}
	require.Contains(t, stored("workspace:vault"), "relation:member resource:workspace:vault subject:user:otto")
	require.Contains(t, stored("connector:vaultdb"), "relation:capability_views resource:connector:vaultdb subject:user:*")
	for resource, flag := range map[string]string{
		"connector:vaultdb": "capability_views", "connector:postgres": "catalogue", "account:marketing": "team",
		"subscription:acme": "multi_owner",
	} {
		row := "relation:" + flag + " resource:" + resource + " subject:"
		require.Contains(t, stored(resource), row+"user:*")
		require.Contains(t, stored(resource), row+"service_account:*", "service accounts are added to the flag")
	}
	const reassigned = "relation:creator resource:importer:left-behind subject:user:uma"
	require.Contains(t, stored("importer:left-behind"), reassigned, "the offboarding is finished")
	require.NotContains(t, stored("offboarding:lea"), "user:")
	require.Contains(t, stored("deletion:importer%2Fgone"), "relation:done", "the deletion is finished")
	require.NoError(t, server.Close(t.Context()))
	// The store keeps changes for a day, and the stored test data is older. So the audit log has a gap.
	for _, line := range lines.errors() {
		require.Equal(t, "not_kept", line["reason"], line)
	}

	log, err := app.ReadAudit(t.Context(), directory, "")
	require.NoError(t, err)
	report, err := log.Verify(t.Context(), "", app.ExpectedAudit())
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.NoError(t, log.Close())

	server = durable(t, directory, &logLines{on: func(line map[string]any) {
		require.NotContains(t, line["msg"], "applied the schema", "the second start changes nothing")
	}}, nil)
	require.NoError(t, server.Close(t.Context()))
}
