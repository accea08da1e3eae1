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

// TestRemovalReadsFewCreationsBeforeItsFirstWrite removes a person who created many times as many objects as one write
// can reassign. The first write must end the role after a bounded number of reads. Further writes do the rest.
func TestRemovalReadsFewCreationsBeforeItsFirstWrite(t *testing.T) {
	to := operation.Handover{To: "olga", Private: "disconnect"}
	for name, remove := range map[string]func(ctx context.Context, s *operation.Service) error{
		"reassigned on the account": func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverAccountMember(ctx, by("olga"), "t", "peter", to)
			return err
		},
		"reassigned in the subscription": func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverSubscriptionMember(ctx, by("olga"), "s", "peter", to)
			return err
		},
		"leaving": func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverAccountMember(ctx, by("peter"), "t", "peter", operation.Handover{To: "olga"})
			return err
		},
		"erased": func(ctx context.Context, s *operation.Service) error {
			_, err := s.EraseUser(ctx, by(""), "peter")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := txtest.New(txtest.Relationships(t, company...)...)
			store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
			crowd := &crowd{stopping: &stopping{store, 1}, t: t, creates: true}
			err := remove(t.Context(), operation.New(crowd, operation.WithClock(store.Now)))
			require.ErrorIs(t, err, errStopped, "the removal takes several writes")
			stored := strings.Join(store.Stored(), "\n")
			require.NotContains(t, stored, "account:t#user@user:peter")
			require.Contains(t, stored, "offboarding:peter#from")
			require.LessOrEqual(t, crowd.read, 3*authz.MaxUpdates)
		})
	}
}

// TestLargeHandoverEndsAccessBeforeItChecksEachCreation reassigns very many objects. The new owner may not create
// connections. If the person created connections in the account, the person is removed and keeps the creations, and the
// error says so. If the connections are in another account, the new owner gets the objects.
func TestLargeHandoverEndsAccessBeforeItChecksEachCreation(t *testing.T) {
	for _, c := range []struct {
		account string
		refused bool
	}{{"t", true}, {"of-one", false}} {
		store := txtest.New(txtest.Relationships(t, company...)...)
		store.Now = nowOfRules
		store.Allow = func(check authz.Check) bool {
			return check.Subject.ID != "ursula" || check.Permission != "create_connection"
		}
		store.Remove(txtest.Relationships(t, "connection:crm#creator@user:peter", "connection:dwh#creator@user:peter")...)
		store.Put(txtest.Relationships(t, "connection:own#creator@user:peter", "connection:own#shared@account:"+c.account,
			"connection:own#account@account:"+c.account)...)
		created := lotsOf("importer:m%d#creator@user:peter") + lotsOf("importer:m%d#account@account:t")
		store.Put(txtest.Relationships(t, strings.Fields(created)...)...)
		s := operation.New(store, operation.WithClock(store.Now))
		to := operation.Handover{To: "ursula", Private: "leave"}
		report, _, err := s.HandOverAccountMember(t.Context(), by("olga"), "t", "peter", to)
		stored := strings.Join(store.Stored(), "\n")
		require.NotContains(t, stored, "account:t#user@user:peter")
		require.NotContains(t, stored, "offboarding:")
		if c.refused {
			require.ErrorIs(t, err, authz.CodeInvalid)
			require.ErrorContains(t, err, "peter is removed, but ursula did not get everything that peter created: "+
				"reassign_to names ursula, whose roles on account:t do not let them create a connection")
			require.Contains(t, stored, "importer:m7#creator@user:peter")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, authz.MaxUpdates+11, report.Importers.Count) // one is in the company
		require.NotContains(t, strings.ReplaceAll(stored, "connection:own#creator@user:peter", ""), "#creator@user:peter")
	}
}

// TestLargeHandoverNeedsChoiceForPrivateConnections requires private_connections if there are too many creations to
// read them first.
func TestLargeHandoverNeedsChoiceForPrivateConnections(t *testing.T) {
	store := txtest.New(txtest.Relationships(t, company...)...)
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	crowd := &crowd{stopping: &stopping{store, 1}, t: t, creates: true}
	s := operation.New(crowd, operation.WithClock(store.Now))
	_, _, err := s.HandOverAccountMember(t.Context(), by("olga"), "t", "peter", operation.Handover{To: "ursula"})
	require.ErrorIs(t, err, authz.CodeConflict)
	require.ErrorContains(t, err, "peter created more than 1000 objects: private_connections must be disconnect or leave")
	require.Equal(t, 1, crowd.writes, "nothing is written")
}

