package replica

// slab is a slice that grows without copying its elements, so that no reader waits for a copy. Element 0 is never used.
type slab[T any] struct {
	parts [][]T
	size  uint32
}

// slabPart is the number of elements per part.
const slabPart = 1 << 12

func newSlab[T any]() slab[T] {
	var s slab[T]
	s.add()
	return s
}

// add returns the number of a new element.
func (s *slab[T]) add() uint32 {
	if s.size%slabPart == 0 {
		s.parts = append(s.parts, make([]T, slabPart))
	}
	s.size++
	return s.size - 1
}

func (s *slab[T]) at(n uint32) *T { return &s.parts[n/slabPart][n%slabPart] }
