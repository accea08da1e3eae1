package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// newLogger returns a logger to w; format is text, json, or empty for text on a terminal and else json. It sets level
// to what is wanted, and follows it from then on.
func newLogger(w io.Writer, format, wanted string, level *slog.LevelVar) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(wanted)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", wanted)
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
	return nil, fmt.Errorf("--log-format: %q is neither text nor json", format)
}

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
