package operations_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// nightly is a service account of the account team, and holds the role of user there.
const nightly authz.Actor = "service_account:nightly"

const (
	nightlyPlace = "service_account:nightly#place@account:team"
	nightlyRole  = "account:team#user@service_account:nightly"
)

// withNightly returns an engine with the company and the service account nightly.
func withNightly(t *testing.T) authz.Engine {
	t.Helper()
	engine := newEngine(t)
	company(t, operation.New(engine))
	store(t.Context(), t, engine, nightlyPlace, nightlyRole)
	return engine
}

// unstore deletes relationships directly, without an operation.
func unstore(ctx context.Context, t *testing.T, engine authz.Engine, relationships ...string) {
	t.Helper()
	var write authz.Write
	for _, r := range relationships {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Delete, Relationship: parse(t, r)})
	}
	_, err := engine.Write(ctx, write)
	require.NoError(t, err)
}

// actsOfNightly are operations that the role of user on the account team allows.
var actsOfNightly = map[string]func(ctx context.Context, s *operation.Service, by operation.Caller) error{
	"create an importer": func(ctx context.Context, s *operation.Service, by operation.Caller) error {
		_, _, err := s.CreateImporter(ctx, by, operation.NewImporter{ID: "new", Account: "team", Source: "warehouse"})
		return err
	},
	"create a connection": func(ctx context.Context, s *operation.Service, by operation.Caller) error {
		_, _, err := s.CreateConnection(ctx, by, operation.NewConnection{ID: "new", Account: "team", Connector: "postgres"})
		return err
	},
	"delete a shared connection": func(ctx context.Context, s *operation.Service, by operation.Caller) error {
		_, err := s.Delete(ctx, by, authz.Object{Type: "connection", ID: "warehouse"})
		return err
	},
	"add a member": func(ctx context.Context, s *operation.Service, by operation.Caller) error {
		_, _, err := s.PutAccountMember(ctx, by, "team", "new", []string{"user"}, time.Time{})
		return err
	},
	"remove a member": func(ctx context.Context, s *operation.Service, by operation.Caller) error {
		_, err := s.RemoveAccountMember(ctx, by, "team", "uma")
		return err
	},
	"invite": func(ctx context.Context, s *operation.Service, by operation.Caller) error {
		_, _, err := s.Invite(ctx, by, operation.NewInvitation{
			To: authz.Object{Type: "account", ID: "team"}, Invitee: "new", Roles: []string{"user"},
		})
		return err
	},
}

func TestServiceAccountPerformsOperations(t *testing.T) {
	t.Parallel()
	for name, act := range actsOfNightly {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, act(t.Context(), operation.New(withNightly(t)), by(nightly)))
		})
	}
}

// TestServiceAccountWithoutRoleOrPlaceDoesNothing checks that all operations fail for a service account without a
// role. It also covers a service account that does not exist, but to which another tool gave a role.
func TestServiceAccountWithoutRoleOrPlaceDoesNothing(t *testing.T) {
	t.Parallel()
	engine := withNightly(t)
	for missing, code := range map[string]authz.Code{nightlyRole: authz.CodeNotFound, nightlyPlace: authz.CodeForbidden} {
		unstore(t.Context(), t, engine, missing)
		before := left(t, engine)
		for name, act := range actsOfNightly {
			require.ErrorIs(t, act(t.Context(), operation.New(engine), by(nightly)), code, name)
			require.Equal(t, before, left(t, engine), name)
		}
		store(t.Context(), t, engine, missing)
	}
}

// interrupting deletes a relationship immediately before the first write.
type interrupting struct {
	authz.Engine
	t       *testing.T
	deletes string
}

func (i *interrupting) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if i.deletes != "" {
		unstore(ctx, i.t, i.Engine, i.deletes)
		i.deletes = ""
	}
	return i.Engine.Write(ctx, write)
}

// TestOperationRequiresServiceAccountAndItsRole ends the access of a service account between the decision about its
// operation and the write. The write must not be committed.
func TestOperationRequiresServiceAccountAndItsRole(t *testing.T) {
	t.Parallel()
	engine := withNightly(t)
	for _, deleted := range []string{nightlyRole, nightlyPlace} {
		for name, act := range actsOfNightly {
			before := left(t, engine)
			require.Error(t, act(t.Context(), operation.New(&interrupting{engine, t, deleted}), by(nightly)), name)
			store(t.Context(), t, engine, deleted)
			require.Equal(t, before, left(t, engine), name)
			require.Empty(t, invitationsTo(t, engine, "team"), name)
		}
	}
}

