package spicedb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
)

// authorities are the certificate authorities of a CA file. Each handshake reads the file, so that the next
// connection uses a rotated file. If the file cannot be read, the last authorities stay in use.
type authorities struct {
	file string
	last atomic.Pointer[x509.CertPool]
}

// openAuthorities reads a CA file in PEM form.
func openAuthorities(file string) (*authorities, error) {
	a := &authorities{file: file}
	return a, a.read()
}

func (a *authorities) read() error {
	pem, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate in PEM form", a.file)
	}
	a.last.Store(pool)
	return nil
}

// credentials returns gRPC credentials that trust the authorities.
func (a *authorities) credentials() credentials.TransportCredentials {
	return &rotating{TransportCredentials: a.current(), authorities: a}
}

// current returns credentials that trust the authorities that the file has now.
func (a *authorities) current() credentials.TransportCredentials {
	_ = a.read() // on an error the last authorities stay
	return credentials.NewTLS(&tls.Config{RootCAs: a.last.Load(), MinVersion: tls.VersionTLS12})
}

// rotating are credentials that read the file for each handshake.
type rotating struct {
	credentials.TransportCredentials
	authorities *authorities
}

func (r *rotating) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return r.authorities.current().ClientHandshake(ctx, authority, conn)
}

func (r *rotating) Clone() credentials.TransportCredentials { return r.authorities.credentials() }
