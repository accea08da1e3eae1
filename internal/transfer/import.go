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

// ImportFrom imports everything. What is repeated changes nothing.
func ImportFrom(ctx context.Context, target Target, apply Apply, from io.Reader, progress Progress) (written int64, err error) {
	return importAfter(ctx, target, apply, newReader(from), 0, progress, func(int64) error { return nil })
}

// Import imports a file. What an import of the same file into the same target has written that was interrupted is left out;
// resumed tells how many relationships that were. name says which target it is.
func Import(ctx context.Context, target Target, name string, apply Apply, file string, progress Progress) (written, resumed int64, err error) {
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
	if resumed == 0 {
		if err := checkAll(ctx, target, in); err != nil {
			return 0, 0, err
		}
	}
	written, err = importAfter(ctx, target, apply, newReader(in), resumed, progress, func(relationships int64) error {
		done.Relationships = relationships
		return writeNote(path, done)
	})
	if err == nil && (found || written > 0) {
		err = os.Remove(path)
	}
	return written, resumed, err
}

// checker is a target that can check a relationship before it is written.
type checker interface {
	CheckRelationship(text string) error
}

// checkAll checks every relationship of a file before anything is written, and names the line of the first wrong one.
func checkAll(ctx context.Context, target Target, file *os.File) error {
	check, ok := target.(checker)
	if !ok {
		return nil
	}
	from := newReader(file)
	if _, err := from.schema(); err != nil {
		return err
	}
	switch name, err := from.key(); {
	case errors.Is(err, io.EOF) || err == nil && name != relationshipsKey:
	case err != nil:
		return err
	default:
		for batch := []string{""}; len(batch) > 0; {
			if err := ctx.Err(); err != nil {
				return err
			}
			if batch, err = from.batch(1); err != nil {
				return err
			}
			for _, text := range batch {
				if err := check.CheckRelationship(text); err != nil {
					return fmt.Errorf("line %d: %w", from.number, err)
				}
			}
		}
	}
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
