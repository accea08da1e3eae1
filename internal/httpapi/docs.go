package httpapi

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"io/fs"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	swaggerui "github.com/swaggest/swgui/v5/static"
)

var (
	//go:embed docs/index.html
	docsPage []byte
	//go:embed docs/start.js
	docsStart []byte
)

// docsPolicy is the content security policy of the page. The page may load files only from this server, and call only
// this server. Styles in attributes are allowed because Swagger UI sets them.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// GetRoot implements ServerInterface.
func (a *systemAPI) GetRoot(c *gin.Context) {
	c.Redirect(http.StatusFound, "/docs")
}

// GetDocs implements ServerInterface.
func (a *systemAPI) GetDocs(c *gin.Context) {
	c.Header("Content-Security-Policy", docsPolicy)
	c.Header("Referrer-Policy", "no-referrer")
	docsPageFile().send(c)
}

// GetDocsStart implements ServerInterface.
func (a *systemAPI) GetDocsStart(c *gin.Context) {
	docsStartFile().send(c)
}

// GetDocsScript implements ServerInterface.
func (a *systemAPI) GetDocsScript(c *gin.Context) {
	a.swaggerUI(c, swaggerScript)
}

// GetDocsStyle implements ServerInterface.
func (a *systemAPI) GetDocsStyle(c *gin.Context) {
	a.swaggerUI(c, swaggerStyle)
}

// The files of the page.
var (
	docsPageFile = sync.OnceValue(func() staticFile { return newStaticFile("text/html; charset=utf-8", docsPage) })

	docsStartFile = sync.OnceValue(func() staticFile { return newStaticFile("text/javascript; charset=utf-8", docsStart) })
)

// assets has the files of Swagger UI by name. They are decompressed once per process.
var assets = sync.OnceValues(func() (map[string]staticFile, error) {
	all := make(map[string]staticFile)
	for name, contentType := range map[string]string{
		swaggerScript: "text/javascript; charset=utf-8", swaggerStyle: "text/css; charset=utf-8",
	} {
		gzipped, err := fs.ReadFile(swaggerui.FS, name+".gz")
		if err != nil {
			return nil, err
		}
		reader, err := gzip.NewReader(bytes.NewReader(gzipped))
		if err != nil {
			return nil, err
		}
		plain, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		file := newStaticFile(contentType, plain)
		file.gzipped = newContent(gzipped)
		all[name] = file
	}
	return all, nil
})

const (
	swaggerScript = "swagger-ui-bundle.js"
	swaggerStyle  = "swagger-ui.css"
)

// swaggerUI answers a file of Swagger UI, compressed if the client prefers gzip.
func (a *systemAPI) swaggerUI(c *gin.Context, name string) {
	all, err := assets()
	if err != nil {
		a.problem(c, err)
		return
	}
	all[name].send(c)
}
