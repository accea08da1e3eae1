package httpapi

import (
	"compress/gzip"
	_ "embed"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	swaggerui "github.com/swaggest/swgui/v5/static"
)

var (
	//go:embed docs/index.html
	docsPage []byte
	//go:embed docs/start.js
	docsStart []byte
)

// docsPolicy lets the page load what this server gives it and nothing else, and call this server alone. Swagger UI styles
// some of its elements in their attributes.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// GetDocs implements ServerInterface.
func (s *server) GetDocs(c *gin.Context) {
	c.Header("Content-Security-Policy", docsPolicy)
	c.Header("Referrer-Policy", "no-referrer")
	c.Data(http.StatusOK, "text/html; charset=utf-8", docsPage)
}

// GetDocsStart implements ServerInterface.
func (s *server) GetDocsStart(c *gin.Context) {
	c.Data(http.StatusOK, "text/javascript; charset=utf-8", docsStart)
}

// GetDocsScript implements ServerInterface.
func (s *server) GetDocsScript(c *gin.Context) {
	s.swaggerUI(c, "text/javascript; charset=utf-8", "swagger-ui-bundle.js.gz")
}

// GetDocsStyle implements ServerInterface.
func (s *server) GetDocsStyle(c *gin.Context) {
	s.swaggerUI(c, "text/css; charset=utf-8", "swagger-ui.css.gz")
}

// swaggerUI answers with a file of Swagger UI, compressed if the client takes that.
func (s *server) swaggerUI(c *gin.Context, contentType, name string) {
	file, err := swaggerui.FS.Open(name)
	if err != nil {
		s.problem(c, err)
		return
	}
	defer func() { _ = file.Close() }()
	c.Header("Vary", "Accept-Encoding")
	var content io.Reader = file
	if strings.Contains(c.GetHeader("Accept-Encoding"), "gzip") {
		c.Header("Content-Encoding", "gzip")
	} else if content, err = gzip.NewReader(file); err != nil {
		s.problem(c, err)
		return
	}
	c.DataFromReader(http.StatusOK, -1, contentType, content, nil)
}
