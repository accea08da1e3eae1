package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// History is the audit log.
type History interface {
	Find(ctx context.Context, query audit.Query) ([]audit.Stored, error)
	Head(ctx context.Context) (audit.Entry, error)
	Changed() <-chan struct{}
	Wait(ctx context.Context, changed <-chan struct{}) error
	May(ctx context.Context, reader, account authz.ID) error
	Access(ctx context.Context, query authz.SubjectQuery, at time.Time) ([]authz.FoundSubject, error)
	Show(ctx context.Context, reader authz.ID, entries []audit.Stored) ([]audit.Entry, error)
}

// How many entries one answer looks at for an actor, who may see few of them, how many updates it holds before it ends early, and
// how many entries are read at a time.
const (
	maxLookedAt    = 10_000
	maxPageUpdates = 10_000
	auditBatch     = 100
)

var errNoHistory = authz.Errorf(authz.CodeNotFound, "this server keeps no audit log")

// ListAudit implements ServerInterface.
func (s *server) ListAudit(c *gin.Context, params ListAuditParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		query, err := auditQuery(params)
		if err != nil {
			return nil, err
		}
		reader, err := s.auditReader(ctx, callOf(c), query.Account)
		if err != nil {
			return nil, err
		}
		limit := optional(params.Limit)
		if limit == 0 {
			limit = operation.DefaultLimit
		}
		question := []any{query, reader}
		if cursor := optional(params.Cursor); cursor != "" {
			position, err := authz.CursorsOf(question...).Parse(cursor)
			if err != nil {
				return nil, err
			}
			if query.Before, err = strconv.ParseInt(position, 10, 64); err != nil {
				return nil, authz.Errorf(authz.CodeInvalid, "cursor is not one that an answer gave as next_cursor")
			}
		}
		page, before, err := s.auditPage(ctx, query, reader, limit)
		if err == nil && before > 0 {
			page.NextCursor = authz.CursorsOf(question...).New(strconv.FormatInt(before, 10))
		}
		return page, err
	})
}

// entryPage is AuditPage with entries as they were written.
type entryPage struct {
	Entries    []json.RawMessage `json:"entries"`
	NextCursor string            `json:"next_cursor"`
}

// auditPage returns a page, and the entry before which the next one begins; zero if there is none.
func (s *server) auditPage(ctx context.Context, query audit.Query, reader authz.ID, limit int) (entryPage, int64, error) {
	page := entryPage{Entries: []json.RawMessage{}}
	updates := 0
	for lookedAt := 0; len(page.Entries) < limit && updates < maxPageUpdates && lookedAt < maxLookedAt; {
		query.Limit = min(auditBatch, limit-len(page.Entries))
		found, err := s.History.Find(ctx, query)
		if err != nil || len(found) == 0 {
			return page, 0, err
		}
		for i, entry := range found {
			if updates >= maxPageUpdates {
				found = found[:i]
				break
			}
			updates += len(entry.Updates)
		}
		lookedAt += len(found)
		query.Before = found[len(found)-1].Seq
		shown, err := s.show(ctx, reader, found)
		if err != nil {
			return page, 0, err
		}
		for _, entry := range shown {
			page.Entries = append(page.Entries, entry.text)
		}
	}
	query.Limit = 1
	more, err := s.History.Find(ctx, query)
	if len(more) == 0 {
		return page, 0, err
	}
	return page, query.Before, nil
}

// shownEntry is the number of an entry and what is shown of it.
type shownEntry struct {
	seq  int64
	text json.RawMessage
}

// show returns entries as the reader may see them; without a reader, as they are.
func (s *server) show(ctx context.Context, reader authz.ID, found []audit.Stored) ([]shownEntry, error) {
	var shown []shownEntry
	if reader == "" {
		for _, entry := range found {
			shown = append(shown, shownEntry{entry.Seq, entry.JSON()})
		}
		return shown, nil
	}
	entries, err := s.History.Show(ctx, reader, found)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		text, err := entry.JSON()
		if err != nil {
			return nil, err
		}
		shown = append(shown, shownEntry{entry.Seq, text})
	}
	return shown, nil
}

// auditReader is the person who is to read the answer, who may; empty for a key that reads everything.
func (s *server) auditReader(ctx context.Context, k *call, account authz.ID) (authz.ID, error) {
	switch {
	case s.History == nil:
		return "", errNoHistory
	case k.actor == "" && k.seesAll:
		return "", nil
	case k.actor == "":
		return "", authz.Errorf(authz.CodeForbidden, "without the scope inspect, this call needs the header %s with a person who has list_members on the account that the parameter \"account\" names", actorHeader)
	case account == "":
		return "", authz.Errorf(authz.CodeInvalid, "the parameter \"account\" is missing: a person reads the history of one account; without the header %s a key with the scope inspect reads everything", actorHeader)
	}
	return k.actor, s.History.May(ctx, k.actor, account)
}

func auditQuery(params ListAuditParams) (query audit.Query, err error) {
	query, err = auditFilter(params.Object, params.Account, params.Actor, params.Operation)
	if err == nil {
		query.Since, err = queryTime("since", params.Since)
	}
	if err == nil {
		query.Until, err = queryTime("until", params.Until)
	}
	return query, err
}

func auditFilter(object, account, actor, operation *string) (query audit.Query, err error) {
	if object != nil {
		if query.Object, err = queryObject(*object); err != nil {
			return query, at(`the parameter "object"`, err)
		}
	}
	if account != nil {
		if query.Account, err = parseID(`the parameter "account"`, *account); err != nil {
			return query, err
		}
	}
	if actor != nil {
		if query.Actor, err = parseID(`the parameter "actor"`, *actor); err != nil {
			return query, err
		}
	}
	query.Operation = optional(operation)
	return query, nil
}

// queryTime reads a time that may be left out.
func queryTime(name string, value *string) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, *value)
	if err != nil || at.Year() < 1 {
		return time.Time{}, authz.Errorf(authz.CodeInvalid, "the parameter %q must be a time such as 2026-03-01T12:00:00Z; in an address, the + of an offset is written %%2B", name)
	}
	if at = at.UTC(); at.IsZero() {
		at = at.Add(time.Microsecond) // the zero time stands for none
	}
	return at, nil
}
