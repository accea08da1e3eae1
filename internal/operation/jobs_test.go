package operation_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

var errStopped = errors.New("the server stopped")

// stopping is a store on which the first writes succeed, and all later ones fail.
type stopping struct {
	*txtest.Store
	writes int
}

func (s *stopping) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if s.writes == 0 {
		return "", errStopped
	}
	token, err := s.Store.Write(ctx, write)
	if err == nil {
		s.writes--
	}
	return token, err
}

func (s *stopping) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	if s.writes == 0 {
		return "", errStopped
	}
	token, err := s.Store.DeleteAll(ctx, filter, preconditions, metadata)
	if err == nil {
		s.writes--
	}
	return token, err
}

// jobCase is an operation that takes several writes.
type jobCase struct {
	name string
	// given are relationships that are stored besides those of the company.
	given string
	do    func(ctx context.Context, s *operation.Service) error
	// left are texts that no stored relationship may contain afterwards.
	left []string

	// record is a part of the relationship that records the job. It is empty if the first write stores this
	// relationship.
	record string
}

var jobCases = []jobCase{
	{
		name: "delete an account",
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "account", ID: "t"})
			return err
		},
		left: []string{"account:t#", "@account:t", "importer:leads", "connection:crm", "requested_by"},
	},
	{
		name: "delete a subscription",
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "subscription", ID: "s"})
			return err
		},
		left: []string{"subscription:s", "account:t#", "account:o#", "workspace:etl", "membership:ed", "requested_by"},
	},
	{
		name: "delete a group of very many people that holds very many roles",
		given: "group:crew#subscription@subscription:s group:crew#title@title:Crew " +
			lotsOf("group:crew#member@user:u%d") + lotsOf("account:a%d#user@group:crew#member"),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "group", ID: "crew"})
			return err
		},
		left: []string{"group:crew", "title:Crew", "requested_by"},
	},
	{
		name: "delete a connection of very many users", given: lotsOf("connection:crm#shared_with@user:u%d"),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("peter"), authz.Object{Type: "connection", ID: "crm"})
			return err
		},
		left: []string{"connection:crm", "requested_by"},
	},
	{
		name: "delete very many relationships of an object", given: lotsOf("dashboard:d#editor@user:u%d"),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.DeleteRelationships(ctx, by("peter"), authz.Object{Type: "dashboard", ID: "d"})
			return err
		},
		left: []string{"dashboard:d", "deletion:relationships"},
	},
	{
		name: "remove a member and disconnect their private connection", given: lotsOf("connection:crm#shared_with@user:u%d"),
		do: func(ctx context.Context, s *operation.Service) error {
			handover := operation.Handover{To: "ursula", Private: "disconnect"}
			_, _, err := s.HandOverAccountMember(ctx, by("olga"), "t", "peter", handover)
			return err
		},
		left: []string{"@user:peter", "connection:crm#", "@connection:crm", "offboarding:", "requested_by"},
	},
	{
		name: "erase a person whose own jobs were interrupted",
		given: "deletion:account/gone#requested_by@user:peter workspace:w#account@account:gone " +
			"flow:f#workspace@workspace:w offboarding:rex#from@account:t offboarding:rex#requested_by@user:olga " +
			"offboarding:rex#reassign_to@user:peter importer:r#account@account:t importer:r#creator@user:rex",
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.EraseUser(ctx, by(""), "peter")
			return err
		},
		record: "offboarding:peter#from",
		left:   []string{"user:peter", "user:rex", "account:gone", "workspace:w", "offboarding:", "requested_by"},
	},
}

// lotsOf formats more numbers than one write can hold updates, and joins the texts.
func lotsOf(format string) string {
	var b strings.Builder
	for i := range authz.MaxUpdates + 10 {
		fmt.Fprintf(&b, format+" ", i)
	}
	return b.String()
}

