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

// A backup ends with a line that holds the hash of all before it, since SQLite does not see every change of a byte. It is beyond
// the pages that SQLite knows of, so that any SQLite reads the file all the same.
const (
	sealBegin  = "sluice backup sha256 "
	sealFormat = sealBegin + "%x\n"
	sealLength = int64(len(sealBegin) + 2*sha256.Size + 1)
)

// pageUnit: the length of a file without the line is a multiple of it, whatever SQLite's page size.
const pageUnit = 512

// seal adds the line to a file.
func seal(ctx context.Context, path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash, err := hashOfFile(ctx, file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, sealFormat, hash)
	return err
}

// checkSeal holds that a file is as it was sealed, if it was, and returns how long it was then.
func checkSeal(ctx context.Context, path string) (length int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	length = max(0, info.Size()-sealLength)
	line := make([]byte, info.Size()-length)
	if _, err := file.ReadAt(line, length); err != nil {
		return 0, err
	}
	if !strings.HasPrefix(string(line), sealBegin) { // the file of a store that was closed
		if info.Size()%pageUnit != 0 {
			return 0, fmt.Errorf("%w: it has been cut", ErrCorrupt)
		}
		return info.Size(), nil
	}
	hash, err := hashOfFile(ctx, io.NewSectionReader(file, 0, length))
	if err != nil {
		return 0, err
	}
	if fmt.Sprintf(sealFormat, hash) != string(line) {
		return 0, fmt.Errorf("%w: it is not as it was when the backup was made", ErrCorrupt)
	}
	return length, nil
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
