package httpapi

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/preview"
)

// securityPage returns docs/security.md.
func securityPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// tableOf returns the cells of the rows of the table that has this header.
func tableOf(t *testing.T, page, header string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(page, header+"\n")
	if !found {
		t.Fatalf("docs/security.md has no table with the header %s", header)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "|-") {
			rows = append(rows, cells)
		}
	}
	return rows
}

const endpointTable = "| endpoint | scope of the key | limit |"

var quotedEndpoint = regexp.MustCompile("`([A-Z]+ /[^`]*)`")

// TestSecurityPageListsEveryEndpoint compares the table of limits in docs/security.md with the contract. Every call
// must have exactly one row, with its scope and cost in the contract.
func TestSecurityPageListsEveryEndpoint(t *testing.T) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := contractRoutes()
	if err != nil {
		t.Fatal(err)
	}
	calls := make(map[string]*route)
	for path, item := range contract.Paths.Map() {
		for method := range item.Operations() {
			calls[method+" "+path] = routes[method+" "+ginPath(path)]
		}
	}
	rows := make(map[string]int)
	for _, cells := range tableOf(t, securityPage(t), endpointTable) {
		for _, match := range quotedEndpoint.FindAllStringSubmatch(cells[0], -1) {
			call := calls[match[1]]
			if rows[match[1]]++; call == nil {
				t.Errorf("the table has %s, which is not in the contract", match[1])
				continue
			}
			if scope := scopeWord(call); !sameScope(cells[1], scope) {
				t.Errorf("%s has the scope %q in the table, and %q in the contract", match[1], cells[1], scope)
			}
			if costs := strings.Contains(cells[2], fmt.Sprintf("counts as %d requests", call.cost)); costs != (call.cost > 1) {
				t.Errorf("%s counts as %d requests in the contract; the table says: %s", match[1], call.cost, cells[2])
			}
		}
	}
	for call := range calls {
		if rows[call] != 1 {
			t.Errorf("%s is %d times in the table of limits, want once", call, rows[call])
		}
	}
}

// scopeWord returns the scopes of a call as the table writes them.
func scopeWord(r *route) string {
	switch {
	case r.open:
		return "none"
	case r.scopes == 0:
		return "any"
	}
	return strings.Join(r.scopes.Names(), " ")
}

// sameScope reports whether a cell has exactly the scopes, in any order.
func sameScope(cell, scopes string) bool {
	if scopes == "none" || scopes == "any" {
		return cell == scopes
	}
	wanted := strings.Fields(scopes)
	for _, name := range apikey.AllScopes.Names() {
		if strings.Contains(cell, "`"+name+"`") != slices.Contains(wanted, name) {
			return false
		}
	}
	return true
}

// TestSecurityPageStatesTheLimitsOfTheCode compares the numbers in both tables of limits with the constants in the
// code.
func TestSecurityPageStatesTheLimitsOfTheCode(t *testing.T) {
	mib := func(n int) string { return fmt.Sprintf("%d MiB", n>>20) }
	kib := func(n int) string { return fmt.Sprintf("%d KiB", n>>10) }
	page := securityPage(t)
	for header, limits := range map[string]map[string][]string{
		"| what | limit | answer |": {
			"body":                  {mib(maxBody), fmt.Sprintf("nested %d levels", maxNesting)},
			"list, or object":       {grouped(maxEntries) + " entries"},
			"headers together":      {kib(maxHeaderBytes)},
			"answer":                {mib(maxAnswer)},
			"time":                  {fmt.Sprintf("(%d s)", int(defaultTimeout.Seconds()))},
			"request id":            {grouped(maxRequestID) + " safe characters"},
			"id |":                  {grouped(authz.MaxIDBytes) + " bytes"},
			"context of one":        {kib(maxContext)},
			"name of a permission":  {grouped(authz.MaxNameBytes) + "; 128 bytes"},
			"`Idempotency-Key`":     {grouped(maxIdempotencyKey) + " characters"},
			"`reason`":              {grouped(maxReason) + " characters"},
			"value that an error":   {grouped(authz.MaxEcho) + "; " + grouped(maxDetail) + " bytes"},
			"names that an error l": {"10 |"},
		},
		endpointTable: {
			"`POST /v1/check/bulk`":       {grouped(maxEntries) + " checks"},
			"`POST /v1/permissions`":      {mib(maxBatchContext)},
			"`POST /v1/lookup/resources`": {grouped(operation.MaxLimit) + " a page"},
			"`POST /v1/lookup/subjects`":  {grouped(maxSubjects) + " subjects"},
			"`POST /v1/preview`": {
				grouped(preview.MaxObjects) + " objects", grouped(preview.MaxRelationships) + " rel",
				grouped(preview.MaxAnswers) + " answers", grouped(preview.MaxEffects) + " effects",
			},
			"`GET /v1/access`":              {grouped(audit.MaxPastRelationships) + " relationships"},
			"`GET /v1/audit`":               {grouped(maxPageUpdates) + " updates", mib(maxPageBytes)},
			"`GET /v1/relationships`":       {grouped(operation.MaxLimit) + " a page"},
			"`PATCH /v1/accounts":           {grouped(maxEntries) + " people", grouped(authz.MaxUpdates) + " updates"},
			"`PATCH /v1/groups":             {grouped(maxEntries) + " people in `add` and " + grouped(maxEntries) + " people"},
			"`DELETE /v1/subscriptions":     {grouped(authz.MaxUpdates) + " updates"},
			"`GET /v1/accounts/{id}/m":      {grouped(operation.MaxLimit) + " ids"},
			"`POST /access/v1/evaluations`": {grouped(maxEntries) + " evaluations", mib(maxBatchContext)},
			"`POST /access/v1/search/sub": {
				grouped(maxFound) + " results a page", grouped(maxSearched) + " results in all",
				grouped(maxSubjects) + " subjects",
			},
			"`POST /access/v1/search/res": {grouped(maxFound) + " results a page", grouped(maxSearched) + " results in all"},
			"`POST /access/v1/search/act": {grouped(maxFound) + " results"},
		},
	} {
		rows := tableOf(t, page, header)
		for begin, stated := range limits {
			i := slices.IndexFunc(rows, func(cells []string) bool {
				return strings.HasPrefix(strings.TrimSpace(strings.Join(cells, " | ")), begin)
			})
			if i < 0 {
				t.Errorf("the table %s has no row that begins with %s", header, begin)
				continue
			}
			for _, text := range stated {
				if row := strings.Join(rows[i], " | "); !strings.Contains(row, text) {
					t.Errorf("the code has the limit %q, which is not in the row: %s", text, row)
				}
			}
		}
	}
}

// grouped formats a number with commas between thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
