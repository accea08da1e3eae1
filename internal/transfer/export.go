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

// Source is what is exported from.
type Source interface {
	// Head returns the schema of the newest state, and the token of that state.
	Head(ctx context.Context) (schema string, at authz.Token, err error)

	// Export calls take with all relationships of a state, a batch at a time, and with where the next batch begins. With
	// after, which an earlier call passed to take, it begins there. The error is authz.CodeInvalid if the state is no
	// longer kept.
	ExportTexts(ctx context.Context, at authz.Token, after string, take func(relationships []string, after string) error) error
}

// Progress is told how many relationships, and bytes of the file, there have been.
type Progress func(relationships, bytes int64)

// ExportTo writes everything.
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

// export is one under way.
type export struct {
	out      io.Writer
	progress Progress
	standing standing
}

// standing is where an export stands: which file it writes, what is in it, and where it goes on.
type standing struct {
	Part          string      `json:"part"` // the name of the file, without its folder
	At            authz.Token `json:"at"`
	After         string      `json:"after"`
	Bytes         int64       `json:"bytes"`
	Relationships int64       `json:"relationships"`
}

func (s standing) longerThan(file *os.File) bool {
	info, err := file.Stat()
	return err != nil || info.Size() < s.Bytes
}

func (e *export) write(text string) error {
	n, err := io.WriteString(e.out, text)
	e.standing.Bytes += int64(n)
	return err
}

func (e *export) add(relationships []string) error {
	if err := e.write(lines(relationships)); err != nil {
		return err
	}
	e.standing.Relationships += int64(len(relationships))
	e.progress(e.standing.Relationships, e.standing.Bytes)
	return nil
}

// Export writes everything into a file, which has its name when it is complete. An interrupted export of the same file is
// resumed with the state that it began with, as long as the source keeps that state; resumed is the number of relationships
// that it had written. Until then the file has a random name. The error is ownfile.ErrForeign if somebody else may have
// prepared what the export would resume.
func Export(ctx context.Context, source Source, file string, progress Progress) (written, resumed int64, err error) {
	if _, err := os.Lstat(file); err == nil {
		return 0, 0, fmt.Errorf("there is a file %s already", file)
	}
	note := file + ".state"
	e := &export{progress: progress}
	found, err := readNote(note, &e.standing)
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
		if err != nil && !found && e.standing.Relationships == 0 { // there is nothing to go on with
			err = errors.Join(err, remove(out.Name()), remove(note))
		}
	}()
	if resuming {
		resumed = e.standing.Relationships
		if err := e.resume(ctx, source, out, note); !errors.Is(err, authz.CodeInvalid) {
			return e.standing.Relationships, resumed, e.finish(err, out, file)
		}
		// The source no longer keeps the state that the export began with: start again in the same file.
		e.standing, resumed = standing{}, 0
	}
	schema, at, err := source.Head(ctx)
	if err != nil {
		return 0, 0, err
	}
	e.standing.At, e.standing.Part = at, filepath.Base(out.Name())
	if err := cut(out, 0); err != nil {
		return 0, 0, err
	}
	if err := e.write(head(schema)); err != nil {
		return 0, 0, err
	}
	err = e.from(ctx, source, out, note)
	return e.standing.Relationships, resumed, e.finish(err, out, file)
}

// partSuffix ends the names of files that an export is writing.
const partSuffix = ".part"

// open opens the file of an interrupted export, or creates one if there is none or less is in it than the note says.
func (e *export) open(file string, found bool) (out *os.File, resuming bool, err error) {
	part := filepath.Join(filepath.Dir(file), e.standing.Part)
	if found && ownfile.IsCreated(e.standing.Part, file, partSuffix) {
		switch out, err := ownfile.Open(part, os.O_WRONLY); {
		case err == nil && !e.standing.longerThan(out):
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
	e.standing = standing{}
	out, err = ownfile.Create(file, partSuffix)
	return out, false, err
}

func (e *export) resume(ctx context.Context, source Source, out *os.File, note string) error {
	if err := cut(out, e.standing.Bytes); err != nil {
		return err
	}
	return e.from(ctx, source, out, note)
}

// from writes what is missing, and notes after each batch how far it has come.
func (e *export) from(ctx context.Context, source Source, out *os.File, note string) error {
	if err := writeNote(note, e.standing); err != nil {
		return err
	}
	return source.ExportTexts(ctx, e.standing.At, e.standing.After, func(relationships []string, after string) error {
		if err := e.add(relationships); err != nil {
			return err
		}
		e.standing.After = after
		return errors.Join(out.Sync(), writeNote(note, e.standing))
	})
}

// finish gives a complete file its name.
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

// remove removes a file, if it is there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// cut lets writing go on after the first bytes.
func cut(out *os.File, bytes int64) error {
	if err := out.Truncate(bytes); err != nil {
		return err
	}
	_, err := out.Seek(bytes, io.SeekStart)
	return err
}

// maxNote is more than any note holds, in bytes.
const maxNote = 64 << 10

// readNote reports whether there is a note. The error is ownfile.ErrForeign if somebody else may have written it.
func readNote(path string, into any) (found bool, err error) {
	file, err := ownfile.Open(path, os.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, ownfile.ErrForeign):
		return false, fmt.Errorf("%w; remove it to start again", err)
	case err != nil:
		return false, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxNote))
	if err := errors.Join(err, file.Close()); err != nil {
		return false, err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return false, fmt.Errorf("%s: %w; remove it to start again", path, err)
	}
	return true, nil
}

// writeNote replaces a note in one step.
func writeNote(path string, note any) error {
	content, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return ownfile.Replace(path, content)
}