// TestInterruptedJobs stops each job after its first write, after its second, and so on. Either the next start of the
// server or the same call finishes the job. In both cases, the store must then hold exactly the relationships that an
// uninterrupted job leaves.
func TestInterruptedJobs(t *testing.T) {
	for _, c := range slices.Concat(jobCases, serviceAccountJobs, customRoleJobs, roleJobs) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			given := txtest.Relationships(t, append(strings.Fields(c.given), company...)...)
			newStore := func(writes int) *stopping {
				store := txtest.New(given...)
				store.Now = nowOfRules
				store.Allow = func(check authz.Check) bool {
					own := authz.Filter{Type: check.Resource.Type, ID: check.Resource.ID}
					for _, err := range store.Read(t.Context(), own, authz.Fully(), authz.Page{Limit: 1}) {
						return err == nil // the actor has every permission on an object that exists
					}
					return false
				}
				return &stopping{store, writes}
			}
			service := func(store *stopping) *operation.Service { return operation.New(store, operation.WithClock(store.Now)) }
			whole := newStore(1000)
			require.NoError(t, c.do(t.Context(), service(whole)))
			want, writes := whole.Stored(), 1000-whole.writes
			require.Greater(t, writes, 2)
			for _, part := range c.left {
				require.NotContains(t, strings.Join(want, "\n"), part)
			}
			for stop := 1; stop < writes; stop++ {
				for _, again := range []string{"start", "call"} {
					store := newStore(stop)
					require.ErrorIs(t, c.do(t.Context(), service(store)), errStopped)
					if again == "start" && !strings.Contains(strings.Join(store.Stored(), "\n"), c.record) {
						continue
					}
					store.writes = 1000
					if again == "start" {
						require.NoError(t, service(store).Resume(t.Context()))
					} else {
						require.NoError(t, c.do(t.Context(), service(store)))
					}
					require.Equal(t, want, store.Stored(), "stopped after %d writes, finished by the next %s", stop, again)
				}
			}
		})
	}
}

// TestDeletionIsCanceledWhenActorLosesPermission stops a deletion of an object with very many relationships before its
// cut-off. Then the actor loses the permission. The next run must delete the record of the deletion, and nothing else.
func TestDeletionIsCanceledWhenActorLosesPermission(t *testing.T) {
	for _, again := range []string{"start", "call"} {
		for _, isHidden := range []bool{false, true} {
			given := txtest.Relationships(t, strings.Fields(lotsOf("connection:crm#shared_with@user:u%d"))...)
			store := &stopping{txtest.New(append(given, txtest.Relationships(t, company...)...)...), 1}
			store.Now = nowOfRules
			may, sees := true, true
			store.Allow = func(check authz.Check) bool { return may && sees || sees && check.Permission == "view" }
			before := store.Stored()
			s := operation.New(store, operation.WithClock(store.Now))
			crm := authz.Object{Type: "connection", ID: "crm"}
			_, err := s.Delete(t.Context(), by("peter"), crm)
			require.ErrorIs(t, err, errStopped)
			require.Contains(t, store.Stored(), "deletion:connection/crm#requested_by@user:peter")
			store.writes, may, sees = 1000, false, !isHidden
			if again == "start" {
				require.NoError(t, s.Resume(t.Context()))
				require.Equal(t, before, store.Stored())
				continue
			}
			_, err = s.Delete(t.Context(), by("peter"), crm)
			require.Error(t, err)
			require.Subset(t, store.Stored(), before)
		}
	}
}

// malformed is a store with a relationship whose id can be read, but not used in a filter or a delete.
type malformed struct {
	*txtest.Store
	id authz.ID
}

func (m malformed) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	if filter.ID == m.id {
		return func(func(authz.ReadItem, error) bool) {}
	}
	return m.Store.Read(ctx, filter, at, page)
}

func (m malformed) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	write.Updates = slices.DeleteFunc(slices.Clone(write.Updates), func(u authz.Update) bool {
		return u.Relationship.Resource.ID == m.id
	})
	return m.Store.Write(ctx, write)
}

