// Code generated from internal/authz/simple_type.go. DO NOT EDIT.

package httpapi

import "github.com/gin-gonic/gin"

// CreateFlow implements ServerInterface.
func (s *server) CreateFlow(c *gin.Context, _ CreateFlowParams) {
	s.createInWorkspace(c, "flow")
}

// GetFlow implements ServerInterface.
func (s *server) GetFlow(c *gin.Context, id ID, _ GetFlowParams) {
	s.getFromWorkspace(c, "flow", id)
}

// DeleteFlow implements ServerInterface.
func (s *server) DeleteFlow(c *gin.Context, id ID, _ DeleteFlowParams) {
	s.delete(c, "flow", id)
}

// CreateSchedule implements ServerInterface.
func (s *server) CreateSchedule(c *gin.Context, _ CreateScheduleParams) {
	s.createInWorkspace(c, "schedule")
}

// GetSchedule implements ServerInterface.
func (s *server) GetSchedule(c *gin.Context, id ID, _ GetScheduleParams) {
	s.getFromWorkspace(c, "schedule", id)
}

// DeleteSchedule implements ServerInterface.
func (s *server) DeleteSchedule(c *gin.Context, id ID, _ DeleteScheduleParams) {
	s.delete(c, "schedule", id)
}

// CreateService implements ServerInterface.
func (s *server) CreateService(c *gin.Context, _ CreateServiceParams) {
	s.createInWorkspace(c, "service")
}

// GetService implements ServerInterface.
func (s *server) GetService(c *gin.Context, id ID, _ GetServiceParams) {
	s.getFromWorkspace(c, "service", id)
}

// DeleteService implements ServerInterface.
func (s *server) DeleteService(c *gin.Context, id ID, _ DeleteServiceParams) {
	s.delete(c, "service", id)
}

// CreateIntegration implements ServerInterface.
func (s *server) CreateIntegration(c *gin.Context, _ CreateIntegrationParams) {
	s.createInAccount(c, "integration")
}

// GetIntegration implements ServerInterface.
func (s *server) GetIntegration(c *gin.Context, id ID, _ GetIntegrationParams) {
	s.getFromAccount(c, "integration", id)
}

// DeleteIntegration implements ServerInterface.
func (s *server) DeleteIntegration(c *gin.Context, id ID, _ DeleteIntegrationParams) {
	s.delete(c, "integration", id)
}

// CreateExport implements ServerInterface.
func (s *server) CreateExport(c *gin.Context, _ CreateExportParams) {
	s.createInAccount(c, "export")
}

// GetExport implements ServerInterface.
func (s *server) GetExport(c *gin.Context, id ID, _ GetExportParams) {
	s.getFromAccount(c, "export", id)
}

// DeleteExport implements ServerInterface.
func (s *server) DeleteExport(c *gin.Context, id ID, _ DeleteExportParams) {
	s.delete(c, "export", id)
}

// CreateReport implements ServerInterface.
func (s *server) CreateReport(c *gin.Context, _ CreateReportParams) {
	s.createInAccount(c, "report")
}

// GetReport implements ServerInterface.
func (s *server) GetReport(c *gin.Context, id ID, _ GetReportParams) {
	s.getFromAccount(c, "report", id)
}

// DeleteReport implements ServerInterface.
func (s *server) DeleteReport(c *gin.Context, id ID, _ DeleteReportParams) {
	s.delete(c, "report", id)
}
