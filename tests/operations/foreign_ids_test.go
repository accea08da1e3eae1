package operations_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/schema"
)

// foreignPeople are ids that only another tool can have stored: an id with a character '=' that begins no escape, an
// id that begins with a type and a colon, and an id that is too long for a caller.
var foreignPeople = []authz.ID{"stored:bad=zz", "stored:user=3Aed", "stored:" + authz.ID(fmt.Sprintf("%0300d", 7))}

// TestEveryWriteAboutForeignIDsCanBeImported performs operations about objects and people whose ids another tool
// stored. After each write, even one of an interrupted operation, the rules of an import must accept all stored
// relationships.
func TestEveryWriteAboutForeignIDsCanBeImported(t *testing.T) {
	text, err := schema.Flatten()
	require.NoError(t, err)
	text += "\ndefinition page {\n  relation editor: user\n}\n"
	definitions, err := schema.Describe(text)
	require.NoError(t, err)
	base := newEngine(t)
	require.NoError(t, base.ApplySchema(t.Context(), text))
	engine := &importable{Engine: base, t: t, definitions: definitions, acceptForeignIDs: true}
	company(t, operation.New(engine))
	rows := stored(t, base)
	records := make(map[authz.Type]bool)
	const most = 20 // no operation of this test needs more writes
	for i, who := range foreignPeople {
		for name, remove := range foreignRemovals {
			first := 0
			if i > 0 { // interrupt only the operations about the first id
				first = most
			}
			for writes, finished := first, false; !finished; writes++ {
				require.LessOrEqual(t, writes, most, name)
				for _, definition := range definitions {
					_, err := base.DeleteAll(t.Context(), authz.Filter{Type: definition.Type}, nil, nil)
					require.NoError(t, err)
				}
				load(t, base, append(foreignRows(who), rows...))
				err := remove(t, operation.New(&crashing{engine, writes}), who)
				if finished = err == nil; !finished {
					require.ErrorIs(t, err, errCrash, name)
				}
				for record := range recordsOf(t, engine, definitions) {
					records[record] = true
				}
				require.NoError(t, operation.New(engine).Resume(t.Context()), name)
				if err := remove(t, operation.New(engine), who); !errors.Is(err, authz.CodeNotFound) {
					require.NoError(t, err, name)
				}
			}
		}
	}
	for _, record := range []authz.Type{"deletion", "removed_user", "offboarding", "invitation"} {
		require.True(t, records[record], "no write stored a %s with a foreign id", record)
	}
	_, err = operation.New(engine).Delete(t.Context(), by("ada"), object("subscription", "acme"))
	require.NoError(t, err)
}

// foreignRows returns relationships of a person, and of an object of each kind, whose ids are foreign. They follow the
// rules of the product.
func foreignRows(id authz.ID) []authz.Relationship {
	who := authz.Subject{Object: authz.Object{Type: "user", ID: id}}
	of := func(typ authz.Type) authz.Object { return authz.Object{Type: typ, ID: id} }
	subject := func(typ authz.Type, id string) authz.Subject { return authz.Subject{Object: object(typ, id)} }
	rows := []authz.Relationship{
		row(object("subscription", "acme"), "member", who), row(object("account", "team"), "user", who),
		row(object("account", "analytics"), "editor", who), row(object("account", "operations"), "operator", who),
		row(object("workspace", "closed"), "member", who), row(object("connection", "crm"), "shared_with", who),
		row(of("importer"), "account", subject("account", "team")), row(of("importer"), "creator", who),
		row(of("connection"), "account", subject("account", "team")), row(of("connection"), "creator", who),
		row(of("connection"), "connector", subject("connector", "postgres")),
		row(of("report"), "account", subject("account", "analytics")),
		row(of("account"), "subscription", subject("subscription", "acme")),
		row(of("account"), "team", authz.Everybody("user")), row(of("account"), "owner", who),
		row(of("account"), "owner", someone("ada")),
	}
	for i := range 3 {
		rows = append(rows, row(of("page"), "editor", someone(fmt.Sprint("p", i))))
	}
	return append(rows, row(of("page"), "editor", who))
}

// foreignRemovals are operations that remove something with a foreign id, or that a person with such an id performs.
var foreignRemovals = map[string]func(*testing.T, *operation.Service, authz.ID) error{
	"remove from an account": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, err := s.RemoveAccountMember(t.Context(), by("uma"), "team", who)
		return err
	},
	"leave an account": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, err := s.RemoveAccountMember(t.Context(), by(who), "team", who)
		return err
	},
	"set no roles": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, _, err := s.PatchAccountMembers(t.Context(), by("ada"), "team", map[authz.ID][]string{who: {}}, time.Time{})
		return err
	},
	"remove from a subscription": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, err := s.RemoveSubscriptionMember(t.Context(), by("ada"), "acme", who)
		return err
	},
	"leave a subscription": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, err := s.RemoveSubscriptionMember(t.Context(), by(who), "acme", who)
		return err
	},
	"reassign": func(t *testing.T, s *operation.Service, who authz.ID) error {
		to := operation.Handover{To: "uma", Private: "leave"}
		_, _, err := s.HandOverAccountMember(t.Context(), by("ada"), "team", who, to)
		return err
	},
	"reassign in a subscription": func(t *testing.T, s *operation.Service, who authz.ID) error {
		to := operation.Handover{To: "ada", Private: "disconnect"}
		_, _, err := s.HandOverSubscriptionMember(t.Context(), by("ada"), "acme", who, to)
		return err
	},
	"erase": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, err := s.EraseUser(t.Context(), by(""), who)
		return err
	},
	"withdraw what they offered": func(t *testing.T, s *operation.Service, who authz.ID) error {
		_, _, err := s.Invite(t.Context(), by(who), operation.NewInvitation{To: object("account", "team"), Roles: []string{"user"}})
		if err != nil {
			return err
		}
		_, err = s.RemoveAccountMember(t.Context(), by("ada"), "team", who)
		return err
	},
	"delete an importer": func(t *testing.T, s *operation.Service, id authz.ID) error {
		_, err := s.Delete(t.Context(), by(id), authz.Object{Type: "importer", ID: id})
		return err
	},
	"delete a connection": func(t *testing.T, s *operation.Service, id authz.ID) error {
		_, err := s.Delete(t.Context(), by(id), authz.Object{Type: "connection", ID: id})
		return err
	},
	"delete a report": func(t *testing.T, s *operation.Service, id authz.ID) error {
		_, err := s.Delete(t.Context(), by("ada"), authz.Object{Type: "report", ID: id})
		return err
	},
	"delete an account": func(t *testing.T, s *operation.Service, id authz.ID) error {
		_, err := s.Delete(t.Context(), by("ada"), authz.Object{Type: "account", ID: id})
		return err
	},
	"delete relationships": func(t *testing.T, s *operation.Service, id authz.ID) error {
		_, err := s.DeleteRelationships(t.Context(), by(""), authz.Object{Type: "page", ID: id})
		return err
	},
}

// recordsOf returns the product's internal types that have a relationship with a foreign id, or about one.
func recordsOf(t *testing.T, engine authz.Engine, definitions []authz.Definition) map[authz.Type]bool {
	t.Helper()
	found := make(map[authz.Type]bool)
	for _, definition := range definitions {
		for item, err := range engine.Read(t.Context(), authz.Filter{Type: definition.Type}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			if r := item.Relationship; isAboutForeign(r) {
				found[definition.Type] = true
			}
		}
	}
	return found
}

func isAboutForeign(r authz.Relationship) bool {
	return r.Resource.ID.IsForeign() || r.Subject.ID.IsForeign()
}
