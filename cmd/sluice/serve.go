package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/authz"
)

func newServe() *cobra.Command {
	config := app.DefaultConfig()
	var logFormat, logLevel string
	var demo bool
	cmd := &cobra.Command{
		Use:   serveName,
		Short: "Run the server",
		Long: `Run the server. Without flags it runs a SpiceDB in its own process, stores everything in the
directory ./data, and generates and prints its keys. With --demo it stores everything in memory,
unless --datastore or --data-dir is given. A flag overrides the environment variable in brackets.`,
		Example: `  sluice serve --demo
  sluice serve --data-dir /var/lib/sluice --api-keys-file keys.txt
  sluice serve --api-keys-file keys.txt --datastore postgres --datastore-uri postgres://sluice@localhost:5432/spicedb
  sluice serve --listen :8443 --tls-cert cert.pem --tls-key key.pem \
      --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-ca ca.pem
  sluice serve --schema company.zed`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var level slog.LevelVar
			log, err := newLogger(cmd.ErrOrStderr(), logFormat, logLevel, &level)
			if err != nil {
				return err
			}
			slog.SetDefault(log)
			config.Logger = log
			if !cmd.Flags().Changed("shutdown-delay") && terminal(cmd.ErrOrStderr()) {
				config.ShutdownDelay = 0 // a person at the terminal waits for the end, and there is no load balancer
			}
			if !demo {
				return serve(cmd.Context(), cmd.OutOrStdout(), config, nil)
			}
			if len(config.APIKeys) > 0 || config.APIKeysFile != "" || config.TLSCert != "" {
				return errors.New(
					"--demo uses plain HTTP and the generated key: leave --api-key, --api-keys-file and --tls-cert out, " +
						"or run `sluice demo` with your own key",
				)
			}
			if !config.Store.Remote() && !cmd.Flags().Changed("datastore") && !cmd.Flags().Changed("data-dir") {
				config.Store.Datastore = "memory" // each demo starts with an empty store
			}
			return serve(cmd.Context(), cmd.OutOrStdout(), config, quietly(&level, writeDemo))
		},
	}
	flags := cmd.Flags()
	addressFlags(flags, &config)
	engineFlags(flags, &config)
	flags.StringVar(&logFormat, "log-format", "", "text or json; text on a terminal, else json")
	flags.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(
		&demo, "demo", false, "write the demo company at the start, as 'sluice demo' does; only with the generated key",
	)
	fromEnvironment(cmd)
	return cmd
}

// addressFlags adds the flags of the server's addresses, keys and certificates.
func addressFlags(flags *pflag.FlagSet, config *app.Config) {
	flags.StringVar(&config.Listen, "listen", config.Listen, "address of the HTTP API")
	flags.StringVar(
		&config.GRPCListen, "grpc-listen", config.GRPCListen,
		"address of SpiceDB's own API, for zed; embedded SpiceDB only; off disables it",
	)
	flags.StringVar(
		&config.GRPCKey, "grpc-key", "", "key of SpiceDB's own API; if empty, one is generated for a loopback --grpc-listen",
	)
	flags.StringArrayVar(
		&config.APIKeys, "api-key", nil,
		"a key, NAME:SCOPE+SCOPE:KEY; scopes are check, operate, provision, inspect, write, write:TYPE; repeatable; "+
			"without keys, one is "+
			"generated for a loopback --listen",
	)
	flags.StringVar(
		&config.APIKeysFile, "api-keys-file", "",
		"file of keys, lines NAME SCOPE+SCOPE SHA256 as printed by 'sluice key new'; reloaded at SIGHUP",
	)
	flags.StringVar(
		&config.PublicURL, "public-url", "",
		"base URL for clients in metadata and contract; the listen address if empty",
	)
	flags.StringVar(
		&config.TLSCert, "tls-cert", "", "PEM file of the server's certificate; reloaded when it changes, and at SIGHUP",
	)
	flags.StringVar(&config.TLSKey, "tls-key", "", "PEM file of its key")
	flags.StringVar(
		&config.MetricsListen, "metrics-listen", "",
		"address that serves only /metrics, without a key and without TLS; off if empty",
	)
}