// invitationsTo returns the stored invitations to an account.
func invitationsTo(t *testing.T, engine authz.Engine, account authz.ID) (found []string) {
	t.Helper()
	for item, err := range engine.Read(
		t.Context(), authz.Filter{Type: "invitation", SubjectType: "account", SubjectID: account}, authz.Fully(), authz.Page{},
	) {
		require.NoError(t, err)
		found = append(found, item.Relationship.String())
	}
	return found
}

// TestRemovedRoleRacesWithServiceAccount removes the role of a service account while its operations run. An operation
// that begins after the removal was answered must fail.
func TestRemovedRoleRacesWithServiceAccount(t *testing.T) {
	t.Parallel()
	engine := withNightly(t)
	s := operation.New(engine)
	for round := range testsize.Of(100, 1000) {
		create := func(ctx context.Context, id string) error {
			_, _, err := s.CreateImporter(ctx, by(nightly), operation.NewImporter{ID: authz.ID(id), Account: "team"})
			return err
		}
		group, ctx := errgroup.WithContext(t.Context())
		for i := range 3 {
			group.Go(func() error {
				err := create(ctx, fmt.Sprintf("during-%d-%d", round, i))
				if code := authz.CodeOf(err); err != nil && code != authz.CodeNotFound && code != authz.CodeForbidden {
					return err
				}
				return nil
			})
		}
		unstore(t.Context(), t, engine, nightlyRole)
		require.ErrorIs(t, create(t.Context(), fmt.Sprintf("after-%d", round)), authz.CodeNotFound)
		require.NoError(t, group.Wait())
		store(t.Context(), t, engine, nightlyRole)
	}
	for _, r := range left(t, engine) {
		require.NotContains(t, r, "importer:after-")
	}
}

// TestInvitationOfServiceAccount accepts an invitation that a service account sent. After the service account has
// lost its role or was deleted, nobody can accept it.
func TestInvitationOfServiceAccount(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"", nightlyRole, nightlyPlace} {
		t.Run("without "+missing, func(t *testing.T) {
			t.Parallel()
			engine := withNightly(t)
			s := operation.New(engine)
			team := authz.Object{Type: "account", ID: "team"}
			invitation := operation.NewInvitation{To: team, Invitee: "ida", Roles: []string{"user"}}
			sent, _, err := s.Invite(t.Context(), by(nightly), invitation)
			require.NoError(t, err)
			require.Equal(t, nightly, sent.Inviter)
			listed, _, err := s.Invitations(t.Context(), by("uma"), team, operation.Page{})
			require.NoError(t, err)
			require.Equal(t, nightly, listed.Invitations[0].Inviter)
			if missing != "" {
				unstore(t.Context(), t, engine, missing)
			}
			accepted, _, err := s.AcceptInvitation(t.Context(), by("ida"), sent.ID)
			if missing == "" {
				require.NoError(t, err)
				require.Equal(t, operation.Roles{"user"}, accepted.Roles)
				return
			}
			require.Error(t, err)
			require.NotContains(t, left(t, engine), "account:team#user@user:ida")
		})
	}
}

func TestOnlyPeopleAnswerInvitations(t *testing.T) {
	t.Parallel()
	engine := withNightly(t)
	s := operation.New(engine)
	sent, _, err := s.Invite(t.Context(), by("ada"), operation.NewInvitation{
		To: authz.Object{Type: "account", ID: "team"}, Invitee: "ida", Roles: []string{"user"},
	})
	require.NoError(t, err)
	_, _, err = s.AcceptInvitation(t.Context(), by(nightly), sent.ID)
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.ErrorContains(t, err, "only people accept invitations, and service_account:nightly is a service account")
	_, err = s.DeclineInvitation(t.Context(), by(nightly), sent.ID)
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.ErrorContains(t, err, "only people decline invitations")
}

// TestServiceAccountIsCreator checks the permissions on objects that a service account created, and that it can repeat
// a deletion.
func TestServiceAccountIsCreator(t *testing.T) {
	t.Parallel()
	engine := withNightly(t)
	s := operation.New(engine)
	_, _, err := s.CreateConnection(t.Context(), by(nightly), operation.NewConnection{
		ID: "new", Account: "team", Connector: "postgres",
	})
	require.NoError(t, err)
	stored := left(t, engine)
	require.Contains(t, stored, "connection:new#creator@service_account:nightly")
	connection := authz.Object{Type: "connection", ID: "new"}
	_, _, err = s.GetConnection(t.Context(), by("uma"), "new")
	require.ErrorIs(t, err, authz.CodeNotFound, "the connection is private")
	for range 2 {
		_, err = s.Delete(t.Context(), by(nightly), connection)
		require.NoError(t, err)
	}
	require.Contains(t, left(t, engine), "deletion:connection/new#done@service_account:nightly")
}
