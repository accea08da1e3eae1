package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"hash/maphash"
)

// compareOrders returns the number of relationships in a file. It returns ErrCorrupt unless by_resource and
// by_subject contain the same relationships and each history row has two matching keys. Equal numbers of rows are not
// enough, since checks read one table and look-ups read the other. compareOrders reads each table once, and compares
// sums of hashes with a random seed.
func compareOrders(ctx context.Context, c *conn) (count int64, err error) {
	seed := maphash.MakeSeed()
	var sums [2]uint64
	var counts [2]int64
	for i, query := range []string{
		"SELECT key, created, details, expires FROM by_resource",
		"SELECT key, created, details, NULL FROM by_subject",
	} {
		err := c.each(ctx, query, func(row []driver.Value) error {
			var key string
			var created int64
			var details []byte
			if err := assignAll(row[:3], &key, &created, &details); err != nil {
				return err
			}
			bySubject := i == 1
			r, err := decode(key, bySubject, details)
			if err != nil {
				return err
			}
			resource, subject, err := keysOf(&r)
			if err != nil {
				return err
			}
			switch {
			case bySubject && key != subject || !bySubject && key != resource:
				return fmt.Errorf("%w: %q is not a valid key", ErrCorrupt, key)
			case !bySubject && row[3] != expires(&r):
				return fmt.Errorf(
					`%w: %q expires at %v, but the value in its column "expires" is %v`, ErrCorrupt, key, expires(&r), row[3],
				)
			}
			counts[i]++
			sums[i] += maphash.String(seed, fmt.Sprintf("%s %d %x", resource, created, details))
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	switch {
	case counts[0] != counts[1]:
		return 0, differentCounts(counts[0], counts[1])
	case sums[0] != sums[1]:
		return 0, fmt.Errorf("%w: the tables by_resource and by_subject differ", ErrCorrupt)
	}
	return counts[0], c.each(ctx, "SELECT key, swapped FROM history", func(row []driver.Value) error {
		var key, swapped string
		if err := assignAll(row, &key, &swapped); err != nil {
			return err
		}
		k, err := decodeKey(key)
		if err == nil && encodeKey(k.Swapped()) != swapped {
			err = fmt.Errorf(
				"%w: in a history row, the key by resource is %q; the key by subject is of another relationship: %q",
				ErrCorrupt, key, swapped,
			)
		}
		return err
	})
}

// compareCounts returns ErrCorrupt unless by_resource and by_subject have the same number of rows. It is fast enough
// to run whenever a store is opened.
func compareCounts(c *conn) error {
	var byResource, bySubject int64
	if _, err := c.queryRow("SELECT count(*) FROM by_resource", nil, &byResource); err != nil {
		return err
	}
	if _, err := c.queryRow("SELECT count(*) FROM by_subject", nil, &bySubject); err != nil {
		return err
	}
	if byResource != bySubject {
		return differentCounts(byResource, bySubject)
	}
	return nil
}

func differentCounts(byResource, bySubject int64) error {
	return fmt.Errorf("%w: by_resource has %d rows, and by_subject has %d", ErrCorrupt, byResource, bySubject)
}

// each calls visit for each row of a query, until visit returns an error or ctx ends.
func (c *conn) each(ctx context.Context, query string, visit func(row []driver.Value) error) error {
	var stopped error
	err := c.query(query, nil, func(row []driver.Value) bool {
		if stopped = ctx.Err(); stopped == nil {
			stopped = visit(row)
		}
		return stopped == nil
	})
	if stopped != nil {
		return stopped
	}
	return err
}

// assignAll stores the values of a row. It returns ErrCorrupt if a value has the wrong type.
func assignAll(row []driver.Value, destinations ...any) error {
	for i, destination := range destinations {
		if err := assign(destination, row[i]); err != nil {
			return fmt.Errorf("%w: column %d of a relationship: %w", ErrCorrupt, i, err)
		}
	}
	return nil
}
