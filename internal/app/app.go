package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/explain"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/preview"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

// Server is a running server.
type Server struct {
	URL string // where the HTTP API is

	APIKey string // the key with every scope that was made because none was given; else empty

	MetricsAddress string // where --metrics-listen serves; empty if it is off

	GRPCAddress string // where SpiceDB's own API is; empty if it is closed or elsewhere
	GRPCKey     string // its key

	config Config
	log    *slog.Logger
	keys   *apikey.Keys
	http   *http.Server
	cert   *certificate // nil without TLS
	source authz.Source
	load   func(context.Context, schema.File) error
	ready  func(context.Context) error
	failed chan error
	close  []func(context.Context) error

	draining atomic.Bool // no new requests are wanted

	acknowledged  spicedb.Acknowledged // writes that the audit log is not known to have
	stopListening func() error         // closes SpiceDB's own API, through which others write
}

// retryAfter is how long the work at the start waits before it asks SpiceDB again.
const retryAfter = 500 * time.Millisecond

// Start puts a server together and begins to serve; ctx bounds the start alone. Whatever was opened is closed again if
// a later step fails.
func Start(ctx context.Context, config Config) (_ *Server, err error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: config.Logger, failed: make(chan error, 1), stopListening: func() error { return nil },
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	metrics := httpapi.NewMetrics()
	if err := s.openKeys(ctx, metrics); err != nil {
		return nil, err
	}
	served, err := loadSchema(ctx, config.Schema)
	if err != nil {
		return nil, err
	}
	for _, warning := range served.Warnings {
		s.log.WarnContext(ctx, "the schema has a part that is probably a mistake", "warning", warning)
	}
	definitions, err := schema.Describe(served.Text)
	if err != nil {
		return nil, err
	}
	parameters, err := schema.CaveatParameters(served.Text)
	if err != nil {
		return nil, err
	}
	engine, err := s.openEngine(ctx, metrics)
	if err != nil {
		return nil, err
	}
	log, follow, err := s.openAudit(ctx, engine, metrics)
	if err != nil {
		return nil, err
	}
	operations := operation.New(engine, operation.WithLogger(s.log), operation.WithClock(config.Clock))
	prepared := &preparation{
		engine: engine, schema: served, file: config.Schema, product: holdsProduct(definitions), load: s.load, follow: follow,
		operations: operations,
		limit:      max(config.RequestTimeout, spicedb.DefaultTimeout), log: s.log,
	}
	s.ready = prepared.ready
	if err := s.prepare(ctx, prepared); err != nil {
		return nil, err
	}
	api := httpapi.Config{
		Engine: engine,
		History: &audit.History{
			Log: log, Engine: engine, Place: operation.Place, Visible: operation.Visible, Listing: operation.Listing,
		},
		Definitions:      func(context.Context) ([]authz.Definition, error) { return definitions, nil },
		CaveatParameters: parameters,
		Ready:            s.Ready,
		Keys:             s.keys,
		PublicURL:        config.PublicURL,
		Timeout:          config.RequestTimeout,
		Expensive:        config.Expensive,
		Logger:           s.log,
		Metrics:          metrics,
	}
	if config.Tracing != nil {
		api.Tracing = config.Tracing
	}
	api.Explainer = explain.New(engine, api.Definitions, nil)
	if prepared.product {
		api.Operations = operations
		api.Operate = func(engine authz.Engine) httpapi.Operations { return operation.New(engine) }
		api.Previewer = &preview.Previewer{
			Engine: engine, Definitions: api.Definitions, Visible: operation.Visible, Listing: operation.Listing,
			Place: operation.Place,
		}
		api.Explainer = explain.New(engine, api.Definitions, operations)
	}
	if err := s.serveMetrics(ctx, metrics); err != nil {
		return nil, err
	}
	return s, s.serve(ctx, api)
}

