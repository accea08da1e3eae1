package bench_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

// These are the numbers of importers for the benchmark of look-ups.
const (
	allImporters = 100_000
	seenAccounts = 10
	visible      = 10_000
)

// manyImporters returns the relationships of 100 accounts with a thousand importers each. One person belongs to ten
// of the accounts.
func manyImporters() []*v1.Relationship {
	var all []*v1.Relationship
	const each = visible / seenAccounts
	for a := range allImporters / each {
		account := fmt.Sprintf("account:l%d", a)
		all = append(all, emptyAccount(account)...)
		if a < seenAccounts {
			all = append(all, relationship(account, "user", "user:lena"))
		}
		for i := range each {
			all = append(all, relationship(fmt.Sprintf("importer:l%d-%d", a, i), "account", account))
		}
	}
	return all
}

// send sends one request, and returns the body of the answer.
func (s server) send(b *testing.B, method, path, body string) []byte {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range s.header() {
		request.Header.Set(name, value)
	}
	if body == "" {
		request.Body = nil
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%s %s: %d %.200s %v", method, path, response.StatusCode, text, err)
	}
	return text
}

// BenchmarkLookup looks up the 10,000 importers that a person may view among 100,000. It measures the time until the
// first page, and until the last page.
func BenchmarkLookup(b *testing.B) {
	s := startServer(b)
	write(b, s.Server, manyImporters())
	s.settle(b, len(company())+len(manyImporters()))
	for _, limit := range []int{100, 1000} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			var first, last, theirs time.Duration
			for b.Loop() {
				theirs += s.gatewayLookup(b)
				start, found, cursor := time.Now(), 0, ""
				for page := 0; page == 0 || cursor != ""; page++ {
					body := fmt.Sprintf(
						`{"subject":"user:lena","permission":"view","resource_type":"importer","limit":%d,"cursor":%q}`, limit, cursor,
					)
					list := string(s.send(b, http.MethodPost, "/v1/lookup/resources", body))
					if page == 0 {
						first += time.Since(start)
					}
					// Like the answer of the gateway, this answer is read and its results are counted, but it is not
					// decoded.
					_, cursor, _ = strings.Cut(list, `"next_cursor":"`)
					cursor, _, _ = strings.Cut(cursor, `"`)
					found += strings.Count(list, `"resource":`)
				}
				last += time.Since(start)
				if found != visible {
					b.Fatalf("found %d importers", found)
				}
			}
			b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "first-page-ms")
			b.ReportMetric(float64(last.Milliseconds())/float64(b.N), "last-page-ms")
			b.ReportMetric(float64(theirs.Milliseconds())/float64(b.N), "gateway-ms")
			b.ReportMetric(float64(theirs)/float64(last), "gateway-of-last")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// gatewayLookup makes the same look-up through SpiceDB's own gateway, which returns all results in one answer. It
// returns the time that this takes.
func (s server) gatewayLookup(b *testing.B) time.Duration {
	b.Helper()
	begun := time.Now()
	request, err := http.NewRequestWithContext(
		b.Context(),
		http.MethodPost,
		s.gateway+"/v1/permissions/resources",
		strings.NewReader(
			`{"consistency":{"minimizeLatency":true},"resourceObjectType":"importer","permission":"view","subject":{"object":{"objectType":"user","objectId":"lena"}}}`,
		),
	)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.GRPCKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if found := strings.Count(string(text), `"resourceObjectId"`); err != nil || found != visible {
		b.Fatalf("SpiceDB found %d importers: %v", found, err)
	}
	return time.Since(begun)
}

// BenchmarkPage reads a list page with 50 importers of an account, each with the permissions of a member on it.
func BenchmarkPage(b *testing.B) {
	s := startServer(b)
	for b.Loop() {
		var page struct{ Objects []json.RawMessage }
		if err := json.Unmarshal(
			s.send(b, http.MethodGet, "/v1/accounts/a7/importers?limit=50&actor=u7-3", ""), &page,
		); err != nil {
			b.Fatal(err)
		}
		if len(page.Objects) != 50 {
			b.Fatalf("the page has %d objects", len(page.Objects))
		}
	}
}

// BenchmarkSubscriptionPeople reads a list page of the people of a subscription, with their roles. The subscription
// has 100 accounts with 100 members each.
func BenchmarkSubscriptionPeople(b *testing.B) {
	s := startServer(b)
	actor := s.header()
	actor["Sluice-Actor"] = "ada"
	page := target{
		name: "page", method: http.MethodGet, url: s.URL + "/v1/subscriptions/acme/people?limit=100", header: actor,
		body: func(int) string { return "" },
	}
	for b.Loop() {
		if err := ask(b, http.DefaultClient, page, 0); err != nil {
			b.Fatal(err)
		}
	}
}
