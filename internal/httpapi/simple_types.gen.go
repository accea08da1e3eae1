// Code generated from internal/authz/simple_type.go. DO NOT EDIT.

package httpapi

import "github.com/gin-gonic/gin"

// GetFlow implements ServerInterface.
func (s *server) GetFlow(c *gin.Context, id ID, _ GetFlowParams) {
	s.getFromWorkspace(c, "flow", id)
}

// GetSchedule implements ServerInterface.
func (s *server) GetSchedule(c *gin.Context, id ID, _ GetScheduleParams) {
	s.getFromWorkspace(c, "schedule", id)
}

// GetService implements ServerInterface.
func (s *server) GetService(c *gin.Context, id ID, _ GetServiceParams) {
	s.getFromWorkspace(c, "service", id)
}

// GetIntegration implements ServerInterface.
func (s *server) GetIntegration(c *gin.Context, id ID, _ GetIntegrationParams) {
	s.getFromAccount(c, "integration", id)
}

// GetExport implements ServerInterface.
func (s *server) GetExport(c *gin.Context, id ID, _ GetExportParams) {
	s.getFromAccount(c, "export", id)
}

// GetReport implements ServerInterface.
func (s *server) GetReport(c *gin.Context, id ID, _ GetReportParams) {
	s.getFromAccount(c, "report", id)
}
