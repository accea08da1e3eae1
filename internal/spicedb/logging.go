package spicedb

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/rs/zerolog"
	zerologlog "github.com/rs/zerolog/log"
)

// The warnings and errors of SpiceDB go to slog's default logger, and the rest nowhere. SpiceDB's loggers are global to
// the process, and its compiler of schemas logs as well, so this happens before anything runs.
func init() {
	logger := zerolog.New(slogWriter{}).Level(zerolog.WarnLevel)
	zerologlog.Logger = logger
	if zerolog.DefaultContextLogger != nil {
		// It points at SpiceDB's own logger.
		*zerolog.DefaultContextLogger = logger
	} else {
		zerolog.DefaultContextLogger = &logger
	}
}

// expected are warnings about what is meant to be so.
var expected = map[string]bool{
	// The operator chose the memory datastore.
	"in-memory datastore is not persistent and not feasible to run in a high availability fashion": true,
	// A process with two servers has one such collector, for telemetry, which is off.
	"unable to initialize info collector": true,
	// Every call with an error, which the caller receives.
	"finished call": true,
	// The code that closes the server receives the error.
	"error shutting down server": true,
	// A query that PostgreSQL refuses, such as the one for a migration before there was any; the caller receives the
	// error.
	"Query": true,
	// A precondition that does not hold, in a transaction of PostgreSQL.
	"unable to determine if pgx error is retryable": true,
}

// slogWriter is a zerolog writer on slog.
type slogWriter struct{}

func (w slogWriter) Write(event []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, event) }

// WriteLevel logs one event, which zerolog has written as JSON.
func (slogWriter) WriteLevel(level zerolog.Level, event []byte) (int, error) {
	fields := map[string]any{}
	if err := json.Unmarshal(event, &fields); err != nil {
		fields = map[string]any{"event": string(event)}
	}
	message, _ := fields[zerolog.MessageFieldName].(string)
	if expected[message] {
		return len(event), nil
	}
	delete(fields, zerolog.MessageFieldName)
	delete(fields, zerolog.LevelFieldName)
	delete(fields, zerolog.TimestampFieldName)
	attributes := make([]slog.Attr, 0, len(fields))
	for name, value := range fields {
		attributes = append(attributes, slog.Any(name, value))
	}
	to := slog.LevelWarn
	if level >= zerolog.ErrorLevel {
		to = slog.LevelError
	}
	slog.LogAttrs(
		context.Background(), to, "spicedb: "+message, slog.Attr{Key: "spicedb", Value: slog.GroupValue(attributes...)},
	)
	return len(event), nil
}
