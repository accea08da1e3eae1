// Package ginguard is package guard for gin:
//
//	may := ginguard.New(sluice, userOfSession)
//	router.POST("/importers/:id/run", may.Require("run", ginguard.Path("importer", "id")), runImporter)
package ginguard

import (
	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/client/guard"
)

// User tells who makes a request, by the application's own id; empty if nobody known does. It must rest on the
// application's own authentication, never on what a stranger can send.
type User func(*gin.Context) string

// Resource tells what a request is about, "type:id".
type Resource func(*gin.Context) string

// Path is the resource of a type whose id stands in the path, as :name.
func Path(typ, name string) Resource {
	return func(c *gin.Context) string { return typ + ":" + c.Param(name) }
}

// Guard makes middleware.
type Guard struct {
	policy guard.Policy
	user   User
}

// New returns a guard that asks the decider, about the person that user tells. The options are those of package guard.
func New(decider guard.Decider, user User, options ...guard.Option) *Guard {
	return &Guard{policy: guard.NewPolicy(decider, options...), user: user}
}

// Require lets a request through if its user has the permission on its resource.
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
