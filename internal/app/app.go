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
	"github.com/sluice-authz/sluice/internal/freshness"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/owntype"
	"github.com/sluice-authz/sluice/internal/preview"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

// Server is a running server.
type Server struct {
	URL string // base URL of the HTTP API

	APIKey string // the generated key with every scope, if no key was configured

	MetricsAddress string // address of --metrics-listen; empty if it is off

	GRPCAddress string // address of SpiceDB's own API; empty if it is closed or remote
	GRPCKey     string // the key of SpiceDB's own API

	config Config
	log    *slog.Logger
	keys   *apikey.Keys
	types  *owntype.Rules // rules for relationships that callers write themselves
	http   *http.Server
	cert   *certificate // nil without TLS
	files  []*reloadableFile
	source authz.Source
	load   func(context.Context, schema.File) error
	ready  func(context.Context) error
	failed chan error
	close  []func(context.Context) error

	draining atomic.Bool // makes Ready return an error

	acknowledged  spicedb.Acknowledged // acknowledged writes that the audit log may not have yet
	stopListening func() error         // closes SpiceDB's own API, through which other clients write
}

// retryAfter is the pause before a starting server calls SpiceDB again.
const retryAfter = 500 * time.Millisecond

// Start opens all parts of a server and begins to serve. ctx limits only the start. If Start returns an error, it has
// closed everything that it had opened.
func Start(ctx context.Context, config Config) (_ *Server, err error) {
	if err := config.validate(); err != nil {
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
	served, err := s.readSchema(ctx)
	if err != nil {
		return nil, err
	}
	if s.types, err = served.ownTypes(); err != nil {
		return nil, err
	}
	s.warnOfUnknownTypes()
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
		engine: engine, schema: served.File, file: config.Schema, product: holdsProduct(served.Definitions), load: s.load,
		follow: follow, operations: operations,
		limit: max(config.RequestTimeout, spicedb.DefaultTimeout), log: s.log,
	}
	s.ready = newReadiness(prepared.ready).get
	if err := s.prepare(ctx, prepared); err != nil {
		return nil, err
	}
	api := httpapi.Config{
		Engine: engine,
		History: &audit.History{
			Log: log, Engine: engine, Rules: operation.VisibilityRules,
		},
		Definitions:      func(context.Context) ([]authz.Definition, error) { return served.Definitions, nil },
		CaveatParameters: served.CaveatParameters,
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
		api.Operations, api.OwnTypes = operations, s.types
		api.Operate = func(engine operation.Engine) httpapi.Operations { return operation.New(engine) }
		api.Previewer = &preview.Previewer{
			Engine: engine, Definitions: api.Definitions, Rules: operation.VisibilityRules,
			Depends: served.Dependencies.Has,
		}
		api.Explainer = explain.New(engine, api.Definitions, operations)
	}
	if err := s.serveMetrics(ctx, metrics); err != nil {
		return nil, err
	}
	return s, s.serve(ctx, api)
}

func (s *Server) openEngine(ctx context.Context, metrics *httpapi.Metrics) (authz.Engine, error) {
	options := spicedb.Options{
		Timeout: s.config.RequestTimeout, Observe: metrics.ObserveEngine, Acknowledged: &s.acknowledged,
	}
	store := s.config.Store
	if store.Remote() {
		remote := store.remote(options)
		remote.Log = s.log
		engine, err := spicedb.Remote(ctx, remote)
		if err != nil {
			return nil, err
		}
		s.reloadable("--spicedb-ca", engine.ReloadAuthorities)
		s.onClose(func(context.Context) error { return engine.Close() })
		s.source = engine
		s.load = func(ctx context.Context, file schema.File) error { return engine.Load(ctx, file.Relationships) }
		return freshness.ReadYourWrites(s.openReplica(ctx, engine, metrics)), nil
	}
	embedded := spicedb.EmbeddedConfig{
		Options: options, Datastore: store.Datastore, DataDir: store.Directory(), URI: store.DatastoreURI,
	}
	if s.config.GRPCListen != Off {
		embedded.GRPCListen = s.config.GRPCListen
		embedded.Key, _ = secret(s.config.GRPCKey)
		s.GRPCKey = embedded.Key
	}
	engine, err := spicedb.Embedded(ctx, embedded)
	if err != nil {
		return nil, blame(err, store)
	}
	if store.Directory() != "" {
		warnOfOtherUsers(s.log, store.Directory())
	}
	s.GRPCAddress = engine.GRPCAddress
	s.stopListening = engine.StopListening
	s.onClose(func(context.Context) error { return engine.Close() })
	s.source = engine
	s.load = func(ctx context.Context, file schema.File) error { return engine.Load(ctx, file.Relationships) }
	return freshness.ReadYourWrites(s.openReplica(ctx, engine.Client, metrics)), nil
}

