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

// crew is a group of the subscription "s".
const crew = "group:crew#subscription@subscription:s group:crew#title@title:Crew group:crew#member@user:ed "

func createGroup(actor, subscription, id authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		in := operation.Group{ID: id, Subscription: subscription, Title: "Crew"}
		_, _, err := s.CreateGroup(ctx, by(actor), in)
		return err
	}
}

func renameGroup(actor, id, title authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.RenameGroup(ctx, by(actor), id, title)
		return err
	}
}

func changeGroup(actor, id authz.ID, add, remove []authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.ChangeGroupMembers(ctx, by(actor), id, add, remove)
		return err
	}
}

func TestRulesOfGroups(t *testing.T) {
	people := func(ids ...authz.ID) []authz.ID { return ids }
	runRules(t, []ruleCase{
		{
			name: "a new group has a title and no members", do: createGroup("olga", "s", "crew"),
			changes: "+ group:crew#subscription@subscription:s\n+ group:crew#title@title:Crew",
		},
		{
			name: "an id is taken in every subscription", given: crew, do: createGroup("uma", "one", "crew"),
			code: authz.CodeConflict, says: "group:crew exists already",
		},
		{
			name: "creating needs manage_groups", denied: "manage_groups@subscription:s", do: createGroup("ed", "s", "crew"),
			code: authz.CodeForbidden, says: "lacks the permission manage_groups on subscription:s",
		},
		{
			name: "a group has one title", given: crew, do: renameGroup("olga", "crew", "Data"),
			changes: "+ group:crew#title@title:Data\n- group:crew#title@title:Crew",
		},
		{name: "a title is kept", given: crew, do: renameGroup("olga", "crew", "Crew")},
		{
			name: "renaming needs manage", given: crew, denied: "manage@group:crew", do: renameGroup("olga", "crew", "Data"),
			code: authz.CodeForbidden, says: "lacks the permission manage on group:crew",
		},
		{
			name: "members come and leave", given: crew, do: changeGroup("olga", "crew", people("otto"), people("ed", "rex")),
			changes: "+ group:crew#member@user:otto\n- group:crew#member@user:ed",
		},
		{name: "nothing changes twice", given: crew, do: changeGroup("olga", "crew", people("ed"), people("rex"))},
		{
			name: "a person comes or leaves", given: crew, do: changeGroup("olga", "crew", people("ed", "otto"), people("otto")),
			code: authz.CodeInvalid, says: `otto is in "add" and in "remove"`,
		},
		{
			name: "a change names somebody", given: crew, do: changeGroup("olga", "crew", nil, nil),
			code: authz.CodeInvalid, says: "must name at least one person",
		},
		{
			name: "a group that does not exist has no members", do: changeGroup("olga", "crew", people("ed"), nil),
			code: authz.CodeNotFound,
		},
		{
			name: "nobody joins while they are being removed", given: crew + "offboarding:otto#from@account:o " +
				"offboarding:otto#requested_by@user:olga offboarding:otto#reassign_to@user:ed",
			do:   changeGroup("olga", "crew", people("otto"), nil),
			code: authz.CodeConflict, says: "otto is still being removed",
		},
	})
}

// TestManyPeopleJoinAGroup adds more people to a group than one write can hold, stops after each write, and repeats the
// call.
func TestManyPeopleJoinAGroup(t *testing.T) {
	var add, remove []authz.ID
	for i := range 1200 {
		add, remove = append(add, authz.ID(fmt.Sprint("new", i))), append(remove, authz.ID(fmt.Sprint("old", i)))
	}
	given := txtest.Relationships(t, append(company[:len(company):len(company)], strings.Fields(crew)...)...)
	for _, who := range remove {
		given = append(given, txtest.Relationship(t, "group:crew#member@user:"+string(who)))
	}
	for stop := range 5 {
		store := &stopping{txtest.New(given...), stop}
		store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
		s := operation.New(store, operation.WithClock(store.Now))
		require.ErrorIs(t, changeGroup("olga", "crew", add, remove)(t.Context(), s), errStopped)
		store.writes = 5
		require.NoError(t, changeGroup("olga", "crew", add, remove)(t.Context(), s))
		stored := store.Stored()
		for i := range add {
			require.Contains(t, stored, "group:crew#member@user:"+string(add[i]))
			require.NotContains(t, stored, "group:crew#member@user:"+string(remove[i]))
		}
	}
}

