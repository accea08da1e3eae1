package bench_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/app"
)

var inMemory = app.StoreConfig{Datastore: "memory"}

const (
	otherTenants = 10_000
	ownImporters = 100
)

// tenant returns the relationships of a subscription with one account, its owner and some members.
func tenant(name string) []*v1.Relationship {
	subscription, account, owner := "subscription:"+name, "account:"+name, "user:"+name+"-owner"
	all := []*v1.Relationship{
		relationship(subscription, "platform", "platform:main"),
		relationship(subscription, "multi_owner", "user:*"),
		relationship(subscription, "owner", owner),
		relationship(account, "subscription", subscription),
		relationship(account, "team", "user:*"),
		relationship(account, "owner", owner),
	}
	for i := range 3 {
		all = append(all, relationship(account, "user", fmt.Sprintf("user:%s-%d", name, i)))
	}
	return append(all, relationship(account, "guest", "user:"+name+"-guest"))
}

// ownTenant returns the relationships of a tenant with importers. The user of the account created half of them, and
// the guest created the other half.
func ownTenant() []*v1.Relationship {
	all := tenant("own")
	for i := range ownImporters {
		importer := fmt.Sprintf("importer:own-%d", i)
		all = append(all, relationship(importer, "account", "account:own"),
			relationship(importer, "creator", []string{"user:own-0", "user:own-guest"}[i%2]))
	}
	return all
}

// BenchmarkLookupAmongTenants looks up the 100 importers that a person may view, on two servers. On one of them,
// 10,000 other accounts have members. The benchmark reports how much longer the first look-up takes on that server,
// with Sluice and with SpiceDB's gateway.
func BenchmarkLookupAmongTenants(b *testing.B) {
	alone, among := startOn(b, inMemory), startOn(b, inMemory)
	others := ownTenant()
	for i := range otherTenants {
		others = append(others, tenant(fmt.Sprint("t", i))...)
	}
	write(b, alone.Server, append(ownTenant(), companyOf(1)...))
	write(b, among.Server, append(others, companyOf(1)...))
	alone.settle(b, len(ownTenant()))
	among.settle(b, len(others))
	for _, question := range []struct {
		typ, permission, subject string
		found                    int
	}{
		{"importer", "view", "own-0", ownImporters},
		{"importer", "edit", "own-guest", ownImporters / 2},
		{"account", "view", "own-owner", 1},
	} {
		b.Run(fmt.Sprintf("%s#%s@%s", question.typ, question.permission, question.subject), func(b *testing.B) {
			look := func(name string, s server) target {
				body := fmt.Sprintf(`{"subject":"user:%s","permission":%q,"resource_type":%q,"limit":1000}`,
					question.subject, question.permission, question.typ)
				if found := strings.Count(string(s.send(b, "POST", "/v1/lookup/resources", body)), `"resource":`); found !=
					question.found {
					b.Fatalf("%s: found %d, not %d", name, found, question.found)
				}
				return target{
					name: name, url: s.URL + "/v1/lookup/resources", header: s.header(),
					body: func(int) string { return body },
				}
			}
			gateway := func(name string, s server) target {
				return target{
					name: name, url: s.gateway + "/v1/permissions/resources",
					header: map[string]string{"Authorization": "Bearer " + s.GRPCKey},
					body: func(int) string {
						return fmt.Sprintf(`{"consistency":{"minimizeLatency":true},"resourceObjectType":%q,"permission":%q,`+
							`"subject":{"object":{"objectType":"user","objectId":%q}}}`,
							question.typ, question.permission, question.subject)
					},
				}
			}
			results := sideBySide(b, 1, look("alone", alone), look("among", among),
				gateway("spicedb-alone", alone), gateway("spicedb-among", among))
			report(b, results, "alone", "among", "spicedb-alone", "spicedb-among")
			b.ReportMetric(float64(results["among"].p50)/float64(results["alone"].p50), "times-alone")
			b.ReportMetric(float64(results["spicedb-among"].p50)/float64(results["spicedb-alone"].p50), "spicedb-times-alone")
		})
	}
}
