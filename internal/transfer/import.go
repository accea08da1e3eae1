package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Target is a SpiceDB to import into.
type Target interface {
	// Import writes relationships in one or more writes. A relationship that exists already gets the given caveat and
	// expiration.
	Import(ctx context.Context, relationships []string) error
}

// batchSize is the number of relationships in one call of Target.Import. The import saves its state after each batch.
const batchSize = 10_000

// Apply applies a schema to the target.
type Apply func(ctx context.Context, schema string) error

// Check reads a file up to the end of its schema. It returns the error that Import would return for this part of the
// file.
func Check(file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = newReader(in).schema()
	return err
}

// Rules check the relationships of a file before an import writes anything.
type Rules interface {
	// Check returns an error if a relationship breaks a rule. line is its line in the file.
	Check(line int, relationship string) error

	// Problems returns the errors that are known only after Check was called for all relationships, sorted by line.
	Problems(ctx context.Context) ([]error, error)
}

// Head has the schema of a file, which stands before the relationships.
type Head struct {
	Schema string

	// IsExport is set if the file says that ExportTo or Export wrote it. Then it may have ids that another tool
	// stored.
	IsExport bool
}

// NewRules returns the rules that check a file. If NewRules is nil, nothing is checked.
type NewRules func(ctx context.Context, head Head) (Rules, error)

// Options configure an import.
type Options struct {
	Apply    Apply
	Rules    NewRules
	Progress Progress
}

// ImportFrom imports from a pipe. It first copies the input into a temporary file and checks it, so it writes nothing
// if the input is invalid. If the relationships exist already, importing them again changes nothing.
func ImportFrom(ctx context.Context, target Target, from io.Reader, options Options) (written int64, err error) {
	file, err := Spool(from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := CheckAll(ctx, file, options.Rules); err != nil {
		return 0, err
	}
	return importAfter(ctx, target, options.Apply, newReader(file), 0, options.Progress, func(int64) error { return nil })
}

// maxSpool is the largest number of bytes read from a pipe.
const maxSpool = 8 << 30

// Spool copies a pipe into a temporary file that no other user can read. The file has no name and is deleted when it is
// closed.
func Spool(from io.Reader) (*os.File, error) { return spool(from, maxSpool) }

func spool(from io.Reader, most int64) (_ *os.File, err error) {
	file, err := os.CreateTemp("", "sluice-import-") // CreateTemp creates a new file, for this user alone
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	// The file has no name from here on. Its content lasts while it is open.
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	switch n, err := io.Copy(file, io.LimitReader(from, most+1)); {
	case err != nil:
		return nil, fmt.Errorf("the temporary file: %w", err)
	case n > most:
		return nil, fmt.Errorf("more than %d bytes came from the pipe: import a file", most)
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// Import checks a file and imports it. If an import of the same file into the same target was interrupted, Import skips
// the relationships that are already written, and returns their number in resumed. name identifies the target.
func Import(
	ctx context.Context, target Target, name, file string, options Options,
) (written, resumed int64, err error) {
	in, err := os.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, 0, err
	}
	hash := sha256.Sum256([]byte(name))
	path := fmt.Sprintf("%s.into-%x.state", file, hash[:6])
	var done imported
	found, err := readState(path, &done)
	if err != nil {
		return 0, 0, err
	}
	if file := (imported{Size: info.Size(), Changed: info.ModTime().UnixNano()}); !found || done.Size != file.Size ||
		done.Changed != file.Changed {
		done = file // the file has changed since the interruption
	}
	resumed = done.Relationships
	// A resumed import checks everything again, since the stored data may have changed.
	if _, err := CheckAll(ctx, in, options.Rules); err != nil {
		return 0, 0, err
	}
	note := func(relationships int64) error {
		done.Relationships = relationships
		return writeState(path, done)
	}
	written, err = importAfter(ctx, target, options.Apply, newReader(in), resumed, options.Progress, note)
	if err == nil && (found || written > 0) {
		err = os.Remove(path)
	}
	return written, resumed, err
}

// maxProblems is the largest number of problems in an error.
const maxProblems = 10

// CheckAll checks a file and returns its number of relationships. The error names the lines of the first problems.
// Afterwards the file is at its beginning.
func CheckAll(ctx context.Context, file io.ReadSeeker, rules NewRules) (relationships int64, err error) {
	from := newReader(file)
	schema, err := from.schema()
	if err != nil || rules == nil {
		return 0, errors.Join(err, rewind(file))
	}
	check, err := rules(ctx, Head{Schema: schema, IsExport: from.isExport})
	if err != nil {
		return 0, atSchemaLine(from.beforeSchema, err)
	}
	if relationships, err = checkLines(ctx, from, check); err != nil {
		return 0, err
	}
	problems, err := check.Problems(ctx)
	if err != nil {
		return 0, err
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], fmt.Errorf("and %d more", more))
	}
	for i, problem := range problems {
		problems[i] = withText("%s", problem)
	}
	if len(problems) > 0 {
		return 0, errors.Join(problems...)
	}
	return relationships, rewind(file)
}