// TestJoiningALargeGroupReadsNoOtherMember adds a person to a group of very many people, and removes one.
func TestJoiningALargeGroupReadsNoOtherMember(t *testing.T) {
	for name, do := range map[string]func(context.Context, *operation.Service) error{
		"add": func(ctx context.Context, s *operation.Service) error {
			_, err := s.AddGroupMember(ctx, by("olga"), "crew", "otto")
			return err
		},
		"remove": func(ctx context.Context, s *operation.Service) error {
			_, err := s.RemoveGroupMember(ctx, by("olga"), "crew", "m7")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			given := append(company[:len(company):len(company)], strings.Fields(crew+lotsOf("group:crew#member@user:m%d"))...)
			store := txtest.New(txtest.Relationships(t, given...)...)
			store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
			crowd := &crowd{stopping: &stopping{store, 1}, t: t}
			require.NoError(t, do(t.Context(), operation.New(crowd, operation.WithClock(store.Now))))
			require.Less(t, crowd.read, 30)
		})
	}
}

// recording is a store that records the preconditions of all writes.
type recording struct {
	*txtest.Store
	preconditions []authz.Precondition
}

func (r *recording) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	r.preconditions = append(r.preconditions, write.Preconditions...)
	return r.Store.Write(ctx, write)
}

// TestDecisionThroughGroupIsAPrecondition performs operations of a person whose roles come from a group. Each write
// must require the role of the group and the person's membership. It must not require anything about groups of which
// the person is not a member.
func TestDecisionThroughGroupIsAPrecondition(t *testing.T) {
	given := strings.Fields(`group:crew#subscription@subscription:s group:crew#member@user:rex
		group:others#subscription@subscription:s group:others#member@user:ed group:elsewhere#member@user:rex
		account:t#user@group:crew#member account:t#guest@group:others#member
		account:o#operator@group:crew#member account:n#editor@group:crew#member`)
	for name, c := range map[string]struct {
		role string
		do   func(context.Context, *operation.Service) error
	}{
		"create an importer": {"account:t#user", func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.CreateImporter(ctx, by("rex"), operation.NewImporter{ID: "new", Account: "t"})
			return err
		}},
		"edit an importer": {"account:t#user", func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.SetImporterEnds(ctx, by("rex"), "leads", operation.ImporterEnds{Source: new(authz.ID(""))})
			return err
		}},
		"delete a connection": {"account:t#user", func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("rex"), authz.Object{Type: "connection", ID: "dwh"})
			return err
		}},
		"give a role":     {"account:n#editor", putMember("rex", "n", "nora", until, "editor")},
		"remove a member": {"account:n#editor", removeMember("rex", "n", "ed")},
		"create in workspace": {"account:o#operator", func(ctx context.Context, s *operation.Service) error {
			part := operation.Part{Type: "flow", ID: "new", Parent: authz.Object{Type: "workspace", ID: "etl"}}
			_, _, err := s.CreatePart(ctx, by("rex"), part)
			return err
		}},
		"give a group a role": {"account:n#editor", func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.PutHolderRoles(ctx, by("rex"), on("account", "n"), groupOf("others"), []string{"editor"}, until)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			store := &recording{Store: txtest.New(txtest.Relationships(t, append(given, company...)...)...)}
			store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
			require.NoError(t, c.do(t.Context(), operation.New(store, operation.WithClock(store.Now))))
			requires := func(r string) authz.Precondition {
				return authz.Precondition{Filter: authz.Exactly(txtest.Relationship(t, r))}
			}
			require.Contains(t, store.preconditions, requires(c.role+"@group:crew#member"))
			require.Contains(t, store.preconditions, requires("group:crew#member@user:rex"))
			require.NotContains(t, store.preconditions, requires("account:t#guest@group:others#member"))
			require.NotContains(t, store.preconditions, requires("group:elsewhere#member@user:rex"))
		})
	}
}
