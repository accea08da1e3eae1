package audit

import "context"

// OpenTrustingFile is OpenFile for a test that has the log refuse entries by triggers.
func OpenTrustingFile(ctx context.Context, directory string) (*Log, error) {
	return openFile(ctx, directory, true)
}

// Tables are the statements that make the tables of a log.
const Tables = tables
