// Package bench_test measures a running server through HTTP. On the same machine, it also measures a route that
// answers a fixed body, and SpiceDB's own HTTP gateway. The measurements alternate. Run it with `make bench`.
// docs/performance.md has the results.
package bench_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
)

// question returns the subject and the importer of the i-th check of the benchmarks: may a member run an importer of
// their account that somebody else created? The answer is yes.
func question(i int) (subject, importer string) { return questionOf(accounts, i) }

// questionOf returns the same as question, for a company with another number of accounts.
func questionOf(accounts, i int) (subject, importer string) {
	account := i * 31 % accounts
	return fmt.Sprintf("u%d-%d", account, i*17%members), fmt.Sprintf("i%d-%d", account, i*13%importers)
}

func checkBody(subject, importer string) string {
	return fmt.Sprintf(
		`{"subject":"user:%s","permission":"run","resource":"importer:%s","consistency":"minimize_latency"}`, subject,
		importer,
	)
}

func (s server) check(name string, body func(i int) string) target {
	return target{name: name, url: s.URL + "/v1/check", header: s.header(), body: body}
}

func (s server) header() map[string]string {
	return map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json"}
}

// gatewayCheck returns a target that makes the same checks as Sluice's target, but through SpiceDB's own HTTP
// gateway.
func (s server) gatewayCheck() target {
	return target{
		name: "gateway", url: s.gateway + "/v1/permissions/check",
		header: map[string]string{"Authorization": "Bearer " + s.GRPCKey, "Content-Type": "application/json"},
		body: func(i int) string {
			subject, importer := question(i)
			return fmt.Sprintf(
				`{"consistency":{"minimizeLatency":true},"resource":{"objectType":"importer","objectId":%q},"permission":"run","subject":{"object":{"objectType":"user","objectId":%q}}}`,
				importer,
				subject,
			)
		},
	}
}

// BenchmarkCheck compares a check through Sluice's API with the same check through SpiceDB's gateway, and with a
// route that answers a fixed body.
func BenchmarkCheck(b *testing.B) {
	s := startServer(b)
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	fixed := s.fixedRoute(b)
	sluice := s.check("sluice", func(i int) string { return checkBody(question(i)) })
	for _, connections := range []int{1, 16} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			results := sideBySide(b, connections, sluice, s.gatewayCheck(), fixed)
			report(b, results, "sluice", "gateway", "fixed")
			b.ReportMetric(results["sluice"].perSecond/results["gateway"].perSecond, "of-gateway")
			b.ReportMetric(results["sluice"].perSecond/results["fixed"].perSecond, "of-fixed")
			b.ReportMetric(float64(results["sluice"].p99)/float64(results["fixed"].p99), "p99-of-fixed")
		})
	}
	b.Run("memory", func(b *testing.B) { // the memory of the server with its data, before the load generator runs
		b.ReportMetric(float64(after.HeapAlloc)/(1<<20), "MiB-heap")
		b.ReportMetric(float64(after.Sys)/(1<<20), "MiB-system")
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkBulkCheck compares requests with a hundred checks each with single checks. It reports the checks per
// second.
func BenchmarkBulkCheck(b *testing.B) {
	const bulk = 100
	s := startServer(b)
	single := s.check("single", func(i int) string { return checkBody(question(i)) })
	many := target{name: "bulk", url: s.URL + "/v1/check/bulk", header: s.header(), body: func(i int) string {
		var checks []string
		for j := range bulk {
			subject, importer := question(i*bulk + j)
			checks = append(
				checks, fmt.Sprintf(`{"subject":"user:%s","permission":"run","resource":"importer:%s"}`, subject, importer),
			)
		}
		return `{"consistency":"minimize_latency","checks":[` + strings.Join(checks, ",") + `]}`
	}}
	results := sideBySide(b, 16, single, many)
	report(b, results, "single", "bulk")
	b.ReportMetric(results["bulk"].perSecond*bulk/results["single"].perSecond, "checks-of-single")
}

// BenchmarkOperation measures the latency of operations: creating an importer, and granting a role.
func BenchmarkOperation(b *testing.B) {
	s := startServer(b)
	header := s.header()
	header["Sluice-Actor"] = "ada"
	n := 0
	create := target{name: "create-importer", url: s.URL + "/v1/importers", header: header, body: func(int) string {
		n++
		return fmt.Sprintf(`{"id":"bench%d","account":"a%d"}`, n, n%accounts)
	}}
	invite := target{
		name: "change-role", method: http.MethodPut, url: s.URL + "/v1/accounts/a0/members/u0-0", header: header,
		body: func(i int) string { return fmt.Sprintf(`{"roles":[%q]}`, []string{"user", "guest"}[i%2]) },
	}
	results := sideBySide(b, 1, create, invite)
	report(b, results, "create-importer", "change-role")
}

// BenchmarkCrowdedAccount compares a check in an account of 100,000 members with a check in an account of 100
// members.
func BenchmarkCrowdedAccount(b *testing.B) {
	s := startServer(b)
	write(b, s.Server, crowded())
	s.settle(b, len(company())+len(crowded()))
	small := s.check("members=100", func(i int) string { return checkBody(question(i)) })
	large := s.check(
		"members=100000", func(i int) string { return checkBody(fmt.Sprintf("c%d", i*7919%crowd), "crowded") },
	)
	results := sideBySide(b, 16, small, large)
	report(b, results, "members=100", "members=100000")
	b.ReportMetric(results["members=100000"].perSecond/results["members=100"].perSecond, "crowded-of-small")
}

// BenchmarkMillionChecks compares a check on a server with a million stored relationships with a check on a server
// with 30,000.
func BenchmarkMillionChecks(b *testing.B) {
	small := startServer(b)
	large := startOn(b, app.StoreConfig{Datastore: "sqlite", DataDir: b.TempDir()})
	all := companyOf(millionAccounts)
	bulkImport(b, large.GRPCAddress, large.GRPCKey, all)
	large.settle(b, len(all))
	results := sideBySide(
		b, 16,
		small.check("relationships=30000", func(i int) string { return checkBody(question(i)) }),
		large.check("relationships=1000000", func(i int) string { return checkBody(questionOf(millionAccounts, i)) }),
	)
	report(b, results, "relationships=30000", "relationships=1000000")
	b.ReportMetric(results["relationships=1000000"].perSecond/results["relationships=30000"].perSecond, "million-of-small")
}

// BenchmarkExplain compares explanations with checks. It explains why a member may run an importer, and why another
// person may not.
func BenchmarkExplain(b *testing.B) {
	s := startServer(b)
	explain := func(name string, body func(i int) string) target {
		return target{name: name, url: s.URL + "/v1/explain", header: s.header(), body: body}
	}
	results := sideBySide(
		b, 1,
		s.check("check", func(i int) string { return checkBody(question(i)) }),
		explain("allowed", func(i int) string { return checkBody(question(i)) }),
		explain("denied", func(i int) string {
			_, importer := question(i)
			return checkBody(fmt.Sprintf("stranger%d", i%100), importer)
		}),
	)
	report(b, results, "check", "allowed", "denied")
}
