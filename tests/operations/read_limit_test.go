package operations_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestListsReadALimitedNumberOfRelationships calls every method that lists all people of a place. The service may read
// only 100 relationships for an answer, and the places have more. Each call must fail. A removal has no such limit.
func TestListsReadALimitedNumberOfRelationships(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	var rows []authz.Relationship
	for i := range 200 {
		who := someone(fmt.Sprint("crowd", i))
		rows = append(rows, row(object("account", "team"), "user", who), row(object("subscription", "acme"), "member", who))
	}
	load(t, engine, rows)
	few := operation.New(engine, operation.WithMaxRead(100))
	owner := by("ada")
	for name, ask := range map[string]func(s *operation.Service) error{
		"members of an account": func(s *operation.Service) error {
			_, _, err := s.AccountMembers(t.Context(), owner, "team", authz.TypeUser, "", operation.Page{Limit: 1})
			return err
		},
		"members of a subscription": func(s *operation.Service) error {
			_, _, err := s.SubscriptionMembers(t.Context(), owner, "acme", true, operation.Page{Limit: 1})
			return err
		},
		"people of a subscription": func(s *operation.Service) error {
			_, _, err := s.SubscriptionPeople(t.Context(), owner, "acme", operation.Page{Limit: 1})
			return err
		},
	} {
		require.NoError(t, ask(operation.New(engine)), name)
		require.ErrorIs(t, ask(few), authz.CodeTooLarge, name)
	}
	_, err := few.RemoveAccountMember(t.Context(), owner, "team", "crowd7")
	require.NoError(t, err)
}