func checkLines(ctx context.Context, from *reader, check Rules) (count int64, err error) {
	if found, err := from.relationships(); err != nil || !found {
		return 0, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		batch, err := from.batch(1)
		if err != nil || len(batch) == 0 {
			return count, err
		}
		count++
		if err := check.Check(from.number, batch[0]); err != nil {
			return 0, atLine(from.number, err)
		}
	}
}

// atLine adds the number of a line to an error.
func atLine(line int, err error) error {
	return withText(fmt.Sprintf("line %d: %%s", line), err)
}

// withText returns an error whose text is the format with the message of err. For an authz.Error, the text omits the
// code, which would stand between the line number and the message.
func withText(format string, err error) error {
	message := err.Error()
	if known, ok := err.(*authz.Error); ok { //nolint:errorlint // an error that wraps an authz.Error has its own text
		message = known.Message
	}
	return &lineError{fmt.Sprintf(format, message), err}
}

// placeInSchema matches the line and column at the beginning of an error about a schema.
var placeInSchema = regexp.MustCompile(`^schema:([0-9]+):([0-9]+): `)

// atSchemaLine replaces the line and column in an error about a schema by the line in the file and the column. before
// is the number of the line before the schema.
func atSchemaLine(before int, err error) error {
	message := withText("%s", err).Error()
	place := placeInSchema.FindStringSubmatch(message)
	if place == nil {
		return withText("%s", err)
	}
	line, _ := strconv.Atoi(place[1]) // the pattern has only digits
	text := fmt.Sprintf("line %d: column %s of the schema: %s", before+line, place[2], message[len(place[0]):])
	return &lineError{text, err}
}

// lineError is an error whose text names a line of the file.
type lineError struct {
	text  string
	cause error
}

func (e *lineError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *lineError) Unwrap() error { return e.cause }

func rewind(file io.Seeker) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}

// imported is the content of an import's state file.
type imported struct {
	Size          int64 `json:"size"`    // size of the file
	Changed       int64 `json:"changed"` // modification time of the file in nanoseconds since 1970
	Relationships int64 `json:"relationships"`
}

func importAfter(
	ctx context.Context, target Target, apply Apply, from *reader, done int64, progress Progress, save func(int64) error,
) (count int64, err error) {
	schema, err := from.schema()
	if err != nil {
		return 0, err
	}
	if schema != "" {
		if err := apply(ctx, schema); err != nil {
			return 0, err
		}
	}
	if found, err := from.relationships(); err != nil || !found {
		return 0, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return count, err
		}
		size := batchSize
		if count < done {
			size = int(min(done-count, batchSize))
		}
		batch, err := from.batch(size)
		if err != nil || len(batch) == 0 {
			return count, err
		}
		count += int64(len(batch))
		if count > done {
			if err := target.Import(ctx, batch); err != nil {
				return count, atLine(from.number, fmt.Errorf("the relationships up to this line were not written: %w", err))
			}
			if err := save(count); err != nil {
				return count, err
			}
		}
		progress(count, from.bytes)
	}
}