func (s *Server) openEngine(ctx context.Context, metrics *httpapi.Metrics) (authz.Engine, error) {
	options := spicedb.Options{Timeout: s.config.RequestTimeout, Observe: metrics.ObserveEngine}
	if !s.config.NoAudit {
		options.Acknowledged = &s.acknowledged
	}
	store := s.config.Store
	if store.Remote() {
		engine, err := spicedb.Remote(ctx, store.remote(options))
		if err != nil {
			return nil, err
		}
		s.onClose(func(context.Context) error { return engine.Close() })
		s.source = engine
		s.load = func(ctx context.Context, file schema.File) error { return engine.Load(ctx, file.Relationships) }
		return authz.Fresh(s.openReplica(ctx, engine, metrics)), nil
	}
	embedded := spicedb.EmbeddedConfig{
		Options: options, Datastore: store.Datastore, DataDir: store.Directory(), URI: store.DatastoreURI,
	}
	if s.config.GRPCListen != Off {
		embedded.GRPCListen = s.config.GRPCListen
		embedded.Key, _ = secret(s.config.GRPCKey)
		s.GRPCKey = embedded.Key
		embedded.HTTPListen = s.config.GatewayListen
	}
	engine, err := spicedb.Embedded(ctx, embedded)
	if err != nil {
		return nil, blame(err, store)
	}
	s.GRPCAddress = engine.GRPCAddress
	s.stopListening = engine.StopListening
	s.onClose(func(context.Context) error { return engine.Close() })
	s.source = engine
	s.load = func(ctx context.Context, file schema.File) error { return engine.Load(ctx, file.Relationships) }
	return authz.Fresh(s.openReplica(ctx, engine.Client, metrics)), nil
}

// blame names the flag that an embedded SpiceDB could not be started for, in one line.
func blame(err error, store StoreConfig) error {
	var listening *net.OpError
	switch {
	case errors.As(err, &listening) && listening.Op == "listen":
		return fmt.Errorf("--grpc-listen: %w", err)
	case store.Directory() != "":
		return fmt.Errorf("--data-dir: %w", err)
	case store.DatastoreURI != "":
		return fmt.Errorf("--datastore-uri: %w", oneLine(err))
	default:
		return err
	}
}

// oneLine is an error whose text takes one line.
func oneLine(err error) error {
	return errors.New(strings.Join(
		strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), " ",
	))
}

func (c StoreConfig) remote(options spicedb.Options) spicedb.RemoteConfig {
	return spicedb.RemoteConfig{Options: options, Endpoint: c.Endpoint, Token: c.Token, CAFile: c.CA, Insecure: c.Insecure}
}

// Store is where relationships are, for those who look into it or move what is in it. Its owner closes it.
type Store interface {
	authz.Engine
	transfer.Source
	transfer.Target
}

// OpenStore connects to a store that is there, without serving it.
func OpenStore(ctx context.Context, store StoreConfig) (Store, error) {
	return openStore(ctx, store, true)
}

// MakeStore connects to a store without serving it, and makes one where there is none.
func MakeStore(ctx context.Context, store StoreConfig) (Store, error) {
	return openStore(ctx, store, false)
}

func openStore(ctx context.Context, store StoreConfig, mustExist bool) (Store, error) {
	if err := store.Validate(); err != nil {
		return nil, err
	}
	if store.Remote() {
		return spicedb.Remote(ctx, store.remote(spicedb.Options{}))
	}
	if store.Datastore == spicedb.Memory {
		return nil, fmt.Errorf("--datastore: nothing is in a %s that nobody serves", store.Datastore)
	}
	engine, err := spicedb.Embedded(ctx, spicedb.EmbeddedConfig{
		Datastore: store.Datastore, DataDir: store.Directory(), URI: store.DatastoreURI, MustExist: mustExist,
	})
	switch {
	case errors.Is(err, sqlitestore.ErrInUse):
		return nil, fmt.Errorf(
			"--data-dir: %w; ask the server that has it: --spicedb-endpoint, --spicedb-token, --spicedb-insecure", err,
		)
	case err != nil:
		return nil, blame(err, store)
	}
	return engine, nil
}

func (s *Server) onClose(f func(context.Context) error) { s.close = append(s.close, f) }

