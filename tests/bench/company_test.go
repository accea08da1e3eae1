package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/grpcutil"
	"github.com/gin-gonic/gin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluice-authz/sluice/internal/app"
)

// These are the sizes of the company. The company is the data on which the benchmarks run.
const (
	accounts  = 100
	members   = 100 // number of members of an account
	importers = 100 // number of importers of an account

	crowd = 100_000 // number of members of the account "crowded"

	key = "a-key-for-benchmarks"
)

// server is a running server that holds the company. It also has SpiceDB's own HTTP gateway, for the same
// relationships.
type server struct {
	*app.Server
	gateway string
}

// startServer starts a server that stores its data in memory, and writes the company.
func startServer(b *testing.B) server {
	b.Helper()
	s := startOn(b, app.StoreConfig{Datastore: "memory"})
	write(b, s.Server, company())
	s.settle(b, len(company()))
	return s
}

func startOn(b *testing.B, store app.StoreConfig) server {
	b.Helper()
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen, config.Store = "127.0.0.1:0", "127.0.0.1:0", store
	config.APIKeys = []string{"bench:check+operate+provision+inspect:" + key}
	s, err := app.Start(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close(context.WithoutCancel(b.Context())) })
	gateway := freeAddress(b)
	if err := startGateway(b.Context(), s.GRPCAddress, gateway); err != nil {
		b.Fatal(err)
	}
	return server{s, "http://" + gateway}
}

// settle waits until the in-memory replica answers, and until it and the audit log have at least the given number of
// relationships.
func (s server) settle(b *testing.B, relationships int) {
	b.Helper()
	holds := regexp.MustCompile(`(?m)^sluice_replica_relationships (\S+)$`)
	for answers := false; !answers; time.Sleep(20 * time.Millisecond) {
		metrics := s.send(b, http.MethodGet, "/metrics", "")
		found := holds.FindSubmatch(metrics)
		if found == nil {
			b.Fatal("the server has no in-memory replica")
		}
		count, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			b.Fatal(err)
		}
		answers = count >= float64(relationships) && bytes.Contains(metrics, []byte("\nsluice_replica_answering 1\n"))
	}
	s.caughtUp(b)
}

// company returns the relationships of the accounts, of their members and of their importers. Each member has
// created one importer.
func company() []*v1.Relationship { return companyOf(accounts) }

// companyOf returns the relationships of a company with another number of accounts.
func companyOf(accounts int) []*v1.Relationship {
	var all []*v1.Relationship
	all = append(all, relationship("subscription:acme", "platform", "platform:main"),
		relationship("subscription:acme", "multi_owner", "user:*"), relationship("subscription:acme", "owner", "user:ada"))
	for a := range accounts {
		account := fmt.Sprintf("account:a%d", a)
		all = append(all, emptyAccount(account)...)
		for m := range members {
			all = append(all, relationship(account, "user", fmt.Sprintf("user:u%d-%d", a, m)))
		}
		for i := range importers {
			importer := fmt.Sprintf("importer:i%d-%d", a, i)
			all = append(
				all, relationship(importer, "account", account),
				relationship(importer, "creator", fmt.Sprintf("user:u%d-%d", a, i)),
			)
		}
	}
	return all
}

// crowded returns the relationships of the account "crowded", which has very many members.
func crowded() []*v1.Relationship {
	all := emptyAccount("account:crowded")
	for m := range crowd {
		all = append(all, relationship("account:crowded", "user", fmt.Sprintf("user:c%d", m)))
	}
	return append(
		all, relationship("importer:crowded", "account", "account:crowded"),
		relationship("importer:crowded", "creator", "user:c0"),
	)
}

func emptyAccount(account string) []*v1.Relationship {
	return []*v1.Relationship{
		relationship(account, "subscription", "subscription:acme"),
		relationship(account, "team", "user:*"),
		relationship(account, "owner", "user:ada"),
	}
}

func relationship(resource, relation, subject string) *v1.Relationship {
	return &v1.Relationship{
		Resource: object(resource), Relation: relation, Subject: &v1.SubjectReference{Object: object(subject)},
	}
}

func object(reference string) *v1.ObjectReference {
	for i := range reference {
		if reference[i] == ':' {
			return &v1.ObjectReference{ObjectType: reference[:i], ObjectId: reference[i+1:]}
		}
	}
	panic(reference)
}

// write writes relationships through SpiceDB's own API.
func write(b *testing.B, s *app.Server, relationships []*v1.Relationship) {
	b.Helper()
	conn, err := grpc.NewClient(
		s.GRPCAddress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpcutil.WithInsecureBearerToken(s.GRPCKey),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := v1.NewPermissionsServiceClient(conn)
	for begin := 0; begin < len(relationships); begin += 1000 {
		batch := relationships[begin:min(begin+1000, len(relationships))]
		updates := make([]*v1.RelationshipUpdate, len(batch))
		for i, r := range batch {
			updates[i] = &v1.RelationshipUpdate{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: r}
		}
		if _, err := client.WriteRelationships(b.Context(), &v1.WriteRelationshipsRequest{Updates: updates}); err != nil {
			b.Fatal(err)
		}
	}
}

// fixedRoute starts a gin server that answers every check with the same body. It measures the cost of HTTP alone.
func (s server) fixedRoute(b *testing.B) target {
	b.Helper()
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.POST("/v1/check", func(c *gin.Context) {
		c.Data(
			http.StatusOK, "application/json", []byte(`{"allowed":true,"token":"Gh8KEzE3OTUzMTg1NTEwNDUxOTYwMzASCDI4MzFkYTQx"}`),
		)
	})
	fixed := httptest.NewServer(router)
	b.Cleanup(fixed.Close)
	return target{
		name: "fixed", url: fixed.URL + "/v1/check", header: s.header(),
		body: func(i int) string { return checkBody(question(i)) },
	}
}

func freeAddress(b *testing.B) string {
	b.Helper()
	// No other process listens at this loopback address.
	listener, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.7:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
