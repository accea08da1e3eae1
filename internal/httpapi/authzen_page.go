package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// maxFound is how many results a page of a search has at most.
const maxFound = 1000

// searchPage is a page that is asked for.
type searchPage struct {
	searchToken

	call *call // seals the token of the next page
}

// searchToken is what a token holds, of the page that it asks for.
type searchToken struct {
	Search string `json:"s"` // what is searched, digested
	Limit  int    `json:"l"`
	After  string `json:"a"` // where the page before ended; empty for the first one
}

// page reads which page of a search is asked for. A token holds for the very search that it came from, of which the
// limit is a part that may be left out.
func (r *reader) page(k *call, kind string, asked question, given *SearchPage) searchPage {
	if r.sized(asked); r.err != nil {
		return searchPage{}
	}
	page := searchPage{searchToken{Search: digest(kind, asked), Limit: operation.DefaultLimit}, k}
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
		r.refuse("page.token", "is none that this server has given")
	case before.Search != page.Search:
		r.refuse("page.token", "belongs to another search: but for the token, a search goes on as it began")
	case limit != nil && page.Limit != before.Limit:
		r.refuse("page.limit", "was %d when the search began, and stays that", before.Limit)
	}
	return before
}

// digest names a search.
func digest(kind string, asked question) string {
	text, err := json.Marshal([]any{kind, asked.subject, asked.action, asked.resource, asked.context})
	if err != nil {
		panic(err) // all of it came from JSON
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
		err = authz.Errorf(authz.CodeInvalid, "the token has the limit %d", page.Limit)
	}
	return page, err
}

// of returns the part of a sorted list that the page shows, and what an answer says about it.
func (p searchPage) of(sorted []string) ([]string, FoundPage, error) {
	begin, there := slices.BinarySearch(sorted, p.After)
	if there {
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