func TestDeletionRemovesReferencesFromMalformedIDs(t *testing.T) {
	store := malformed{txtest.New(txtest.Relationships(t, company...)...), "bad"}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	store.Put(txtest.Relationships(
		t, "workspace:bad#account@account:o", "importer:bad#source@connection:crm", "membership:bad#first@account:o",
		"connection:bad#connector@connector:own", "connector:own#account@account:o",
		"schedule:s#workspace@workspace:etl", "strange:bad#refers@workspace:etl",
	)...)
	s := operation.New(store, operation.WithClock(store.Now))
	_, err := s.Delete(t.Context(), by("olga"), authz.Object{Type: "account", ID: "o"})
	require.NoError(t, err)
	_, err = s.Delete(t.Context(), by("olga"), authz.Object{Type: "connection", ID: "crm"})
	require.NoError(t, err)
	for _, r := range store.Stored() {
		require.NotContains(t, r, "bad")
		require.NotContains(t, r, "@account:o")
	}
}

// TestDeletionFindsLateWrites makes relationships that were written before the cut-off visible only after everything
// else is deleted. The deletion must find these relationships. Meanwhile, one deleted id is used for a new object in
// another account: that object must stay.
func TestDeletionFindsLateWrites(t *testing.T) {
	for name, texts := range map[string][]string{
		"in the account":              {"importer:late#account@account:t", "importer:late#source@connection:crm"},
		"on the account":              {"account:t#guest@user:late"},
		"on what was in it":           {"importer:late#source@connection:crm"},
		"in what is in it late":       {"flow:late#workspace@workspace:late", "workspace:late#account@account:t"},
		"a membership":                {"membership:late#first@account:t"},
		"of a type of the customer":   {"strange:late#refers@connection:crm"},
		"more than one write deletes": strings.Fields(lotsOf("importer:late%d#source@connection:crm")),
	} {
		for _, taken := range [][]string{
			nil, {"importer:leads#account@account:n", "importer:leads#source@connection:other"},
		} {
			t.Run(fmt.Sprintf("%s, %d taken", name, len(taken)), func(t *testing.T) {
				store := txtest.New(txtest.Relationships(t, company...)...)
				store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
				late := txtest.Relationships(t, texts...)
				store.BeforeWrite = func() {
					isDeleted := !strings.Contains(strings.Join(store.Stored(), "\n"), "account:t")
					if isDeleted && late != nil {
						store.Put(append(late, txtest.Relationships(t, taken...)...)...)
						late = nil
					}
				}
				_, err := operation.New(store, operation.WithClock(store.Now)).Delete(
					t.Context(), by("olga"), authz.Object{Type: "account", ID: "t"},
				)
				require.NoError(t, err)
				require.Nil(t, late)
				for _, r := range store.Stored() {
					require.NotContains(t, r, ":late")
					require.NotContains(t, r, "account:t")
				}
				require.Subset(t, store.Stored(), taken)
			})
		}
	}
}

// TestDeletionEndsThoughOthersKeepWriting lets another tool write into a deleted account before each write of the
// deletion.
func TestDeletionEndsThoughOthersKeepWriting(t *testing.T) {
	store := txtest.New(txtest.Relationships(t, company...)...)
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	writes := 0
	store.BeforeWrite = func() {
		writes++
		store.Put(txtest.Relationship(t, fmt.Sprintf("importer:new%d#account@account:t", writes)))
	}
	_, err := operation.New(store, operation.WithClock(store.Now)).Delete(
		t.Context(), by("olga"), authz.Object{Type: "account", ID: "t"},
	)
	require.ErrorIs(t, err, authz.CodeConflict)
	require.ErrorContains(t, err, "other requests kept creating what this deletion removes")
	require.Less(t, writes, 1000)
}

var _ job.Store = malformed{}
