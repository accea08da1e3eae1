package replica

// objectID is the number of an object in a relationship. Zero stands for no object.
type objectID uint32

// objects maps objects to short numbers while a relationship refers to them.
type objects struct {
	byName map[objectName]objectID
	all    slab[object]
	free   []objectID
	bytes  int // total size of the ids
}

type objectName struct {
	typ typeID
	id  string // in the form that SpiceDB stores
}

type object struct {
	id   string
	refs uint32 // number of relationships that name it
	typ  typeID
}

func newObjects() objects {
	return objects{byName: make(map[objectName]objectID), all: newSlab[object]()}
}

func (o *objects) get(n objectID) *object { return o.all.at(uint32(n)) }

func (o *objects) find(typ typeID, id string) objectID { return o.byName[objectName{typ, id}] }

// retain returns the number of an object, and counts one more reference to the object. release counts one reference
// less.
func (o *objects) retain(typ typeID, id string) objectID {
	if n := o.find(typ, id); n != 0 {
		o.get(n).refs++
		return n
	}
	var n objectID
	if last := len(o.free) - 1; last >= 0 {
		n, o.free = o.free[last], o.free[:last]
	} else {
		n = objectID(o.all.add())
	}
	*o.get(n) = object{id: id, typ: typ, refs: 1}
	o.byName[objectName{typ, id}] = n
	o.bytes += len(id)
	return n
}

func (o *objects) release(n objectID) {
	one := o.get(n)
	if one.refs--; one.refs > 0 {
		return
	}
	delete(o.byName, objectName{one.typ, one.id})
	o.bytes -= len(one.id)
	*one = object{}
	o.free = append(o.free, n)
}
