package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// newLogger returns a logger that writes to w. format is text or json; if it is empty, it is text on a terminal and
// json otherwise. newLogger sets level to wanted; later changes of level apply.
func newLogger(w io.Writer, format, wanted string, level *slog.LevelVar) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(wanted)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is not a level; levels are debug, info, warn, error", wanted)
	}
	options := slog.HandlerOptions{Level: level}
	if format == "" && terminal(w) {
		format = "text"
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &options)), nil
	case "json", "":
		return slog.New(slog.NewJSONHandler(w, &options)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is not a format; formats are text, json", format)
}

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
