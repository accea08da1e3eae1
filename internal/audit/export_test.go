package audit

import "context"

// OpenTrustingFile opens a log as OpenFile does, but lets triggers run. Tests use triggers to make the log reject
// entries.
func OpenTrustingFile(ctx context.Context, directory string) (*Log, error) {
	return openFile(ctx, directory, true)
}

// Tables has the SQL statements that create the log's tables.
const Tables = createStatements
