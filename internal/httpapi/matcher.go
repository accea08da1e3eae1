package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// matcher finds the route of a path, without a request, by the same rules as the server's router.
type matcher struct{ router *gin.Engine }

// routeMatch is a route of the contract, with the escaped values of its parameters.
type routeMatch struct {
	route  *route
	params gin.Params
}

// newMatcher returns a matcher for the routes, which have the keys of server.routes.
func newMatcher(routes map[string]*route) matcher {
	router := newRouter()
	for methodAndPath, route := range routes {
		method, path, _ := strings.Cut(methodAndPath, " ")
		router.Handle(method, path, func(c *gin.Context) {
			found := searchOf(c)
			found.routeMatch = routeMatch{route, slices.Clone(c.Params)} // gin reuses c.Params
		})
	}
	router.NoRoute(func(c *gin.Context) { searchOf(c).err = errNoRoute })
	router.NoMethod(func(c *gin.Context) {
		searchOf(c).err = noMethodError(c.Request.Method, allowHead(c.Writer.Header().Get("Allow")))
	})
	return matcher{router}
}

// search is the result of a search for a route.
type search struct {
	routeMatch

	err error
}

type searchKey struct{}

func searchOf(c *gin.Context) *search {
	found, _ := c.Request.Context().Value(searchKey{}).(*search)
	return found
}

// find returns the route of a method and a path. Its errors are those of a request to this path.
func (m matcher) find(ctx context.Context, method string, path *url.URL) (routeMatch, error) {
	var found search
	sought := &http.Request{Method: method, URL: path, Header: make(http.Header)}
	m.router.ServeHTTP(noAnswer{make(http.Header)}, sought.WithContext(
		context.WithValue(ctx, searchKey{}, &found),
	))
	return found.routeMatch, found.err
}

// noAnswer is an http.ResponseWriter that discards the answer.
type noAnswer struct{ header http.Header }

func (a noAnswer) Header() http.Header             { return a.header }
func (noAnswer) WriteHeader(int)                   {}
func (noAnswer) Write(content []byte) (int, error) { return len(content), nil }
