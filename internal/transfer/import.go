package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// Target is what is imported into.
type Target interface {
	// Import writes relationships, in as many writes as it takes. Those that are there already stay, with the caveat and the
	// expiration that are given.
	Import(ctx context.Context, relationships []string) error
}

// batchSize is how many relationships are imported before it is noted.
const batchSize = 10_000

// Apply applies a schema to the target.
type Apply func(ctx context.Context, schema string) error

// Check reads the beginning of a file, and returns the error that importing it would begin with.
func Check(file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = newReader(in).schema()
	return err
}

// Rules are what is checked before anything is written.
type Rules interface {
	// Check returns the error of one relationship.
	Check(line int, relationship string) error

	// Problems returns the errors of everything that was checked, in the order of the lines.
	Problems(ctx context.Context) ([]error, error)
}

// NewRules returns the rules for the schema of a file; nil checks nothing.
type NewRules func(ctx context.Context, schema string) (Rules, error)

// Options say how to import.
type Options struct {
	Apply    Apply
	Rules    NewRules
	Progress Progress
}

// ImportFrom imports everything. What is repeated changes nothing. Nothing is written before all of it was read into a
// temporary file and checked. The file is removed.
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

// maxSpool is how many bytes of a pipe are taken at most.
const maxSpool = 8 << 30

// Spool copies what comes from a pipe into a temporary file that nobody else can read and that is gone when it is closed.
func Spool(from io.Reader) (*os.File, error) { return spool(from, maxSpool) }

func spool(from io.Reader, most int64) (_ *os.File, err error) {
	file, err := os.CreateTemp("", "sluice-import-") // exclusive, for this user alone
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := os.Remove(file.Name()); err != nil { // it lives as long as it is open
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

// Import imports a file after all of it was checked, also if it is resumed. What an import of the same file into the same target has written that was interrupted is left out;
// resumed tells how many relationships that were. name says which target it is.
func Import(ctx context.Context, target Target, name, file string, options Options) (written, resumed int64, err error) {
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
	found, err := readNote(path, &done)
	if err != nil {
		return 0, 0, err
	}
	if file := (imported{Size: info.Size(), Changed: info.ModTime().UnixNano()}); !found || done.Size != file.Size || done.Changed != file.Changed {
		done = file // it is another one by now
	}
	resumed = done.Relationships
	if _, err := CheckAll(ctx, in, options.Rules); err != nil { // also again: what is stored may have changed in between
		return 0, 0, err
	}
	written, err = importAfter(ctx, target, options.Apply, newReader(in), resumed, options.Progress, func(relationships int64) error {
		done.Relationships = relationships
		return writeNote(path, done)
	})
	if err == nil && (found || written > 0) {
		err = os.Remove(path)
	}
	return written, resumed, err
}

// maxProblems is how many problems an error names.
const maxProblems = 10

// CheckAll checks a file and returns how many relationships it has. The error names the lines of the first problems and their
// rules. The file can be read from its beginning afterwards.
func CheckAll(ctx context.Context, file io.ReadSeeker, rules NewRules) (relationships int64, err error) {
	from := newReader(file)
	schema, err := from.schema()
	if err != nil || rules == nil {
		return 0, errors.Join(err, rewind(file))
	}
	check, err := rules(ctx, schema)
	if err != nil {
		return 0, err
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
	if len(problems) > 0 {
		return 0, errors.Join(problems...)
	}
	return relationships, rewind(file)
}

func checkLines(ctx context.Context, from *reader, check Rules) (count int64, err error) {
	switch name, err := from.key(); {
	case errors.Is(err, io.EOF):
		return 0, nil
	case err != nil:
		return 0, err
	case name != relationshipsKey:
		return 0, fmt.Errorf("line %d: there is a second schema", from.number)
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
			return 0, fmt.Errorf("line %d: %w", from.number, err)
		}
	}
}

func rewind(file io.Seeker) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}

// imported is how far an import has come.
type imported struct {
	Size          int64 `json:"size"`    // of the file
	Changed       int64 `json:"changed"` // when the file was, in nanoseconds since 1970
	Relationships int64 `json:"relationships"`
}

func importAfter(ctx context.Context, target Target, apply Apply, from *reader, done int64, progress Progress, note func(int64) error) (count int64, err error) {
	schema, err := from.schema()
	if err != nil {
		return 0, err
	}
	if schema != "" {
		if err := apply(ctx, schema); err != nil {
			return 0, err
		}
	}
	switch name, err := from.key(); {
	case errors.Is(err, io.EOF):
		return 0, nil
	case err != nil:
		return 0, err
	case name != relationshipsKey:
		return 0, fmt.Errorf("line %d: there is a second schema", from.number)
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
				return count, fmt.Errorf("the relationships up to line %d: %w", from.number, err)
			}
			if err := note(count); err != nil {
				return count, err
			}
		}
		progress(count, from.bytes)
	}
}
