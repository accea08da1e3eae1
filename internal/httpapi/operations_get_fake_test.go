package httpapi_test

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

func (o *operations) GetAccountMember(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Member, authz.Token, error) {
	return someMember, token, o.record(ctx, "GetAccountMember", by, id, user)
}

func (o *operations) GetSubscriptionMember(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Member, authz.Token, error) {
	return someMember, token, o.record(ctx, "GetSubscriptionMember", by, id, user)
}

func (o *operations) GetImporter(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Importer, authz.Token, error) {
	return operation.Importer{ID: id, Account: "acme", Source: "c1", HiddenEnds: []string{"destination"}}, token,
		o.record(ctx, "GetImporter", by, id)
}

func (o *operations) GetConnection(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Connection, authz.Token, error) {
	return operation.Connection{ID: id, Visibility: "private", Users: []authz.ID{"bob"}}, token,
		o.record(ctx, "GetConnection", by, id)
}

func (o *operations) GetWorkspace(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Workspace, authz.Token, error) {
	return operation.Workspace{ID: id, Account: "acme", Users: []authz.ID{"bob"}}, token,
		o.record(ctx, "GetWorkspace", by, id)
}

func (o *operations) GetConnector(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Connector, authz.Token, error) {
	return operation.Connector{ID: id, Account: "acme"}, token, o.record(ctx, "GetConnector", by, id)
}

func (o *operations) GetPart(
	ctx context.Context, by operation.Caller, object authz.Object,
) (operation.Part, authz.Token, error) {
	return operation.Part{Type: object.Type, ID: object.ID, Parent: authz.Object{ID: "place"}}, token,
		o.record(ctx, "GetPart", by, object)
}

func (o *operations) Subscriptions(
	ctx context.Context, by operation.Caller, page operation.Page,
) (operation.Subscriptions, authz.Token, error) {
	return operation.Subscriptions{
		Subscriptions: []operation.Subscription{{ID: "s1", RoleSet: "multi_owner"}}, NextCursor: "next",
	}, token, o.record(ctx, "Subscriptions", by, page)
}

var someMember = operation.Member{User: "bob", Roles: operation.Roles{"viewer"}, ExpiresAt: time.Unix(1893456000, 0)}
