// Package ginguard has middleware for gin that admits a request only if its user has a permission, as package guard
// has for net/http:
//
//	may := ginguard.New(sluice, userOfSession)
//	router.POST("/importers/:id/run", may.Require("run", ginguard.Path("importer", "id")), runImporter)
package ginguard

import (
	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/client/guard"
)

// User returns the id of the person who makes a request, or "" if the person is not known. It must use the
// application's own authentication, and never trust an id that the client sends without proof.
type User func(*gin.Context) string

// Resource returns the resource of a request as "type:id".
type Resource func(*gin.Context) string

// Path returns a Resource whose type is typ and whose id is the path parameter :name.
func Path(typ, name string) Resource {
	return func(c *gin.Context) string { return typ + ":" + c.Param(name) }
}

// Guard makes middleware.
type Guard struct {
	policy guard.Policy
	user   User
}

// New returns a guard that asks the decider for the permission of each request's user. The options are those of
// package guard.
func New(decider guard.Decider, user User, options ...guard.Option) *Guard {
	return &Guard{policy: guard.NewPolicy(decider, options...), user: user}
}

// Require returns middleware that admits a request if its user has the permission on its resource.
func (g *Guard) Require(permission string, resource Resource) gin.HandlerFunc {
	return func(c *gin.Context) {
		if refusal := g.policy.Decide(c.Request.Context(), g.user(c), permission, resource(c)); refusal != nil {
			c.Abort()
			refusal.Write(c.Writer)
			return
		}
		c.Next()
	}
}