// engineFlags adds the flags of the store, the audit log, the in-memory replica and the schema, and the limits for
// requests and for the end of the server.
func engineFlags(flags *pflag.FlagSet, config *app.Config) {
	storeFlags(flags, &config.Store)
	auditURIFlag(flags, &config.AuditURI)
	flags.StringVar(
		&config.Replica.Mode, "replica", config.Replica.Mode,
		"auto answers from an in-memory replica if it is exact; off makes SpiceDB answer everything",
	)
	flags.IntVar(
		&config.Replica.MaxRelationships, "replica-max-relationships", config.Replica.MaxRelationships,
		"above this number of relationships SpiceDB answers everything",
	)
	flags.Float64Var(
		&config.Replica.Verify, "replica-verify", config.Replica.Verify,
		"share of the replica's answers to compare with SpiceDB; a difference disables the replica",
	)
	flags.StringVar(
		&config.Schema, "schema", "", "a .zed file or a validation YAML to serve instead of the product's schema",
	)
	flags.DurationVar(&config.RequestTimeout, "request-timeout", config.RequestTimeout, "time limit of one request")
	flags.IntVar(
		&config.Expensive, "expensive-requests", config.Expensive,
		"explanations, previews and questions about past access at a time; one per processor by default",
	)
	flags.DurationVar(
		&config.ShutdownDelay, "shutdown-delay", 5*time.Second,
		"time after SIGTERM in which /readyz answers 503 while requests are served, before the server drains; "+
			"0 on a terminal",
	)
	flags.DurationVar(
		&config.DrainTimeout, "drain-timeout", config.DrainTimeout,
		"time for running requests and the audit log when the server stops",
	)
}

func storeFlags(flags *pflag.FlagSet, store *app.StoreConfig) {
	*store = app.DefaultConfig().Store
	flags.StringVar(&store.Endpoint, "spicedb-endpoint", "", "host:port of a remote SpiceDB; embedded if empty")
	flags.StringVar(&store.Token, "spicedb-token", "", "preshared key of the remote SpiceDB")
	flags.StringVar(
		&store.CA, "spicedb-ca", "", "PEM file of the remote SpiceDB's certificate authority; reloaded when it changes, and "+
			"at SIGHUP; the system's if empty",
	)
	flags.BoolVar(&store.Insecure, "spicedb-insecure", false, "connect to the remote SpiceDB without TLS")
	flags.StringVar(
		&store.Datastore, "datastore", store.Datastore,
		"datastore of the embedded SpiceDB: sqlite, memory, postgres or cockroachdb",
	)
	dataDirFlag(flags, &store.DataDir)
	flags.StringVar(&store.DatastoreURI, "datastore-uri", "", "address of postgres or cockroachdb")
}

// writeDemo writes the demo company into a server that has just started.
func writeDemo(ctx context.Context, server *app.Server) error {
	to, err := client.New(server.URL, server.APIKey, client.WithHTTPClient(http.DefaultClient), client.WithTries(1))
	if err == nil {
		err = app.Demo(ctx, to, io.Discard)
	}
	if err != nil {
		return fmt.Errorf("--demo: %w", err)
	}
	return nil
}

// quietly returns a function that calls do. Meanwhile, the server logs only warnings and errors.
func quietly(
	level *slog.LevelVar, do func(context.Context, *app.Server) error,
) func(context.Context, *app.Server) error {
	return func(ctx context.Context, server *app.Server) error {
		usual := level.Level()
		defer level.Set(usual)
		level.Set(max(usual, slog.LevelWarn))
		return do(ctx, server)
	}
}

const serveName = "serve"

// stopGrace is how long a command may run after the signal to stop, for example while it reads a pipe that nobody
// writes to. For a server, --shutdown-delay and --drain-timeout are added. It is longer than closeGrace in
// internal/app, so that the server can first report which of its parts does not end. Only tests change it.
var stopGrace = 10 * time.Second

// endAfter waits for the end of ctx, which a signal causes. It calls exit after a further time, even if a part of the
// program blocks. Calling stop before that time prevents this.
func endAfter(ctx context.Context, after time.Duration, exit func()) (stop func()) {
	stopped, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-ctx.Done():
		case <-stopped.Done():
			return
		}
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
			exit()
		case <-stopped.Done():
		}
	}()
	return cancel
}

// exitOverdue ends the process although a part of it still runs. It does not wait until the error output is read.
func exitOverdue(config app.Config) {
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		const text = "sluice: a part of the server still runs %s after --shutdown-delay %s and --drain-timeout %s\n"
		fmt.Fprintf(os.Stderr, text,
			stopGrace, config.ShutdownDelay, config.DrainTimeout)
	}()
	select {
	case <-printed:
	case <-time.After(time.Second):
	}
	os.Exit(2)
}

