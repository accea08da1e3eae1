package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/ownfile"
)

// Source is a SpiceDB to export from.
type Source interface {
	// Head returns the schema of the newest state, and the token of that state.
	Head(ctx context.Context) (schema string, at authz.Token, err error)

	// ExportTexts exports the relationships of the state at in batches. It calls take with each batch, and with the
	// cursor after the batch. If after is such a cursor, the export continues there. The error has CodeInvalid if
	// SpiceDB no longer has the state.
	ExportTexts(
		ctx context.Context, at authz.Token, after string, take func(relationships []string, after string) error,
	) error
}

// Progress is called with the number of relationships and bytes that the transfer has handled so far.
type Progress func(relationships, bytes int64)

// ExportTo writes the schema and all relationships to out.
func ExportTo(ctx context.Context, source Source, out io.Writer, progress Progress) error {
	schema, at, err := source.Head(ctx)
	if err != nil {
		return err
	}
	e := export{out: out, progress: progress}
	if err := e.write(head(schema)); err != nil {
		return err
	}
	return source.ExportTexts(ctx, at, "", func(relationships []string, _ string) error { return e.add(relationships) })
}

// export is a running export.
type export struct {
	out      io.Writer
	progress Progress
	state    exportState
}

// exportState is the content of an export's state file: the name of the written file, its length, and the cursor at
// which to continue.
type exportState struct {
	Part          string      `json:"part"` // the name of the incomplete file, without its folder
	At            authz.Token `json:"at"`
	After         string      `json:"after"`
	Bytes         int64       `json:"bytes"`
	Relationships int64       `json:"relationships"`
}

func (s exportState) longerThan(file *os.File) bool {
	info, err := file.Stat()
	return err != nil || info.Size() < s.Bytes
}

func (e *export) write(text string) error {
	n, err := io.WriteString(e.out, text)
	e.state.Bytes += int64(n)
	return err
}

func (e *export) add(relationships []string) error {
	if err := e.write(lines(relationships)); err != nil {
		return err
	}
	e.state.Relationships += int64(len(relationships))
	e.progress(e.state.Relationships, e.state.Bytes)
	return nil
}

// Export writes the schema and all relationships into a file. The file has a temporary, random name until it is
// complete. If an earlier export to the same file was interrupted, Export continues it with the state of the source
// that it had exported. If the source no longer has this state, Export starts again. resumed is the number of
// relationships that the earlier export had written. The error is ownfile.ErrForeign if another user may have written
// the incomplete file.
func Export(ctx context.Context, source Source, file string, progress Progress) (written, resumed int64, err error) {
	if _, err := os.Lstat(file); err == nil {
		return 0, 0, fmt.Errorf("the file %s exists already", file)
	}
	stateFile := file + ".state"
	e := &export{progress: progress}
	found, err := readState(stateFile, &e.state)
	if err != nil {
		return 0, 0, err
	}
	out, resuming, err := e.open(file, found)
	if err != nil {
		return 0, 0, err
	}
	e.out = out
	defer func() {
		err = errors.Join(err, out.Close())
		if err != nil && !found && e.state.Relationships == 0 { // there is nothing to resume
			err = errors.Join(err, remove(out.Name()), remove(stateFile))
		}
	}()
	if resuming {
		resumed = e.state.Relationships
		if err := e.resume(ctx, source, out, stateFile); !errors.Is(err, authz.CodeInvalid) {
			return e.state.Relationships, resumed, e.finish(err, out, file)
		}
		// The source no longer has the state that the interrupted export had read: start again in the same file.
		e.state, resumed = exportState{}, 0
	}
	schema, at, err := source.Head(ctx)
	if err != nil {
		return 0, 0, err
	}
	e.state.At, e.state.Part = at, filepath.Base(out.Name())
	if err := truncate(out, 0); err != nil {
		return 0, 0, err
	}
	if err := e.write(head(schema)); err != nil {
		return 0, 0, err
	}
	err = e.from(ctx, source, out, stateFile)
	return e.state.Relationships, resumed, e.finish(err, out, file)
}

// partSuffix is the end of the name of an incomplete export.
const partSuffix = ".part"

// open opens the incomplete file of an interrupted export. It creates a new file if there is none, or if the file is
// shorter than the state file says.
func (e *export) open(file string, found bool) (out *os.File, resuming bool, err error) {
	part := filepath.Join(filepath.Dir(file), e.state.Part)
	if found && ownfile.IsCreated(e.state.Part, file, partSuffix) {
		switch out, err := ownfile.Open(part, os.O_WRONLY); {
		case err == nil && !e.state.longerThan(out):
			return out, true, nil
		case err == nil:
			if err := errors.Join(out.Close(), os.Remove(part)); err != nil {
				return nil, false, err
			}
		case errors.Is(err, ownfile.ErrForeign):
			return nil, false, fmt.Errorf("%w; remove it and %s.state to start the export again", err, file)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, false, err
		}
	}
	e.state = exportState{}
	out, err = ownfile.Create(file, partSuffix)
	return out, false, err
}

func (e *export) resume(ctx context.Context, source Source, out *os.File, stateFile string) error {
	if err := truncate(out, e.state.Bytes); err != nil {
		return err
	}
	return e.from(ctx, source, out, stateFile)
}

// from writes the remaining relationships, and saves the state after each batch.
func (e *export) from(ctx context.Context, source Source, out *os.File, stateFile string) error {
	if err := writeState(stateFile, e.state); err != nil {
		return err
	}
	return source.ExportTexts(ctx, e.state.At, e.state.After, func(relationships []string, after string) error {
		if err := e.add(relationships); err != nil {
			return err
		}
		e.state.After = after
		return errors.Join(out.Sync(), writeState(stateFile, e.state))
	})
}

// finish renames a complete file to its final name.
func (e *export) finish(err error, out *os.File, file string) error {
	if err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if err := ownfile.Publish(out, file); err != nil {
		return err
	}
	return os.Remove(file + ".state")
}

// remove deletes a file if it exists.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// truncate shortens a file and sets the position to its end.
func truncate(out *os.File, bytes int64) error {
	if err := out.Truncate(bytes); err != nil {
		return err
	}
	_, err := out.Seek(bytes, io.SeekStart)
	return err
}

// maxState is the largest size of a state file in bytes.
const maxState = 64 << 10

// readState reads a state file and reports whether it exists. The error is ownfile.ErrForeign if another user may have
// written it.
func readState(path string, into any) (found bool, err error) {
	file, err := ownfile.Open(path, os.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, ownfile.ErrForeign):
		return false, fmt.Errorf("%w; remove it to start again", err)
	case err != nil:
		return false, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxState))
	if err := errors.Join(err, file.Close()); err != nil {
		return false, err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return false, fmt.Errorf("%s: %w; remove it to start again", path, err)
	}
	return true, nil
}

// writeState replaces a state file atomically.
func writeState(path string, state any) error {
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return ownfile.Replace(path, content)
}