// blame adds, to the error of an embedded SpiceDB, the flag that causes the error. The result has one line.
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

// oneLine returns an error with the same text in one line.
func oneLine(err error) error {
	return errors.New(strings.Join(
		strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), " ",
	))
}

func (c StoreConfig) remote(options spicedb.Options) spicedb.RemoteConfig {
	return spicedb.RemoteConfig{Options: options, Endpoint: c.Endpoint, Token: c.Token, CAFile: c.CA, Insecure: c.Insecure}
}

// Store reads and writes relationships without a server. The caller that opened it closes it.
type Store interface {
	authz.Engine
	transfer.Source
	transfer.Target
}

// OpenStore connects to an existing store without serving it.
func OpenStore(ctx context.Context, store StoreConfig) (Store, error) {
	return openStore(ctx, store, true)
}

// MakeStore connects to a store without serving it. It creates the store if there is none.
func MakeStore(ctx context.Context, store StoreConfig) (Store, error) {
	return openStore(ctx, store, false)
}

func openStore(ctx context.Context, store StoreConfig, mustExist bool) (Store, error) {
	if err := store.validate(); err != nil {
		return nil, err
	}
	if store.Remote() {
		return spicedb.Remote(ctx, store.remote(spicedb.Options{}))
	}
	if store.Datastore == spicedb.Memory {
		return nil, fmt.Errorf(
			"--datastore: the datastore %s is lost when its server ends; name another one", store.Datastore,
		)
	}
	engine, err := spicedb.Embedded(ctx, spicedb.EmbeddedConfig{
		Datastore: store.Datastore, DataDir: store.Directory(), URI: store.DatastoreURI, MustExist: mustExist,
	})
	switch {
	case errors.Is(err, sqlitestore.ErrInUse):
		return nil, fmt.Errorf(
			"--data-dir: %w; to use the running server, leave --data-dir out, and set --spicedb-endpoint, "+
				"--spicedb-token and --spicedb-insecure", err,
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
		s.reloadable("--tls-cert, --tls-key", s.cert.reload)
	}
	s.repeat(ctx, fileInterval, s.reloadChangedFiles)
	address, everywhere := reachable(listener.Addr())
	s.URL = scheme + "://" + address
	if config.PublicURL == "" {
		config.PublicURL = s.URL
		if everywhere {
			s.log.WarnContext(
				ctx, "the API names an address that only this machine can reach; set --public-url to another address",
				"url", s.URL,
			)
		}
	}
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.onClose(func(context.Context) error { stop(); return nil })
	config.Stopping, config.ActiveRequests = stopping, new(httpapi.ActiveRequests)
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
		return endRequests(ctx, s.http, config.ActiveRequests, s.config.DrainTimeout)
	})
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return nil
}

// serveMetrics serves /metrics, without a key, on the address of --metrics-listen.
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
		return server.Close() // running requests need not finish, because a scraper retries
	})
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("serving metrics failed", "error", err.Error())
		}
	}()
	return nil
}

// errStopping is the error of Ready while the server drains.
var errStopping = authz.Errorf(authz.CodeUnavailable, "the server is about to stop")

// Drain makes Ready fail, so that load balancers send no new requests. The server serves requests until Close.
func (s *Server) Drain() { s.draining.Store(true) }

// Ready returns nil if SpiceDB answers, the start is complete, and the server does not drain.
func (s *Server) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return errStopping
	}
	return s.ready(ctx)
}

// reachable returns the address at which clients on this machine reach a listener. everywhere reports whether the
// listener also accepts connections at the machine's other addresses.
func reachable(address net.Addr) (hostPort string, everywhere bool) {
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port)), true
	}
	return address.String(), false
}

// Failed returns a channel that receives the error with which serving ended.
func (s *Server) Failed() <-chan error { return s.failed }

// closeGrace is how long the parts of a server may still take to close after the context of Close has ended. An
// embedded SpiceDB has at most two listeners, and each of them waits two seconds for running calls.
const closeGrace = 5 * time.Second

// Close stops the server. It waits for running requests, and then until the audit log has every acknowledged change.
// Both waits end when ctx ends. Close closes the parts of the server in reverse order, and logs the changes that the
// audit log lacks. If a part still runs closeGrace after the end of ctx, Close returns an error.
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
		return fmt.Errorf("a part of the server still runs %s after the end of the drain time-out", closeGrace)
	}
}
