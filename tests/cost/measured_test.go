package cost_test

import "fmt"

// measured is the cost of a request.
type measured struct {
	name   string
	units  float64
	memory uint64
	answer int
}

func (m measured) String() string {
	return fmt.Sprintf("%.1f units, %d MiB, answer %d KiB", m.units, m.memory>>20, m.answer>>10)
}

// raise sets each value to the higher value of m and other.
func (m *measured) raise(other measured) {
	if other.units > m.units {
		m.name, m.units = other.name, other.units
	}
	m.memory, m.answer = max(m.memory, other.memory), max(m.answer, other.answer)
}
