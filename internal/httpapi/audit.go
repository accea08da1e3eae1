package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/pages"
)

// History reads the audit log.
type History interface {
	Find(ctx context.Context, query audit.Query) ([]audit.Stored, error)
	Head(ctx context.Context) (audit.Entry, error)
	Changed() <-chan struct{}
	Wait(ctx context.Context, changed <-chan struct{}) error
	RequireReader(ctx context.Context, reader authz.Actor, account authz.ID) error
	Access(ctx context.Context, query authz.SubjectQuery, at time.Time) ([]authz.FoundSubject, error)
	Page(
		ctx context.Context, reader authz.Actor, query audit.Query, limit int,
	) (entries []audit.Entry, before int64, err error)
	VisibleEntries(
		ctx context.Context,
		reader authz.Actor,
		query audit.Query,
		entries []audit.Stored,
	) ([]audit.Entry, error)
	SealPosition(seq int64, reader authz.Actor, account authz.ID) string
	OpenPosition(position string, reader authz.Actor, account authz.ID) (int64, error)
}

// A page ends early if it has maxPageUpdates updates or maxPageBytes bytes. A single entry may exceed both limits.
// auditBatch is the number of entries that one read returns.
const (
	maxPageUpdates = 10_000
	maxPageBytes   = 8 << 20
	auditBatch     = 100
)

var errNoHistory = authz.Errorf(authz.CodeNotFound, "this server keeps no audit log")

// auditAPI has the calls that read the audit log.
type auditAPI struct {
	*responder

	history   History // nil if the server keeps no audit log
	expensive slots
	keys      *apikey.Keys
	stopping  context.Context //nolint:containedctx // the context ends with the server
	timeout   time.Duration   // time limit of each write of a stream
}

// ListAudit implements ServerInterface.
func (a *auditAPI) ListAudit(c *gin.Context, params ListAuditParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		query, err := auditQuery(params)
		if err != nil {
			return nil, err
		}
		reader, err := a.auditReader(ctx, callOf(c), query.Account)
		if err != nil {
			return nil, err
		}
		limit := optional(params.Limit)
		if limit == 0 {
			limit = operation.DefaultLimit
		}
		question := []any{query, reader}
		if cursor := optional(params.Cursor); cursor != "" {
			position, err := pages.CursorsOf(question...).Parse(cursor)
			if err != nil {
				return nil, err
			}
			if query.Before, err = a.auditNumber(position, reader, query.Account); err != nil {
				return nil, authz.Errorf(authz.CodeInvalid, "the cursor is not a next_cursor of an earlier answer")
			}
		}
		read := a.auditPage
		if reader != "" {
			read = a.visiblePage
		}
		page, before, err := read(ctx, query, reader, limit)
		if err == nil && before > 0 {
			page.NextCursor = pages.CursorsOf(question...).New(a.auditPosition(before, reader, query.Account))
		}
		return page, err
	})
}

// entryPage is AuditPage with raw entries, so that the server sends their stored JSON unchanged.
type entryPage struct {
	Entries    []json.RawMessage `json:"entries"`
	NextCursor string            `json:"next_cursor"`
}

// auditPage returns a page of all entries. Its second result is the number of the entry before which the next page
// begins, or zero after the last page.
func (a *auditAPI) auditPage(
	ctx context.Context, query audit.Query, _ authz.Actor, limit int,
) (entryPage, int64, error) {
	page := entryPage{Entries: []json.RawMessage{}}
	full := func(updates, size int) bool { return updates >= maxPageUpdates || size >= maxPageBytes }
	for updates, size := 0, 0; len(page.Entries) < limit && !full(updates, size); {
		query.Limit = min(auditBatch, limit-len(page.Entries))
		found, err := a.history.Find(ctx, query)
		if err != nil || len(found) == 0 {
			return page, 0, err
		}
		for _, entry := range found {
			if full(updates, size) {
				break
			}
			text := entry.JSON()
			updates, size = updates+len(entry.Updates), size+len(text)
			page.Entries = append(page.Entries, text)
			query.Before = entry.Seq
		}
	}
	query.Limit = 1
	more, err := a.history.Find(ctx, query)
	if len(more) == 0 {
		return page, 0, err
	}
	return page, query.Before, nil
}

