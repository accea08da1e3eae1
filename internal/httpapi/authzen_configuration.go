package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// GetAuthZENConfiguration implements ServerInterface.
func (s *server) GetAuthZENConfiguration(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=3600")
	s.answer(c, http.StatusOK, func(context.Context) (any, error) {
		base := strings.TrimSuffix(s.PublicURL, "/")
		return AuthZENConfiguration{
			PolicyDecisionPoint:       s.PublicURL,
			AccessEvaluationEndpoint:  base + "/access/v1/evaluation",
			AccessEvaluationsEndpoint: base + "/access/v1/evaluations",
			SearchSubjectEndpoint:     base + "/access/v1/search/subject",
			SearchResourceEndpoint:    base + "/access/v1/search/resource",
			SearchActionEndpoint:      base + "/access/v1/search/action",
		}, nil
	})
}
