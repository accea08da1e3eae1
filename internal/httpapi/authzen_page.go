package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/operation"
)

// maxFound is the highest number of results on a page of a search.
const maxFound = 1000

// searchPage is the requested page of a search.
type searchPage struct {
	searchToken

	call *call // call seals the next token
}

// searchToken is the content of a page token.
type searchToken struct {
	Search string `json:"s"` // digest of the search
	Limit  int    `json:"l"`
	After  string `json:"a"` // last result of the page before; empty for the first page
}

// page reads the requested page of a search. A token is valid only for the search that created it. The limit is a part
// of the search; a request with a token may omit it.
func (r *reader) page(k *call, kind string, q question, given *SearchPage) searchPage {
	if r.checkContextSize(q); r.err != nil {
		return searchPage{}
	}
	page := searchPage{searchToken{Search: digest(kind, q), Limit: operation.DefaultLimit}, k}
	limit, token := optional(given).Limit, optional(optional(given).Token)
	if limit != nil {
		if *limit < 0 {
			r.refuse("page.limit", "must not be negative")
		}
		page.Limit = min(*limit, maxFound)
	}
	if token == "" {
		return page
	}
	before, err := k.parsePage(token)
	switch {
	case err != nil:
		r.refuse("page.token", "is not a token of this server for this actor and key")
	case before.Search != page.Search:
		r.refuse(
			"page.token",
			"belongs to another search; apart from the token, the request must be the same as for the first page",
		)
	case limit != nil && page.Limit != before.Limit:
		r.refuse("page.limit", "must be the same as on the first page: %d", before.Limit)
	}
	return before
}

// digest returns a short text that identifies a search.
func digest(kind string, q question) string {
	text, err := json.Marshal([]any{kind, q.subject, q.action, q.resource, q.context})
	if err != nil {
		panic(err) // impossible: all values were decoded from JSON
	}
	sum := sha256.Sum256(text)
	return base64.RawStdEncoding.EncodeToString(sum[:16])
}

func (k *call) parsePage(token string) (searchPage, error) {
	page := searchPage{call: k}
	text, err := k.openCursor(token)
	if err == nil {
		err = decodeStrict("the token", []byte(text), &page.searchToken)
	}
	if err == nil && (page.Limit < 0 || page.Limit > maxFound) {
		err = errors.New("the limit in the token is out of range")
	}
	return page, err
}

// slice returns the part of a sorted list that belongs to the page, and the description of the page for the answer.
func (p searchPage) slice(sorted []string) ([]string, FoundPage, error) {
	begin, found := slices.BinarySearch(sorted, p.After)
	if found {
		begin++
	}
	rest := sorted[begin:]
	shown, after := rest[:min(len(rest), p.Limit)], p.After
	if len(shown) > 0 {
		after = shown[len(shown)-1]
	}
	if len(shown) == len(rest) {
		return shown, FoundPage{Count: len(shown)}, nil
	}
	next, err := json.Marshal(searchToken{Search: p.Search, Limit: p.Limit, After: after})
	return shown, FoundPage{Count: len(shown), NextToken: p.call.sealCursor(string(next))}, err
}
