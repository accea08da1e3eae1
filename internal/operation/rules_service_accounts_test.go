package operation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// robot is a service account of the account "t", and robotOfS one of the subscription "s".
const (
	robot    = "service_account:robot#place@account:t service_account:robot#title@title:Robot "
	robotOfS = "service_account:robot#place@subscription:s service_account:robot#title@title:Robot "
)

// robotsTraces are relationships that operations on behalf of the service account robot store.
const robotsTraces = "account:t#user@service_account:robot " +
	"importer:made#account@account:t importer:made#creator@service_account:robot " +
	"connection:open#account@account:t connection:open#creator@service_account:robot connection:open#shared@account:t " +
	"connection:closed#account@account:t connection:closed#creator@service_account:robot " +
	"connection:closed#shared_with@user:milton importer:made#source@connection:closed " +
	"connection:crm#shared_with@service_account:robot workspace:etl#member@service_account:robot " +
	"invitation:h#place@account:t invitation:h#inviter@service_account:robot invitation:h#invitee@user:nina " +
	"invitation:h#role@role:user invitee:nina#latest@invitation:h " +
	"dashboard:d#editor@service_account:robot deletion:importer/old#done@service_account:robot "

// robotsJobs are unfinished jobs that the service account robot requested.
const robotsJobs = "deletion:workspace/gone#requested_by@service_account:robot flow:f#workspace@workspace:gone " +
	"offboarding:rex#from@account:t offboarding:rex#requested_by@service_account:robot " +
	"offboarding:rex#reassign_to@user:peter importer:r#account@account:t importer:r#creator@user:rex "

func deleteRobot(actor authz.Actor) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.Delete(ctx, by(actor), authz.Object{Type: "service_account", ID: "robot"})
		return err
	}
}

var traceless = []string{"service_account:", "title:Robot", "invitation:", "invitee:", "connection:closed", "requested_by"}

var serviceAccountJobs = []jobCase{
	{
		name: "delete a service account with unfinished jobs", given: robot + robotsTraces + robotsJobs,
		do: deleteRobot("olga"), record: "deletion:service_account/robot#requested_by",
		left: append([]string{"workspace:gone", "user:rex", "offboarding:"}, traceless...),
	},
	{
		name: "delete a service account with very many roles and creations",
		given: robotOfS + robotsTraces + lotsOf("account:a%d#user@service_account:robot") +
			lotsOf("importer:i%d#creator@service_account:robot") + lotsOf("connection:closed#shared_with@user:u%d"),
		do: deleteRobot("olga"), left: traceless,
	},
	{
		name: "delete an account with a service account", given: robot + robotsTraces + robotsJobs,
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "account", ID: "t"})
			return err
		},
		record: "deletion:account/t#requested_by", left: append([]string{"workspace:gone"}, traceless...),
	},
	{
		name: "delete a subscription with a service account", given: robotOfS + robotsTraces + robotsJobs,
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "subscription", ID: "s"})
			return err
		},
		record: "deletion:subscription/s#requested_by", left: append([]string{"workspace:gone"}, traceless...),
	},
}

func TestRulesOfServiceAccounts(t *testing.T) {
	create := func(actor authz.Actor, place string) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			in, err := authz.ParseObject(place)
			if err != nil {
				return err
			}
			_, _, err = s.CreateServiceAccount(ctx, by(actor), operation.ServiceAccount{ID: "robot", Place: in, Title: "Robot"}, nil)
			return err
		}
	}
	runRules(t, []ruleCase{
		{
			name: "a new service account of an account has no roles", do: create("peter", "account:t"),
			changes: "+ service_account:robot#place@account:t\n+ service_account:robot#title@title:Robot",
		},
		{
			name: "a new service account of a subscription has no roles", do: create("olga", "subscription:s"),
			changes: "+ service_account:robot#place@subscription:s\n+ service_account:robot#title@title:Robot",
		},
		{
			name: "an id is taken everywhere", given: robot, do: create("uma", "subscription:one"),
			code: authz.CodeConflict, says: "service_account:robot exists already",
		},
		{
			name: "an id is taken during its deletion", given: "deletion:service_account/robot#requested_by@user:olga",
			do: create("olga", "subscription:s"), code: authz.CodeConflict, says: "still being deleted",
		},
		{
			name: "creating one of an account needs assign_roles", denied: "assign_roles@account:t",
			do: create("peter", "account:t"), code: authz.CodeForbidden, says: "lacks the permission assign_roles",
		},
		{
			name: "creating one of a subscription needs manage_roles", denied: "manage_roles@subscription:s",
			do: create("peter", "subscription:s"), code: authz.CodeForbidden, says: "lacks the permission manage_roles",
		},
		{
			name: "deleting needs manage", given: robot, denied: "manage@service_account:robot", do: deleteRobot("peter"),
			code: authz.CodeForbidden, says: "lacks the permission manage on service_account:robot",
		},
		{
			name: "only people delete service accounts", given: robot, do: deleteRobot("service_account:robot"),
			code: authz.CodeInvalid, says: "only people delete service accounts",
		},
	})
}

// TestFirstWriteEndsAccessOfServiceAccount stops the deletion of a service account after its first write.
func TestFirstWriteEndsAccessOfServiceAccount(t *testing.T) {
	given := robotOfS + robotsTraces + robotsJobs + "subscription:one#it_admin@service_account:robot "
	for i := range 900 {
		given += fmt.Sprintf("account:a%d#user@service_account:robot ", i)
	}
	store := &stopping{txtest.New(txtest.Relationships(t, append(strings.Fields(given), company...)...)...), 1}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	s := operation.New(store, operation.WithClock(store.Now))
	require.ErrorIs(t, deleteRobot("olga")(t.Context(), s), errStopped)
	for _, r := range store.Stored() {
		isRole := strings.HasPrefix(r, "account:") || strings.HasPrefix(r, "subscription:")
		require.False(t, isRole && strings.Contains(r, "service_account:robot"), r)
	}
	_, _, err := s.CreateImporter(t.Context(), by("service_account:robot"), operation.NewImporter{ID: "x", Account: "t"})
	require.ErrorIs(t, err, authz.CodeForbidden)
	require.ErrorContains(t, err, "service_account:robot does not exist")
}
