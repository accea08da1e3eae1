package cost_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

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

// raise replaces each cost in m that is lower than the one in other.
func (m *measured) raise(other measured) {
	if other.units > m.units {
		m.name, m.units = other.name, other.units
	}
	m.memory, m.answer = max(m.memory, other.memory), max(m.answer, other.answer)
}

// usage is the processor time and the memory that the process has used so far.
type usage struct {
	processor time.Duration
	allocated uint64
}

func used() usage {
	var process syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &process); err != nil {
		panic(err)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{time.Duration(process.Utime.Nano() + process.Stime.Nano()), memory.TotalAlloc}
}

// unit returns the processor time to decode a request body of the largest size, without garbage collection. It
// measures the second decoding, since during the first one the operating system provides new memory. With garbage
// collection, or in the first decoding, the time would vary by a factor of seven.
func unit() time.Duration {
	var text []byte
	for i := 0; len(text) < maxBody; i++ {
		text = fmt.Appendf(text, `{"key%d":["value",%d,true]},`, i, i)
	}
	text = append(append([]byte{'['}, text[:len(text)-1]...), ']')
	decode := func() {
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			panic(err)
		}
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	decode()
	const rounds = 8
	before := used()
	for range rounds {
		decode()
	}
	return (used().processor - before.processor) / rounds
}
