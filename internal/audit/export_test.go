package audit

import "context"

// OpenTrustingFile is OpenFile, except that triggers run. Tests use triggers to make the log reject entries.
func OpenTrustingFile(ctx context.Context, directory string) (*Log, error) {
	return openFile(ctx, directory, true)
}

// Tables creates the log's tables.
const Tables = createStatements
