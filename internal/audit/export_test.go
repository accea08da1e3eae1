package audit

import "context"

// OpenTrustingFile is OpenFile without the block on triggers. Tests use triggers to make the log reject entries.
func OpenTrustingFile(ctx context.Context, directory string) (*Log, error) {
	return openFile(ctx, directory, true)
}

// Tables creates the log's tables.
const Tables = createStatements
