package spicedb

import (
	"strconv"
	"strings"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxPage is the largest limit that SpiceDB accepts for one stream.
const maxPage = 1000

// position says where the next page of a list starts. SpiceDB accepts its own cursor only with the consistency and
// limit of the earlier request, so the cursor for callers includes these two. All pages are read at the revision of
// the first page.
type position struct {
	at     authz.Consistency
	limit  uint32
	cursor string
}

// begin returns the position at which a page starts.
func begin(at authz.Consistency, page authz.Page) (position, error) {
	if page.Limit < 0 {
		return position{}, authz.Errorf(authz.CodeInvalid, "a limit must not be negative")
	}
	if page.Cursor == "" {
		return position{at: at, limit: uint32(min(page.Limit, maxPage))}, nil
	}
	return parsePosition(page.Cursor)
}

// String returns the cursor for callers, or "" if SpiceDB returned none.
func (p position) String() string {
	if p.cursor == "" {
		return ""
	}
	return strings.Join([]string{
		strconv.Itoa(int(p.at.Freshness)), strconv.FormatUint(uint64(p.limit), 10), string(p.at.Token), p.cursor,
	}, ".")
}

func parsePosition(cursor string) (position, error) {
	invalid := authz.Errorf(authz.CodeInvalid, "the cursor is not one that this server returned")
	parts := strings.Split(cursor, ".")
	if len(parts) != 4 || parts[3] == "" {
		return position{}, invalid
	}
	freshness, err := strconv.ParseUint(parts[0], 10, 8)
	if err != nil {
		return position{}, invalid
	}
	limit, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil || limit > maxPage {
		return position{}, invalid
	}
	return position{
		at:     authz.Consistency{Freshness: authz.Freshness(freshness), Token: authz.Token(parts[2])},
		limit:  uint32(limit),
		cursor: parts[3],
	}, nil
}

func (p position) optional() *v1.Cursor {
	if p.cursor == "" {
		return nil
	}
	return &v1.Cursor{Token: p.cursor}
}
