package httpapi

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// decompress replaces the body of a request by a reader that decompresses it, if its Content-Encoding is gzip. maxBody
// limits both the compressed and the decompressed bytes, so that a small body cannot expand without limit. For any
// other encoding it returns an error with CodeUnsupported.
func decompress(c *gin.Context) error {
	var encodings []string
	for _, value := range c.Request.Header.Values("Content-Encoding") {
		for encoding := range strings.SplitSeq(value, ",") {
			if encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding != "" && encoding != "identity" {
				encodings = append(encodings, encoding)
			}
		}
	}
	if len(encodings) == 0 {
		return nil
	}
	if len(encodings) > 1 || encodings[0] != "gzip" && encodings[0] != "x-gzip" {
		c.Header("Accept-Encoding", "gzip")
		return authz.Errorf(authz.CodeUnsupported,
			"the header Content-Encoding is %q; it must be gzip, or be left out for a body that is not compressed",
			strings.Join(c.Request.Header.Values("Content-Encoding"), ", "))
	}
	if c.Request.Body == nil || c.Request.Body == http.NoBody {
		return nil
	}
	c.Request.Body = &gunzip{body: c.Request.Body, encoded: http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)}
	c.Request.ContentLength = -1
	c.Request.Header.Del("Content-Encoding")
	return nil
}

// gunzip decompresses a body as it is read.
type gunzip struct {
	body    io.Closer
	encoded io.Reader
	decoder *gzip.Reader
	empty   bool
}

// errNotGzip is the error for a body that is not gzip although its Content-Encoding is gzip.
var errNotGzip = authz.Errorf(authz.CodeInvalid, "the header Content-Encoding is gzip, but the body is not valid gzip")

// Read implements io.Reader. An empty encoded body is an empty body.
func (g *gunzip) Read(p []byte) (int, error) {
	if g.empty {
		return 0, io.EOF
	}
	if g.decoder == nil {
		decoder, err := gzip.NewReader(g.encoded)
		if err == io.EOF { //nolint:errorlint // gzip returns io.EOF itself for empty input
			g.empty = true
		}
		if err != nil {
			return 0, notGzip(err)
		}
		g.decoder = decoder
	}
	n, err := g.decoder.Read(p)
	return n, notGzip(err)
}

// notGzip replaces the decoder's own errors by errNotGzip.
func notGzip(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &corrupt) {
		return errNotGzip
	}
	return err
}

// Close implements io.Closer.
func (g *gunzip) Close() error { return g.body.Close() }
