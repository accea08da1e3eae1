package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expiryWriter writes an entry when a relationship has expired, since Watch does not deliver expiries.
//
// A relationship may have been renewed or deleted before its expiration, and Watch may deliver this change late. So
// expiryWriter waits until Watch has delivered all changes up to the expiration, or has delivered no change for
// watchDelay. Then it asks SpiceDB, whose clock decides, whether the relationship is still stored.
type expiryWriter struct {
	follower       *Follower
	writer         *writer
	lastChange     time.Time // when Watch last delivered a change, by the server's clock
	changedThrough time.Time // time of the last delivered change, by SpiceDB's clock
	notBefore      time.Time // earliest time of the next check
}

const (
	// watchDelay is longer than the time that SpiceDB takes to deliver a change: SpiceDB polls PostgreSQL every
	// second.
	watchDelay = 2 * time.Second

	// recheckInterval is the time until the next check of an expired relationship that SpiceDB still has.
	recheckInterval = 250 * time.Millisecond

	// maxIdle is the longest time between two checks.
	maxIdle = time.Minute

	// maxExpiriesPerWrite is the largest number of expiries in one transaction.
	maxExpiriesPerWrite = 500
)

func (x *expiryWriter) observe(at, now time.Time) {
	x.lastChange = now
	if at.After(x.changedThrough) {
		x.changedThrough = at
	}
}

// wait returns the time until the next check.
func (x *expiryWriter) wait(ctx context.Context) (time.Duration, error) {
	var micros int64
	err := x.writer.log.db.QueryRowContext(
		ctx, "SELECT COALESCE(MIN(expires_at), 0) FROM sluice_audit_present WHERE expires_at > 0",
	).Scan(&micros)
	if err != nil || micros == 0 {
		return maxIdle, err
	}
	when := time.UnixMicro(micros)
	if settled := x.lastChange.Add(watchDelay); x.changedThrough.Before(when) && settled.After(when) &&
		x.lastChange.After(when.Add(-watchDelay)) {
		when = settled
	}
	if x.notBefore.After(when) {
		when = x.notBefore
	}
	return min(max(when.Sub(x.follower.now()), 0), maxIdle), nil
}

// write writes an entry for each relationship that has expired.
func (x *expiryWriter) write(ctx context.Context) error {
	f := x.follower
	now := f.now()
	var due, ended []Update
	err := x.writer.write(ctx, func(b *batch) (err error) {
		due, err = b.rows(`SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present
			WHERE expires_at > 0 AND expires_at <= $1 ORDER BY expires_at, resource, relation, subject
				LIMIT $2`, now.UnixMicro(), maxExpiriesPerWrite)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range due {
		if slices.Contains(f.log.unstorableEnds, endKey(u)) {
			continue
		}
		isStored, err := f.isStored(ctx, u.Relationship(), authz.Fully())
		// CodeInvalid means that the schema no longer has the type or relation, so the relationship is deleted.
		if errors.Is(err, authz.CodeInvalid) {
			isStored, err = false, nil
		}
		if err != nil {
			return err
		}
		if !isStored {
			ended = append(ended, u)
		}
	}
	if len(ended) < len(due) {
		x.notBefore = now.Add(recheckInterval)
	}
	if len(ended) == 0 {
		return nil
	}
	f.stats.wait(waitingForExpiry, ended[0].ExpiresAt.Time)
	var added map[Kind]int
	err = x.writer.write(ctx, func(b *batch) error {
		for _, u := range ended {
			if err := b.appendExpiry(u); err != nil {
				return err
			}
		}
		added = b.added
		return nil
	})
	if err == nil {
		f.stats.stopWaiting(waitingForExpiry)
		f.stats.count(added)
	}
	return err
}

// isStored reports whether SpiceDB has a relationship.
func (f *Follower) isStored(ctx context.Context, r authz.Relationship, at authz.Consistency) (bool, error) {
	for _, err := range f.reader.Read(ctx, authz.Exactly(r), at, authz.Page{Limit: 1}) {
		return err == nil, err
	}
	return false, nil
}

// appendExpiry appends the expiry of a relationship in sluice_audit_present.
func (b *batch) appendExpiry(u Update) error {
	u.Action = actionDelete
	if u.ExpiresAt.UnixMicro() == firstMicro {
		stored, err := b.storedEnd(u)
		if err != nil {
			return err
		}
		u.ExpiresAt = stored
	}
	return b.store(Entry{Time: *u.ExpiresAt, Kind: Expiry, Updates: []Update{u}})
}

// maxEntriesRead is the largest number of entries that storedEnd reads.
const maxEntriesRead = 100

// storedEnd returns the exact expiration of a relationship that expired before firstMicro. The log's tables do not
// have this time, so storedEnd reads the newest entry about the relationship. If this entry is not among the newest
// maxEntriesRead entries of the object, storedEnd returns firstMicro.
func (b *batch) storedEnd(u Update) (*Time, error) {
	found, err := b.log.entries(b.ctx, b.tx, `SELECT body, hash FROM sluice_audit_entries WHERE seq IN
		(SELECT seq FROM sluice_audit_marks WHERE kind = $1 AND value = $2) ORDER BY seq DESC LIMIT $3`,
		byResource, keyOfObject(u.Resource.Object), maxEntriesRead)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		for _, v := range e.Updates {
			if v.Action == actionTouch && v.ExpiresAt != nil && slices.Equal(identity(u), identity(v)) {
				return v.ExpiresAt, nil
			}
		}
	}
	return u.ExpiresAt, nil
}
