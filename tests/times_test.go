package tests

import (
	"net/http"
	"testing"
)

// TestTimesInQueriesMayBeInLowerCase sends times whose T and Z, as in RFC 3339, are in lower case.
func TestTimesInQueriesMayBeInLowerCase(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.must(http.MethodGet, "audit?since=2026-03-01t12:00:00z&until=2026-03-01t12:00:00.5z&limit=1", nil)
	s.must(http.MethodGet, "audit?since=2016-12-31T23:59:60Z&limit=1", nil)
	if got := s.call(http.MethodGet, "audit?since=2026-03-01x12:00:00z", nil); got.problem().Code != "invalid" {
		t.Errorf("%d %s", got.status, got.body)
	}
}
