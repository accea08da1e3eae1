package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/sluicetest"
)

// The backend creates a subscription. The owner of the subscription creates an account. Then the backend makes
// checks.
func Example() {
	ctx := context.Background()
	server, err := sluicetest.New(ctx) // an application calls client.New, with the address and a key of its server
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()

	sluice, err := client.New(server.URL, server.Key)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = errors.Join(
		second(sluice.PutConnector(ctx, "postgres", "views")),
		second(sluice.CreateSubscription(ctx, client.NewSubscription{ID: "initech", RoleSet: "multi_owner", Owner: "alice"})),
		second(sluice.As("alice").CreateAccount(
			ctx, client.NewAccount{ID: "sales", Subscription: "initech", RoleSet: "team"},
		)),
		second(sluice.As("alice").PutAccountMember(ctx, "sales", "bob", "user")),
		second(sluice.As("alice").PutAccountMember(ctx, "sales", "gus", "guest")),
		second(sluice.As("bob").CreateConnection(
			ctx, client.NewConnection{ID: "crm", Account: "sales", Connector: "postgres"},
		)),
		second(sluice.As("bob").CreateImporter(ctx, client.NewImporter{ID: "leads", Account: "sales", Source: "crm"})),
	)
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, user := range []string{"bob", "gus"} {
		may, err := sluice.Can(ctx, user, "run", "importer:leads")
		fmt.Println(user, "may run it:", may, err)
	}
	may, err := sluice.CanEach(ctx, "alice", "use", "connection:crm", "connection:erp")
	fmt.Println("alice may use:", may, err)

	_, err = sluice.As("bob").PutAccountMember(ctx, "sales", "gus", "owner")
	var refusal *client.Error
	if errors.Is(err, client.Forbidden) && errors.As(err, &refusal) {
		fmt.Println("bob lacks", refusal.Permission)
	}
	err = sluice.As("gus").DeleteConnection(ctx, "crm")
	fmt.Println("to gus it does not exist:", errors.Is(err, client.NotFound))

	for member, err := range sluice.As("alice").AccountMembers(ctx, "sales") {
		fmt.Println(member.User, member.Roles, err)
	}
	// Output:
	// bob may run it: true <nil>
	// gus may run it: false <nil>
	// alice may use: map[connection:crm:false connection:erp:false] <nil>
	// bob lacks assign_roles
	// to gus it does not exist: true
	// alice [owner] <nil>
	// bob [user] <nil>
	// gus [guest] <nil>
}

func second[T any](_ T, err error) error { return err }
