package spicedb

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/rs/zerolog"
	zerologlog "github.com/rs/zerolog/log"
)

// SpiceDB's warnings and errors go to slog's default logger, and other messages are dropped. SpiceDB's loggers are
// global and its schema compiler uses them too, so init sets them before all other code runs.
func init() {
	logger := zerolog.New(slogWriter{}).Level(zerolog.WarnLevel)
	zerologlog.Logger = logger
	if zerolog.DefaultContextLogger != nil {
		// This pointer points to SpiceDB's own logger.
		*zerolog.DefaultContextLogger = logger
	} else {
		zerolog.DefaultContextLogger = &logger
	}
}

// expected are messages of SpiceDB that this package drops, since they report no problem.
var expected = map[string]bool{
	// The operator has chosen the memory datastore.
	"in-memory datastore is not persistent and not feasible to run in a high availability fashion": true,
	// Two servers in one process share a collector for telemetry, which is off.
	"unable to initialize info collector": true,
	// SpiceDB logs this for each call with an error. The caller receives the error.
	"finished call": true,
	// The code that closes the server gets the error.
	"error shutting down server": true,
	// PostgreSQL rejects a query, for example the query for a migration before the first migration. The caller receives
	// the error.
	"Query": true,
	// SpiceDB logs this for a failed precondition in a transaction of PostgreSQL. The caller receives the error.
	"unable to determine if pgx error is retryable": true,
}

// slogWriter is a zerolog writer that writes to slog.
type slogWriter struct{}

func (w slogWriter) Write(event []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, event) }

// WriteLevel logs one event, which zerolog wrote as JSON.
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