func (s *Server) serve(ctx context.Context, config httpapi.Config) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	scheme := "http"
	if s.config.TLSCert != "" {
		scheme = "https"
		if s.cert, err = openCertificate(s.config.TLSCert, s.config.TLSKey, s.log); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	address, everywhere := reachable(listener.Addr())
	s.URL = scheme + "://" + address
	if config.PublicURL == "" {
		config.PublicURL = s.URL
		if everywhere {
			s.log.WarnContext(
				ctx, "metadata and contract name an address of this machine alone; --public-url says how clients reach the server",
				"url", s.URL,
			)
		}
	}
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.onClose(func(context.Context) error { stop(); return nil })
	config.Stopping, config.UnderWay = stopping, new(httpapi.UnderWay)
	handler, err := httpapi.New(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       s.config.RequestTimeout + 10*time.Second,
		WriteTimeout:      s.config.RequestTimeout + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    httpapi.ReadHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	var secure *tls.Config
	if s.cert != nil {
		secure = &tls.Config{GetCertificate: s.cert.get, MinVersion: tls.VersionTLS12}
	}
	listener = httpapi.Listener(listener, secure)
	s.http.RegisterOnShutdown(stop)
	s.onClose(func(ctx context.Context) error {
		return endRequests(ctx, s.http, config.UnderWay, s.config.DrainTimeout)
	})
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return nil
}

// serveMetrics opens the listener of --metrics-listen, which serves /metrics alone, without a key.
func (s *Server) serveMetrics(ctx context.Context, metrics *httpapi.Metrics) error {
	if s.config.MetricsListen == "" || s.config.MetricsListen == Off {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("--metrics-listen: %w", err)
	}
	s.MetricsAddress = listener.Addr().String()
	listener = httpapi.Listener(listener, nil)
	server := &http.Server{
		Handler: metrics.Only(), MaxHeaderBytes: httpapi.ReadHeaderBytes, ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.onClose(func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err == nil || ctx.Err() == nil {
			return err
		}
		return server.Close() // what reads metrics comes again
	})
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("serving metrics failed", "error", err.Error())
		}
	}()
	return nil
}

// errStopping is the answer of Ready while the server drains.
var errStopping = authz.Errorf(authz.CodeUnavailable, "the server is about to stop")

// Drain makes Ready fail, so that load balancers send no new requests. The server goes on serving until Close.
func (s *Server) Drain() { s.draining.Store(true) }

// Ready returns nil when SpiceDB answers, the work of the start is done, and the server is not about to stop.
func (s *Server) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return errStopping
	}
	return s.ready(ctx)
}

// reachable is how this machine reaches what listens on an address, and whether others may under addresses of theirs.
func reachable(address net.Addr) (hostPort string, everywhere bool) {
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port)), true
	}
	return address.String(), false
}

// Failed tells when serving ended by an error.
func (s *Server) Failed() <-chan error { return s.failed }

// closeGrace is how long the parts of a server may take to end after the context of Close has ended. An embedded
// SpiceDB waits two seconds for calls under way, and there are two at most.
const closeGrace = 5 * time.Second

// Close lets requests under way end, waits until the audit log has every change that the server acknowledged, both
// until ctx ends, and closes everything in the reverse order of its opening. It logs changes that the audit log does
// not have. It returns an error at the latest closeGrace after ctx has ended, also if a part goes on.
func (s *Server) Close(ctx context.Context) error {
	parts := s.close
	s.close = nil
	closed := make(chan error, 1)
	go func() {
		var errs []error
		for _, f := range slices.Backward(parts) {
			errs = append(errs, f(ctx))
		}
		closed <- errors.Join(errs...)
	}()
	overdue := make(chan struct{})
	defer context.AfterFunc(ctx, func() { time.AfterFunc(closeGrace, func() { close(overdue) }) })()
	select {
	case err := <-closed:
		return err
	case <-overdue:
		return fmt.Errorf("a part of the server goes on %s after the end of the drain time-out", closeGrace)
	}
}
