package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/rest"
)

// endpoint has the flags for the address of a running server and the authority that signed its certificate.
type endpoint struct{ url, ca string }

func (e *endpoint) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.url, "url", "http://127.0.0.1:8080", "address of the server")
	cmd.Flags().StringVar(&e.ca, "ca", "", "PEM file of the authority that signed its certificate; the system's if empty")
}

// http returns the HTTP client that trusts the authority.
func (e *endpoint) http() (*http.Client, error) {
	if e.ca == "" {
		return new(http.Client), nil
	}
	pem, err := os.ReadFile(e.ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca: %s contains no certificate in PEM form", e.ca)
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
	}}, nil
}

// keyed has the flags of a command that calls a running server with a key.
type keyed struct {
	endpoint
	key string
}

func (k *keyed) flags(cmd *cobra.Command, scopes string) {
	k.endpoint.flags(cmd)
	cmd.Flags().StringVar(&k.key, "key", "", "API key with "+scopes)
}

// client returns a client of the server. It sends every request once.
func (k *keyed) client() (*client.Client, error) {
	if k.key == "" {
		return nil, errors.New("--key, or SLUICE_KEY in the environment, is required")
	}
	through, err := k.http()
	if err != nil {
		return nil, err
	}
	return client.New(k.url, k.key, client.WithHTTPClient(through), client.WithTries(1))
}

// as returns the generated client on behalf of an actor, or of the backend itself if the actor is empty.
func as(to *client.Client, actor string) *rest.Client {
	if actor == "" {
		return to.REST()
	}
	return to.As(actor).REST()
}

// jsonType is the media type of the bodies that commands send.
const jsonType = "application/json"

// readAnswer returns the unparsed answer to a call of the generated client.
func readAnswer(response *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

// printJSON prints an answer with indentation.
func printJSON(out io.Writer, answer []byte) error {
	var text bytes.Buffer
	if err := json.Indent(&text, answer, "", "  "); err != nil {
		return err
	}
	text.WriteByte('\n')
	_, err := text.WriteTo(out)
	return err
}