// serve runs the server until ctx ends or it fails. It first calls demo, if that is not nil.
func serve(
	ctx context.Context, out io.Writer, config app.Config, demo func(context.Context, *app.Server) error,
) (err error) {
	defer endAfter(ctx, config.ShutdownDelay+config.DrainTimeout+stopGrace, func() { exitOverdue(config) })()
	config.Tracing, err = app.Tracing(ctx, buildVersion())
	if err != nil {
		return fmt.Errorf("OTEL_TRACES_EXPORTER or another variable OTEL_…: %w", err)
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	again := make(chan os.Signal, 1) // a second signal ends the delay early

	server, err := app.Start(ctx, config)
	if err != nil {
		return startError(ctx, config, err)
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), config.DrainTimeout)
		defer cancel()
		if closed := server.Close(drain); err == nil {
			err = closed
		}
		if config.Tracing != nil {
			if sent := config.Tracing.Shutdown(drain); err == nil && sent != nil {
				err = fmt.Errorf(
					"the last traces were not sent within --drain-timeout %s: check that OTEL_EXPORTER_OTLP_ENDPOINT is "+
						"reachable: %w",
					config.DrainTimeout,
					sent,
				)
			}
		}
	}()
	if demo != nil {
		if err := demo(ctx, server); err != nil {
			return startError(ctx, config, err)
		}
	}
	greet(ctx, out, server, config, demo != nil)
	for {
		select {
		case <-ctx.Done():
			signal.Notify(again, os.Interrupt, syscall.SIGTERM)
			defer signal.Stop(again)
			config.Logger.Info(
				"stopping", "shutdown_delay", config.ShutdownDelay.String(), "drain_timeout", config.DrainTimeout.String(),
			)
			server.Drain()
			return awaitDrain(config.ShutdownDelay, again, server.Failed())
		case err := <-server.Failed():
			return err
		case <-reload:
			if err := server.Reload(); err != nil {
				config.Logger.Error("cannot reload a file; its earlier content stays in use", "error", err.Error())
				continue
			}
			config.Logger.Info(
				"reloaded the files of the flags --api-keys-file, --tls-cert and --spicedb-ca, as far as they are given",
			)
		}
	}
}

// startError returns nil if a signal ended the start, which is no failure.
func startError(ctx context.Context, config app.Config, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) && authz.CodeOf(err) != authz.CodeCanceled {
		return err
	}
	config.Logger.Info("stopped before the start was complete")
	return nil
}

// awaitDrain waits for the delay. It returns early after a signal, or with the error of a server that fails.
func awaitDrain(delay time.Duration, again <-chan os.Signal, failed <-chan error) error {
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-again:
	case err := <-failed:
		return err
	}
	return nil
}

// greet prints the addresses and keys of the server.
func greet(ctx context.Context, out io.Writer, server *app.Server, config app.Config, demo bool) {
	fmt.Fprintf(out, "Sluice listens on %s\n", server.URL)
	fmt.Fprintf(out, "  its API, to read and try:    %s/docs\n", server.URL)
	if server.APIKey != "" {
		fmt.Fprintf(out, "  API key, made for this run:  %s\n", server.APIKey)
	}
	if server.MetricsAddress != "" {
		fmt.Fprintf(out, "Metrics, without a key:        http://%s/metrics\n", server.MetricsAddress)
	}
	if server.GRPCAddress != "" {
		fmt.Fprintf(out, "SpiceDB's own API, for zed:    %s\n", server.GRPCAddress)
		if config.GRPCKey == "" {
			fmt.Fprintf(out, "  its key, made for this run:  %s\n", server.GRPCKey)
		}
	}
	switch directory := config.Store.Directory(); {
	case directory != "":
		fmt.Fprintf(out, "Everything is stored in %s.\n", directory)
	case !config.Store.Remote() && config.Store.DatastoreURI == "":
		fmt.Fprintln(out, "Everything is stored in memory and lost when the server ends.")
	}
	if demo {
		fmt.Fprintf(out, "\nThe demo company is stored. Try:\n\n%s\n", app.DemoCalls(server.URL, server.APIKey))
	}
	if err := server.Ready(ctx); err != nil {
		fmt.Fprintln(out, "SpiceDB does not answer yet; /readyz says when it does. Stop with Ctrl-C.")
		return
	}
	fmt.Fprintf(out, "Ready after %s. Stop with Ctrl-C.\n", time.Since(started).Round(time.Millisecond))
}

var started = time.Now()
