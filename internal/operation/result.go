package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// result says how an operation answers a replay with a value, see runWithResult.
type result[T any] struct {
	// named is the value with only the ids in the request.
	named T

	// read returns the value that the same caller reads now, or an error if the caller may not read it.
	read func(context.Context) (T, authz.Token, error)
}

// runWithResult performs an operation as run does, and returns the value of build. Every operation that returns a value
// uses it. A replay returns the value of result.read, so it shows exactly what the same caller can read now. If the
// caller may not read the value, or it no longer exists, the replay returns result.named and sets IsHidden.
func runWithResult[T any](
	ctx context.Context, s *Service, by Caller, operation string, again result[T],
	build func(context.Context, *plan) (T, error),
) (T, Done, error) {
	var value T
	done, err := s.run(ctx, by, operation, func(ctx context.Context, p *plan) (err error) {
		value, err = build(ctx, p)
		return err
	})
	if err != nil || !done.IsReplay {
		return answered(value, done, err)
	}
	value, token, err := again.read(ctx)
	switch {
	case err == nil:
		done.Token = token
	case !isFailure(err):
		value, err, done.IsHidden = again.named, nil, true
	}
	return answered(value, done, err)
}

func (s *Service) subscriptionResult(by Caller, id authz.ID) result[Subscription] {
	return result[Subscription]{Subscription{ID: id}, func(ctx context.Context) (Subscription, authz.Token, error) {
		return s.GetSubscription(ctx, by, id)
	}}
}

func (s *Service) accountResult(by Caller, id authz.ID) result[Account] {
	return result[Account]{Account{ID: id}, func(ctx context.Context) (Account, authz.Token, error) {
		return s.GetAccount(ctx, by, id)
	}}
}

func (s *Service) importerResult(by Caller, id authz.ID) result[Importer] {
	return result[Importer]{Importer{ID: id}, func(ctx context.Context) (Importer, authz.Token, error) {
		return s.GetImporter(ctx, by, id)
	}}
}

func (s *Service) connectionResult(by Caller, id authz.ID) result[Connection] {
	return result[Connection]{Connection{ID: id}, func(ctx context.Context) (Connection, authz.Token, error) {
		return s.GetConnection(ctx, by, id)
	}}
}

func (s *Service) workspaceResult(by Caller, id authz.ID) result[Workspace] {
	return result[Workspace]{Workspace{ID: id}, func(ctx context.Context) (Workspace, authz.Token, error) {
		return s.GetWorkspace(ctx, by, id)
	}}
}

func (s *Service) connectorResult(by Caller, id authz.ID) result[Connector] {
	return result[Connector]{Connector{ID: id}, func(ctx context.Context) (Connector, authz.Token, error) {
		return s.GetConnector(ctx, by, id)
	}}
}

func (s *Service) partResult(by Caller, object authz.Object) result[Part] {
	named := Part{Type: object.Type, ID: object.ID}
	return result[Part]{named, func(ctx context.Context) (Part, authz.Token, error) {
		return s.GetPart(ctx, by, object)
	}}
}

func (s *Service) accountMemberResult(by Caller, id, who authz.ID) result[Member] {
	return result[Member]{Member{User: who}, func(ctx context.Context) (Member, authz.Token, error) {
		return s.GetAccountMember(ctx, by, id, who)
	}}
}

func (s *Service) subscriptionMemberResult(by Caller, id, who authz.ID) result[Member] {
	return result[Member]{Member{User: who}, func(ctx context.Context) (Member, authz.Token, error) {
		return s.GetSubscriptionMember(ctx, by, id, who)
	}}
}
