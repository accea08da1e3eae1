package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// staticFile is a file whose content does not change while the process runs.
type staticFile struct {
	contentType string
	plain       content
	gzipped     content // empty if the file is only sent uncompressed
}

// content is one encoding of a file, with its entity tag.
type content struct {
	bytes []byte
	etag  string
}

func newContent(bytes []byte) content {
	sum := sha256.Sum256(bytes)
	return content{bytes, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func newStaticFile(contentType string, plain []byte) staticFile {
	return staticFile{contentType: contentType, plain: newContent(plain)}
}

// send answers the file, or 304 if the client has the current version.
func (f staticFile) send(c *gin.Context) {
	sent := f.plain
	if f.gzipped.bytes != nil {
		c.Header("Vary", "Accept-Encoding")
		if prefersGzip(c.Request.Header.Values("Accept-Encoding")) {
			c.Header("Content-Encoding", "gzip")
			sent = f.gzipped
		}
	}
	c.Header("ETag", sent.etag)
	c.Header("Cache-Control", "no-cache") // a client may cache the file, but must revalidate it
	if hasTag(c.Request.Header.Values("If-None-Match"), sent.etag) {
		c.Writer.Header().Del("Content-Encoding")
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	sendWhole(c, http.StatusOK, f.contentType, sent.bytes)
}

// hasTag reports whether a header If-None-Match contains an entity tag or an asterisk.
func hasTag(header []string, etag string) bool {
	for _, tag := range listItems(header) {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// prefersGzip reports whether a header Accept-Encoding accepts gzip and does not prefer the uncompressed form.
func prefersGzip(header []string) bool {
	gzip, identity, others := -1.0, -1.0, 0.0
	for _, item := range listItems(header) {
		coding, parameters, _ := strings.Cut(item, ";")
		weight := quality(parameters)
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			gzip = max(gzip, weight)
		case "identity":
			identity = weight
		case "*":
			others = weight
		}
	}
	if gzip < 0 {
		gzip = others
	}
	return gzip > 0 && gzip >= identity
}

// quality returns the weight of a parameter list such as "q=0.5". It is 1 without a weight, and 0 for a malformed one.
func quality(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(weight >= 0 && weight <= 1) {
			return 0
		}
		return weight
	}
	return 1
}

// listItems returns the comma-separated items of a header, without spaces around them.
func listItems(header []string) (items []string) {
	for _, line := range header {
		for item := range strings.SplitSeq(line, ",") {
			items = append(items, strings.TrimSpace(item))
		}
	}
	return items
}
