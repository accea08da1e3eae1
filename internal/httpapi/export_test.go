package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// MaxHeaderBytes is maxHeaderBytes.
const MaxHeaderBytes = maxHeaderBytes

// SealCursor seals a position as the server does for an API key and an actor. The path of the call has the id and the
// segments.
func SealCursor(secret, operation, id string, actor authz.Actor, position string, segments ...gin.Param) string {
	k := &call{secret: secret, route: &route{operation: operation}, actor: actor}
	k.params = append(gin.Params{{Key: "id", Value: id}}, segments...)
	return k.sealCursor(position)
}
