package spicedb

// WithLimitsDividedBy divides the limits of each call of an embedded SpiceDB.
func (c EmbeddedConfig) WithLimitsDividedBy(divisor int64) EmbeddedConfig {
	c.divisor = divisor
	return c
}
