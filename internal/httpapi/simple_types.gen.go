// Code generated from internal/authz/simple_type.go. DO NOT EDIT.

package httpapi

import "github.com/gin-gonic/gin"

// GetFlow implements ServerInterface.
func (a *productAPI) GetFlow(c *gin.Context, id ID, _ GetFlowParams) {
	a.getFromWorkspace(c, "flow", id)
}

// GetSchedule implements ServerInterface.
func (a *productAPI) GetSchedule(c *gin.Context, id ID, _ GetScheduleParams) {
	a.getFromWorkspace(c, "schedule", id)
}

// GetService implements ServerInterface.
func (a *productAPI) GetService(c *gin.Context, id ID, _ GetServiceParams) {
	a.getFromWorkspace(c, "service", id)
}

// GetIntegration implements ServerInterface.
func (a *productAPI) GetIntegration(c *gin.Context, id ID, _ GetIntegrationParams) {
	a.getFromAccount(c, "integration", id)
}

// GetExport implements ServerInterface.
func (a *productAPI) GetExport(c *gin.Context, id ID, _ GetExportParams) {
	a.getFromAccount(c, "export", id)
}

// GetReport implements ServerInterface.
func (a *productAPI) GetReport(c *gin.Context, id ID, _ GetReportParams) {
	a.getFromAccount(c, "report", id)
}