// TestRemovalReadsOnlyAboutRequiredRolesBeforeItsFirstWrite removes a person from very many accounts, on most of which
// the person holds no required role. Still, the last owner of one account cannot be removed.
func TestRemovalReadsOnlyAboutRequiredRolesBeforeItsFirstWrite(t *testing.T) {
	const accounts = authz.MaxUpdates + 100
	for _, isLast := range []bool{false, true} {
		store := txtest.New(txtest.Relationships(t, company...)...)
		store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
		given := []string{"subscription:s#member@user:peter"}
		for i := range accounts {
			role := "user"
			if i == accounts/2 && isLast {
				role = "owner"
			}
			given = append(given, fmt.Sprintf("account:x%d#subscription@subscription:s", i),
				fmt.Sprintf("account:x%d#team@user:*", i), fmt.Sprintf("account:x%d#%s@user:peter", i, role))
		}
		store.Put(txtest.Relationships(t, given...)...)
		crowd := &crowd{stopping: &stopping{store, 1}, t: t, account: "none"}
		s := operation.New(crowd, operation.WithClock(store.Now))
		_, err := s.RemoveSubscriptionMember(t.Context(), by("olga"), "s", "peter")
		if isLast {
			require.ErrorIs(t, err, authz.CodeConflict)
			require.ErrorContains(t, err, fmt.Sprintf("x%d", accounts/2))
			require.Equal(t, 1, crowd.writes)
			continue
		}
		require.ErrorIs(t, err, errStopped)
		require.Less(t, crowd.read, 4*accounts)
	}
}

// late is a store on which the first writes succeed. The time limit of the request ends before the next one.
type late struct {
	*stopping
	end context.CancelCauseFunc
}

func (l late) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if l.writes == 0 {
		l.end(context.DeadlineExceeded)
		return "", context.Cause(ctx)
	}
	return l.stopping.Write(ctx, write)
}

func (l late) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	if l.writes == 0 {
		l.end(context.DeadlineExceeded)
		return "", context.Cause(ctx)
	}
	return l.stopping.DeleteAll(ctx, filter, preconditions, metadata)
}

// TestTimeoutAfterCutOffSaysThatAccessHasEnded lets a deletion and a removal exceed their time limit after some writes.
func TestTimeoutAfterCutOffSaysThatAccessHasEnded(t *testing.T) {
	deletion := func(typ authz.Type, id authz.ID) func(ctx context.Context, s *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: typ, ID: id})
			return err
		}
	}
	users, shares := lotsOf("connection:crm#shared_with@user:u%d"), lotsOf("connection:s%d#shared_with@user:peter")
	removal := func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), "t", "peter")
		return err
	}
	for _, c := range []struct {
		name, given string
		do          func(ctx context.Context, s *operation.Service) error
		writes      int
		ended       bool
	}{
		{"an account before the cut-off", "", deletion("account", "t"), 0, false},
		{"an account after the cut-off", "", deletion("account", "t"), 1, true},
		{"a large connection before its record", users, deletion("connection", "crm"), 0, false},
		{"a large connection before the cut-off", users, deletion("connection", "crm"), 1, false},
		{"a large connection after the cut-off", users, deletion("connection", "crm"), 2, true},
		{"a removal before its first write", shares, removal, 0, false},
		{"a removal after its first write", shares, removal, 1, true},
	} {
		given := append(strings.Fields(c.given), company...)
		store := txtest.New(txtest.Relationships(t, given...)...)
		store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		err := c.do(ctx, operation.New(late{&stopping{store, c.writes}, end}, operation.WithClock(store.Now)))
		require.ErrorIs(t, err, authz.CodeDeadline, c.name)
		const says = "; the access has already ended: repeat the call to finish the rest"
		require.Equal(t, c.ended, strings.Contains(err.Error(), says), "%s: %s", c.name, err)
	}
}
