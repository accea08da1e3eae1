package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// GetHealth implements ServerInterface.
func (s *server) GetHealth(c *gin.Context) {
	s.answer(c, http.StatusOK, func(context.Context) (any, error) { return Health{Status: Ok}, nil })
}

// GetReady implements ServerInterface.
func (s *server) GetReady(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if err := s.Ready(ctx); err != nil {
			return nil, notReady(err)
		}
		return Health{Status: Ok}, nil
	})
}

// notReady returns an error with CodeUnavailable. Its message has the reason if callers may read it.
func notReady(err error) error {
	const message = "the server is not ready"
	var known *authz.Error
	if errors.As(err, &known) && known.Code != authz.CodeInternal {
		return &authz.Error{Code: authz.CodeUnavailable, Message: message + ": " + known.Message, Cause: known.Cause}
	}
	return &authz.Error{Code: authz.CodeUnavailable, Message: message, Cause: err}
}

// GetContract implements ServerInterface.
func (s *server) GetContract(c *gin.Context) {
	sendWhole(c, http.StatusOK, "application/yaml", s.contract)
}

// GetMetrics implements ServerInterface.
func (s *server) GetMetrics(c *gin.Context) {
	s.Metrics.Handler().ServeHTTP(c.Writer, c.Request)
}
