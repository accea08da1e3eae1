package spicedb

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc/credentials"
)

// authorities are the certificate authorities in a CA file, and the open connections that they authenticated. Each
// TLS handshake reads the file, so that the next connection uses a rotated file. If the authorities change,
// connections that the new authorities do not authenticate are closed. If the file is not valid, the last valid
// authorities remain in use.
type authorities struct {
	file string
	log  *slog.Logger

	mu    sync.Mutex
	pem   []byte // content of the file when it was last valid
	pool  *x509.CertPool
	conns map[*authenticated]struct{}
}

// openAuthorities reads a CA file in PEM form.
func openAuthorities(file string, log *slog.Logger) (*authorities, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &authorities{file: file, log: log, conns: make(map[*authenticated]struct{})}
	return a, a.reload()
}

// reload reads the file. If the authorities have changed, it closes the connections that the new authorities do not
// authenticate. The error names the file.
func (a *authorities) reload() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	pem, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	if a.pool != nil && bytes.Equal(pem, a.pem) {
		return nil
	}
	pool, err := parseAuthorities(pem)
	if err != nil {
		return fmt.Errorf("%s: %w", a.file, err)
	}
	changed := a.pool != nil
	a.pem, a.pool = pem, pool
	if !changed {
		return nil
	}
	closed := 0
	for conn := range a.conns {
		if conn.verify(pool) != nil {
			closed++
			delete(a.conns, conn)
			_ = conn.Conn.Close()
		}
	}
	a.log.Info(
		"the server uses the changed certificate authorities of SpiceDB", "file", a.file, "closed_connections", closed,
	)
	return nil
}

// parseAuthorities parses the authorities in a file. It returns an error if a certificate is incomplete because the
// file is still being written: an incomplete file must not remove authorities.
func parseAuthorities(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file has no certificate in PEM form")
	}
	begins, ends := bytes.Count(pem, []byte("-----BEGIN ")), bytes.Count(pem, []byte("-----END "))
	if begins != ends {
		return nil, fmt.Errorf("the file is incomplete: it has %d BEGIN lines and %d END lines", begins, ends)
	}
	return pool, nil
}

// credentials returns gRPC credentials that trust the authorities.
func (a *authorities) credentials() credentials.TransportCredentials {
	return &rotating{TransportCredentials: trust(a.current()), authorities: a}
}

// current returns the authorities that the file has now, or the last ones if the file is not valid.
func (a *authorities) current() *x509.CertPool {
	_ = a.reload() // the server reads the file regularly and logs the error
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pool
}

func trust(pool *x509.CertPool) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
}

// add registers a connection that a handshake authenticated. It fails if the authorities have changed since and do not
// authenticate the connection.
func (a *authorities) add(conn net.Conn, info credentials.AuthInfo) (net.Conn, error) {
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, fmt.Errorf("the handshake returned %T instead of TLS information", info)
	}
	added := &authenticated{Conn: conn, chain: tlsInfo.State.PeerCertificates, authorities: a}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := added.verify(a.pool); err != nil {
		return nil, err
	}
	a.conns[added] = struct{}{}
	return added, nil
}

// authenticated is an open connection and the certificates that SpiceDB sent.
type authenticated struct {
	net.Conn
	chain       []*x509.Certificate
	authorities *authorities
}

// verify returns nil if an authority of the pool signed the certificate. The TLS handshake has already verified the
// name in the certificate.
func (c *authenticated) verify(pool *x509.CertPool) error {
	options := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool()}
	for _, certificate := range c.chain[1:] {
		options.Intermediates.AddCert(certificate)
	}
	_, err := c.chain[0].Verify(options)
	return err
}

// Close implements net.Conn.
func (c *authenticated) Close() error {
	c.authorities.mu.Lock()
	delete(c.authorities.conns, c)
	c.authorities.mu.Unlock()
	return c.Conn.Close()
}

// rotating are gRPC credentials that read the CA file for each TLS handshake.
type rotating struct {
	credentials.TransportCredentials
	authorities *authorities
}

func (r *rotating) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := trust(r.authorities.current()).ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	added, err := r.authorities.add(conn, info)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return added, info, nil
}

func (r *rotating) Clone() credentials.TransportCredentials { return r.authorities.credentials() }
