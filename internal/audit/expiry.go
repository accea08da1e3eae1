package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expiries writes an entry when a relationship has ended by itself, of which Watch says nothing.
//
// What was written shortly before may not have been told yet: a relationship that was renewed or removed in time has not
// expired. So its end is written once everything up to then was told, or nothing was for a while, and SpiceDB, whose
// clock it is, no longer has it.
type expiries struct {
	follower *Follower
	writer   *Writer
	heard    time.Time // when the source last said something
	through  time.Time // up to which time it said everything, by its own clock
	hold     time.Time // not before
}

const (
	// quiet is longer than SpiceDB takes to tell a change: it asks PostgreSQL every second.
	quiet = 2 * time.Second

	// recheck is how soon SpiceDB is asked again about what it still has.
	recheck = 250 * time.Millisecond

	// maxWait is how long nothing is looked at.
	maxWait = time.Minute

	// maxExpired is how many ends are written at once.
	maxExpired = 500
)

func (x *expiries) hear(at, now time.Time) {
	x.heard = now
	if at.After(x.through) {
		x.through = at
	}
}

// wait is how long it is until something is to be written.
func (x *expiries) wait(ctx context.Context) (time.Duration, error) {
	var micros int64
	err := x.writer.log.db.QueryRowContext(ctx, "SELECT COALESCE(MIN(expires_at), 0) FROM sluice_audit_present WHERE expires_at > 0").Scan(&micros)
	if err != nil || micros == 0 {
		return maxWait, err
	}
	when := time.UnixMicro(micros)
	if settled := x.heard.Add(quiet); x.through.Before(when) && settled.After(when) && x.heard.After(when.Add(-quiet)) {
		when = settled
	}
	if x.hold.After(when) {
		when = x.hold
	}
	return min(max(when.Sub(x.follower.now()), 0), maxWait), nil
}

// write writes the ends that are due.
func (x *expiries) write(ctx context.Context) error {
	f := x.follower
	now := f.now()
	var due, ended []Update
	err := x.writer.write(ctx, func(b *batch) (err error) {
		due, err = b.rows(`SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present
			WHERE expires_at > 0 AND expires_at <= $1 ORDER BY expires_at, resource, relation, subject LIMIT $2`, now.UnixMicro(), maxExpired)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range due {
		if slices.Contains(f.log.endless, endOf(u)) {
			continue
		}
		there, err := f.there(ctx, u.Relationship(), authz.Fully())
		if errors.Is(err, authz.CodeInvalid) { // the schema no longer knows it, so SpiceDB has it no longer
			there, err = false, nil
		}
		if err != nil {
			return err
		}
		if !there {
			ended = append(ended, u)
		}
	}
	if len(ended) < len(due) {
		x.hold = now.Add(recheck)
	}
	if len(ended) == 0 {
		return nil
	}
	f.stats.wait(waitingForExpiry, ended[0].ExpiresAt.Time)
	var added map[Kind]int
	err = x.writer.write(ctx, func(b *batch) error {
		for _, u := range ended {
			if err := b.expired(u); err != nil {
				return err
			}
		}
		added = b.added
		return nil
	})
	if err == nil {
		f.stats.arrive(waitingForExpiry)
		f.stats.count(added)
	}
	return err
}

// there reports whether SpiceDB has a relationship.
func (f *Follower) there(ctx context.Context, r authz.Relationship, at authz.Consistency) (bool, error) {
	for _, err := range f.engine.Read(ctx, authz.Exactly(r), at, authz.Page{Limit: 1}) {
		return err == nil, err
	}
	return false, nil
}

// expired appends the end of a relationship that is there.
func (b *batch) expired(u Update) error {
	u.Action = gone
	if u.ExpiresAt.UnixMicro() == firstMicro {
		stored, err := b.storedEnd(u)
		if err != nil {
			return err
		}
		u.ExpiresAt = stored
	}
	return b.store(Entry{Time: *u.ExpiresAt, Kind: Expiry, Updates: []Update{u}})
}

// maxStored is how many entries about an object are read for the end of a relationship.
const maxStored = 100

// storedEnd returns the end of a relationship as the newest entry about it has it: the log's tables have the first
// microsecond of 1970 for every earlier end. It returns that if the entry is not among the newest of the object.
func (b *batch) storedEnd(u Update) (*Time, error) {
	found, err := b.log.entries(b.ctx, b.tx, `SELECT body, hash FROM sluice_audit_entries WHERE seq IN
		(SELECT seq FROM sluice_audit_marks WHERE kind = $1 AND value = $2) ORDER BY seq DESC LIMIT $3`,
		byResource, keyOfObject(u.Resource.Object), maxStored)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		for _, v := range e.Updates {
			if v.Action == touch && v.ExpiresAt != nil && slices.Equal(identity(u), identity(v)) {
				return v.ExpiresAt, nil
			}
		}
	}
	return u.ExpiresAt, nil
}
