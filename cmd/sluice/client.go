package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// endpoint is the address of a running server and the authority that signed its certificate.
type endpoint struct {
	url, ca string
	http    *http.Client // created by connect
}

func (e *endpoint) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.url, "url", "http://127.0.0.1:8080", "address of the server")
	cmd.Flags().StringVar(&e.ca, "ca", "", "PEM file of the authority that signed its certificate; the system's if empty")
}

// connect creates the HTTP client from the flags.
func (e *endpoint) connect() error {
	e.http = &http.Client{}
	if e.ca == "" {
		return nil
	}
	pem, err := os.ReadFile(e.ca)
	if err != nil {
		return fmt.Errorf("--ca: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return fmt.Errorf("--ca: %s contains no certificate in PEM form", e.ca)
	}
	e.http.Transport = &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
	}
	return nil
}

// client calls a running server with a key.
type client struct {
	endpoint
	key string
}

func (c *client) flags(cmd *cobra.Command, scopes string) {
	c.endpoint.flags(cmd)
	cmd.Flags().StringVar(&c.key, "key", "", "API key with "+scopes)
}

func (c *client) connect() error {
	if c.key == "" {
		return errors.New("--key, or SLUICE_KEY in the environment, is required")
	}
	return c.endpoint.connect()
}
