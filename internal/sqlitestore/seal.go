package sqlitestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A seal is the last line of a backup. It has a hash of all bytes before it, since SQLite does not detect every
// changed byte. The line is after the last page of the file, so SQLite can still read the file.
const (
	sealBegin  = "sluice backup sha256 "
	sealFormat = sealBegin + "%x\n"
	sealLength = int64(len(sealBegin) + 2*sha256.Size + 1)
)

// pageUnit is the smallest page size of SQLite. The size of every SQLite file is a multiple of it.
const pageUnit = 512

// seal appends the line with the hash to a file.
func seal(ctx context.Context, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	hash, err := hashOfFile(ctx, io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return err
	}
	_, err = file.WriteAt(fmt.Appendf(nil, sealFormat, hash), info.Size())
	return err
}

// readSeal returns the line with the seal, and the length of the file without this line. If the file has no seal, the
// line is empty.
func readSeal(file *os.File) (line string, length int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return "", 0, err
	}
	length = max(0, info.Size()-sealLength)
	end := make([]byte, info.Size()-length)
	if _, err := file.ReadAt(end, length); err != nil {
		return "", 0, err
	}
	switch line = string(end); {
	case strings.HasPrefix(line, sealBegin):
		return line, length, nil
	case info.Size()%pageUnit != 0:
		return "", 0, fmt.Errorf("%w: it has been truncated", ErrCorrupt)
	default:
		return "", info.Size(), nil
	}
}

// checkSeal returns ErrCorrupt unless the hash of the bytes is the hash in the line. With an empty line, it accepts
// any bytes.
func checkSeal(ctx context.Context, line string, sealed io.Reader) error {
	hash, err := hashOfFile(ctx, sealed)
	if err != nil {
		return err
	}
	if line != "" && fmt.Sprintf(sealFormat, hash) != line {
		return fmt.Errorf("%w: it has changed since the backup was made", ErrCorrupt)
	}
	return nil
}

func hashOfFile(ctx context.Context, file io.Reader) ([]byte, error) {
	hash := sha256.New()
	for {
		switch _, err := io.CopyN(hash, file, 1<<20); {
		case errors.Is(err, io.EOF):
			return hash.Sum(nil), nil
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
}
