package spicedb

import "time"

// WithLimitsDividedBy divides the limits of each call of an embedded SpiceDB.
func (c EmbeddedConfig) WithLimitsDividedBy(divisor int64) EmbeddedConfig {
	c.limited.divisor = divisor
	return c
}

// Work is the work of SpiceDB for one call: steps, open steps, queries and rows.
type Work struct {
	Method                     string
	Steps, Open, Queries, Rows int64
}

// WithWork calls each with the work of SpiceDB, after every call that evaluates permissions.
func (c EmbeddedConfig) WithWork(each func(Work)) EmbeddedConfig {
	c.limited.worked = func(method string, done *work) {
		each(Work{
			Method: method, Steps: done.done[countSteps].Load(), Open: done.peak.Load(),
			Queries: done.done[countQueries].Load(), Rows: done.done[countRows].Load(),
		})
	}
	return c
}

// WithStalledAfter sets the time after which a call without progress is canceled.
func (c EmbeddedConfig) WithStalledAfter(after time.Duration) EmbeddedConfig {
	c.limited.stalledAfter = after
	return c
}
