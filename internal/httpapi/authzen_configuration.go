package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// GetAuthZENConfiguration implements ServerInterface.
func (a *authZENAPI) GetAuthZENConfiguration(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=3600")
	a.answer(c, http.StatusOK, func(context.Context) (any, error) {
		base := strings.TrimSuffix(a.publicURL, "/")
		return AuthZENConfiguration{
			PolicyDecisionPoint:       a.publicURL,
			AccessEvaluationEndpoint:  base + "/access/v1/evaluation",
			AccessEvaluationsEndpoint: base + "/access/v1/evaluations",
			SearchSubjectEndpoint:     base + "/access/v1/search/subject",
			SearchResourceEndpoint:    base + "/access/v1/search/resource",
			SearchActionEndpoint:      base + "/access/v1/search/action",
		}, nil
	})
}
