package app

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateInterval is the minimum time between two reads of the certificate's files. Handshakes in between use the
// last read certificate.
const certificateInterval = time.Second

// certificate is the server's TLS certificate. It reloads its files when they change: the next handshake uses the
// renewed pair. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu              sync.Mutex
	certPEM, keyPEM []byte // content of the files at the last read
	pair            *tls.Certificate
	readAt          time.Time
}

// openCertificate reads a certificate and its key. The error names the files.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	return c, c.reload()
}

// reload reads the files now. On an error it keeps the current certificate.
func (c *certificate) reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

// get implements tls.Config.GetCertificate. If the files are incomplete, for example during a renewal, it returns the
// current pair.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.readAt) >= certificateInterval {
		if err := c.read(); err != nil {
			c.log.Error("cannot read the renewed TLS certificate; the current one stays in use", "error", err.Error())
		}
	}
	return c.pair, nil
}

func (c *certificate) read() error {
	c.readAt = c.now()
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	if c.pair != nil && bytes.Equal(certPEM, c.certPEM) && bytes.Equal(keyPEM, c.keyPEM) {
		return nil
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	if c.pair != nil {
		c.log.Info("uses the renewed TLS certificate", "file", c.certFile, "expires", pair.Leaf.NotAfter)
	}
	c.certPEM, c.keyPEM, c.pair = certPEM, keyPEM, &pair
	return nil
}
