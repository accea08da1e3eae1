package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// systemAPI has the calls about the server itself: its state, metrics, contract, documentation, permissions and role
// sets.
type systemAPI struct {
	*responder

	contract staticFile
	metrics  *Metrics
	ready    func(context.Context) error
}

// GetHealth implements ServerInterface.
func (a *systemAPI) GetHealth(c *gin.Context) {
	a.answer(c, http.StatusOK, func(context.Context) (any, error) { return Health{Status: Ok}, nil })
}

// GetReady implements ServerInterface.
func (a *systemAPI) GetReady(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if err := a.ready(ctx); err != nil {
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
func (a *systemAPI) GetContract(c *gin.Context) {
	a.contract.send(c)
}

// GetMetrics implements ServerInterface.
func (a *systemAPI) GetMetrics(c *gin.Context) {
	a.metrics.Handler().ServeHTTP(c.Writer, c.Request)
}