// visiblePage is auditPage for a reader: its page has only entries that the reader may see.
func (a *auditAPI) visiblePage(
	ctx context.Context, query audit.Query, reader authz.Actor, limit int,
) (entryPage, int64, error) {
	page := entryPage{Entries: []json.RawMessage{}}
	entries, before, err := a.history.Page(ctx, reader, query, limit)
	if err != nil {
		return page, 0, err
	}
	for _, entry := range entries {
		text, err := entry.JSON()
		if err != nil {
			return page, 0, err
		}
		page.Entries = append(page.Entries, text)
	}
	return page, before, nil
}

// auditPosition formats the number of an entry for cursors and event ids. For a reader it encrypts the number,
// because plain numbers would reveal how many hidden entries there are.
func (a *auditAPI) auditPosition(seq int64, reader authz.Actor, account authz.ID) string {
	if reader == "" {
		return strconv.FormatInt(seq, 10)
	}
	return a.history.SealPosition(seq, reader, account)
}

// auditNumber parses a text of auditPosition.
func (a *auditAPI) auditNumber(position string, reader authz.Actor, account authz.ID) (int64, error) {
	if reader == "" {
		return strconv.ParseInt(position, 10, 64)
	}
	return a.history.OpenPosition(position, reader, account)
}

// numberedEntry is an entry as the reader sees it, with its number.
type numberedEntry struct {
	seq  int64
	text json.RawMessage
}

// visibleEntries returns the entries of a query that the reader may see. Without a reader it returns all, unchanged.
func (a *auditAPI) visibleEntries(
	ctx context.Context, reader authz.Actor, query audit.Query, found []audit.Stored,
) ([]numberedEntry, error) {
	var shown []numberedEntry
	if reader == "" {
		for _, entry := range found {
			shown = append(shown, numberedEntry{entry.Seq, entry.JSON()})
		}
		return shown, nil
	}
	entries, err := a.history.VisibleEntries(ctx, reader, query, found)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		text, err := entry.JSON()
		if err != nil {
			return nil, err
		}
		shown = append(shown, numberedEntry{entry.Seq, text})
	}
	return shown, nil
}

// auditReader returns the actor that reads the answer, and checks that it may read it. For a key that may read
// everything, it returns an empty actor.
func (a *auditAPI) auditReader(ctx context.Context, k *call, account authz.ID) (authz.Actor, error) {
	switch {
	case a.history == nil:
		return "", errNoHistory
	case k.actor == "" && k.seesAll:
		return "", nil
	case k.actor == "":
		return "", authz.Errorf(
			authz.CodeForbidden,
			"without the scope inspect, this call needs the header %s; its person needs list_members on the account of "+
				"the parameter \"account\"",
			actorHeader,
		)
	case account == "":
		return "", authz.Errorf(
			authz.CodeInvalid,
			"the parameter \"account\" is missing: a person reads the history of one account; without the header %s a key "+
				"with the scope inspect reads everything",
			actorHeader,
		)
	}
	return k.actor, a.history.RequireReader(ctx, k.actor, account)
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
			return query, withPlace(`the parameter "object"`, err)
		}
	}
	if account != nil {
		if query.Account, err = parseID(`the parameter "account"`, *account); err != nil {
			return query, err
		}
	}
	if actor != nil {
		if query.Actor, err = parseActor(`the parameter "actor"`, *actor); err != nil {
			return query, err
		}
	}
	query.Operation = optional(operation)
	return query, nil
}

// queryTime reads an optional time.
func queryTime(name string, value *string) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	at, err := authz.ParseTime(*value)
	if err != nil {
		return time.Time{}, authz.Errorf(
			authz.CodeInvalid,
			"the parameter %q must be a time such as 2026-03-01T12:00:00Z; in an address, the + of an offset is written %%2B",
			name,
		)
	}
	if at = at.UTC(); at.Year() < 1 || at.IsZero() {
		// The zero time means that the parameter is missing. So use the next time that databases can store.
		return time.Time{}.Add(time.Microsecond), nil
	}
	return at, nil
}
