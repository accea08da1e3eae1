package operation_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

func TestSharing(t *testing.T) {
	share := func(visibility string, users ...authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.ShareConnection(ctx, by("peter"), "crm", operation.Sharing{Visibility: visibility, Users: users})
			return err
		}
	}
	create := func(account authz.ID, visibility string) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.CreateConnection(ctx, by("peter"), operation.NewConnection{
				ID: "new", Account: account, Connector: "c", Visibility: visibility,
			})
			return err
		}
	}
	runRules(t, []ruleCase{
		{name: "exactly the people named see a private connection", do: share("private", "ursula"), changes: `
				+ connection:crm#shared_with@user:ursula
				- connection:crm#shared_with@user:milton
			`},
		{
			name:  "a member who is named already stays so as a guest, and people without a role go",
			given: "connection:crm#shared_with@user:old", do: share("private", "milton", "ursula"), changes: `
				+ connection:crm#shared_with@user:ursula
				- connection:crm#shared_with@user:old
			`,
		},
		{
			name:  "a person who is named already and holds a role only through a group",
			given: crew + "account:t#user@group:crew#member connection:crm#shared_with@user:ed",
			do:    share("private", "ed"), changes: "- connection:crm#shared_with@user:milton",
		},
		{
			name: "a person with a role only through a group", given: crew + "account:t#user@group:crew#member",
			do: share("private", "ed"), code: authz.CodeInvalid, says: "does not accept ed",
		},
		{
			name: "a guest who is not named yet", given: "account:t#guest@user:nina",
			do: share("private", "milton", "nina"), code: authz.CodeInvalid, says: "does not accept nina",
		},
		{name: "a shared connection names nobody", do: share("shared"), changes: `
				+ connection:crm#shared@account:t
				- connection:crm#shared_with@user:milton
			`},
		{name: "people do not go with shared", do: share("shared", "ursula"), code: authz.CodeInvalid},
		{
			name: "a stranger to the account",
			do:   share("private", "stranger"),
			code: authz.CodeInvalid, says: "stranger",
		},
		{
			name:  "an expired member is a stranger",
			given: "account:t#user@user:old[expiration:2029-01-01T00:00:00Z]",
			do:    share("private", "old"),
			code:  authz.CodeInvalid, says: "old",
		},
		{name: "a team account's connection is private at first", do: create("t", ""), changes: `
				+ connection:new#account@account:t
				+ connection:new#connector@connector:c
				+ connection:new#creator@user:peter
			`},
		{name: "an analytics account's connection is shared", do: create("n", ""), changes: `
				+ connection:new#account@account:n
				+ connection:new#connector@connector:c
				+ connection:new#creator@user:peter
				+ connection:new#shared@account:n
			`},
		{
			name: "an analytics account has no private connections",
			do:   create("n", "private"),
			code: authz.CodeInvalid, says: "private",
		},
		{
			name: "under single_owner there are no private connections",
			do:   create("of-one", "private"),
			code: authz.CodeInvalid, says: "private",
		},
		{
			name: "a connector that the actor may not see", denied: "view@connector:c", do: create("t", ""),
			code: authz.CodeNotFound, says: "connector:c",
		},
		{
			name:  "an id that is taken",
			given: "connection:new#account@account:o",
			do:    create("t", ""),
			code:  authz.CodeConflict, says: "exists",
		},
		{
			name: "an id that is being deleted", given: "deletion:connection/new#requested_by@user:rex", do: create("t", ""),
			code: authz.CodeConflict, says: "still being deleted",
		},
		{
			name: "a connection joins a new group", do: func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.GroupConnection(ctx, by("peter"), "crm", "eu")
				return err
			},
			changes: `
				+ connection:crm#member_of@connection_group:eu
				+ connection_group:eu#account@account:t
			`,
		},
		{
			name: "a group whose id another account uses", given: "connection_group:eu#account@account:n",
			do: func(ctx context.Context, s *operation.Service) error {
				connection, _, err := s.GroupConnection(ctx, by("peter"), "crm", "eu")
				if err == nil && connection.Group != "eu" {
					err = fmt.Errorf("the answer names the group %s", connection.Group)
				}
				return err
			},
			changes: `
				+ connection:crm#member_of@connection_group:eu/47mKTaMaEn1L3m5DAz9muidMqw636xxw7EFAK_YnPdg
				+ connection_group:eu/47mKTaMaEn1L3m5DAz9muidMqw636xxw7EFAK_YnPdg#account@account:t
			`,
		},
	})
}

func TestImporters(t *testing.T) {
	copyTo := func(id authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.CopyImporter(ctx, by("ursula"), "leads", id)
			return err
		}
	}
	setSource := func(source authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.SetImporterEnds(ctx, by("ursula"), "leads", operation.ImporterEnds{Source: &source})
			return err
		}
	}
	runRules(t, []ruleCase{
		{name: "a copy takes along the connections that the actor may use", do: copyTo("copy"), changes: `
				+ importer:copy#account@account:t
				+ importer:copy#creator@user:ursula
				+ importer:copy#destination@connection:dwh
				+ importer:copy#source@connection:crm
			`},
		{
			name:   "a copy leaves out a connection that the actor may not use",
			denied: "use@connection:crm",
			do:     copyTo("copy"),
			changes: `
				+ importer:copy#account@account:t
				+ importer:copy#creator@user:ursula
				+ importer:copy#destination@connection:dwh
			`,
		},
		{
			name:   "a copy leaves out a hidden connection",
			denied: "view@connection:crm use@connection:crm",
			do:     copyTo("copy"),
			changes: `
				+ importer:copy#account@account:t
				+ importer:copy#creator@user:ursula
				+ importer:copy#destination@connection:dwh
			`,
		},
		{
			name:   "an importer that the actor may not see",
			denied: "view@importer:leads",
			do:     copyTo("copy"),
			code:   authz.CodeNotFound,
		},
		{name: "a copy needs a free id", do: copyTo("leads"), code: authz.CodeConflict, says: "exists"},
		{name: "a source is replaced", do: setSource("dwh"), changes: `
				+ importer:leads#source@connection:dwh
				- importer:leads#source@connection:crm
			`},
		{name: "a source is taken away", do: setSource(""), changes: `
				- importer:leads#source@connection:crm
			`},
		{
			name:   "a source that the actor may not use",
			denied: "use@connection:dwh",
			do:     setSource("dwh"),
			code:   authz.CodeForbidden,
		},
		{
			name:   "a source that the actor may not see",
			denied: "view@connection:dwh use@connection:dwh",
			do:     setSource("dwh"),
			code:   authz.CodeNotFound,
		},
		{
			name:  "a source of another account",
			given: "connection:far#account@account:n",
			do:    setSource("far"),
			code:  authz.CodeInvalid,
		},
	})
}

func TestWorkspaces(t *testing.T) {
	access := func(in operation.Access) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.SetWorkspaceAccess(ctx, by("olga"), "etl", in)
			return err
		}
	}
	create := func(account authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.CreateWorkspace(ctx, by("olga"), operation.NewWorkspace{ID: "new", Account: account, Access: operation.Access{Open: true}})
			return err
		}
	}
	runRules(t, []ruleCase{
		{name: "an open workspace names nobody", do: access(operation.Access{Open: true}), changes: `
				+ workspace:etl#open@account:o
				- workspace:etl#member@user:otto
			`},
		{name: "nobody but administrators enters", do: access(operation.Access{}), changes: `
				- workspace:etl#member@user:otto
			`},
		{
			name: "people do not go with open",
			do:   access(operation.Access{Open: true, Users: []authz.ID{"otto"}}),
			code: authz.CodeInvalid,
		},
		{
			name: "a stranger to the account",
			do:   access(operation.Access{Users: []authz.ID{"peter"}}),
			code: authz.CodeInvalid, says: "peter",
		},
		{name: "an operations account has workspaces", do: create("o"), changes: `
				+ workspace:new#account@account:o
				+ workspace:new#open@account:o
			`},
		{name: "a team account has none", do: create("t"), code: authz.CodeInvalid, says: "team"},
	})
}

func TestCreations(t *testing.T) {
	account := func(in operation.NewAccount) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.CreateAccount(ctx, by("olga"), in)
			return err
		}
	}
	part := func(typ authz.Type, in authz.Object) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.CreatePart(ctx, by("olga"), operation.Part{Type: typ, ID: "new", Parent: in})
			return err
		}
	}
	runRules(t, []ruleCase{
		{
			name: "the creator of an account gets its first role", do: account(operation.NewAccount{ID: "new", Subscription: "s", RoleSet: "team"}),
			changes: `
				+ account:new#owner@user:olga
				+ account:new#subscription@subscription:s
				+ account:new#team@service_account:*
				+ account:new#team@user:*
			`,
		},
		{
			name: "under single_owner the creator gets no role", do: account(operation.NewAccount{ID: "new", Subscription: "one", RoleSet: "team"}),
			changes: `
				+ account:new#subscription@subscription:one
				+ account:new#team@service_account:*
				+ account:new#team@user:*
			`,
		},
		{
			name: "an unknown role set", do: account(operation.NewAccount{ID: "new", Subscription: "s", RoleSet: "teams"}), code: authz.CodeInvalid,
			says: "team",
		},
		{
			name: "a role set of subscriptions", do: account(operation.NewAccount{ID: "new", Subscription: "s", RoleSet: "multi_owner"}),
			code: authz.CodeInvalid,
		},
		{
			name: "an id that another tool stored", do: account(operation.NewAccount{ID: "stored:a=zz", Subscription: "s", RoleSet: "team"}),
			code: authz.CodeInvalid,
		},
		{name: "a flow in a workspace", do: part("flow", authz.Object{Type: "workspace", ID: "etl"}), changes: `
				+ flow:new#workspace@workspace:etl
			`},
		{
			name: "a flow in an account",
			do:   part("flow", authz.Object{Type: "account", ID: "o"}),
			code: authz.CodeInvalid,
		},
		{
			name: "an importer is no part",
			do:   part("importer", authz.Object{Type: "account", ID: "t"}),
			code: authz.CodeInvalid,
		},
		{
			name: "a part needs its permission", denied: "create_export@account:n", do: part("export", authz.Object{Type: "account", ID: "n"}),
			code: authz.CodeForbidden, says: "create_export",
		},
	})
}

func TestDeletions(t *testing.T) {
	remove := func(typ authz.Type, id authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: typ, ID: id})
			return err
		}
	}
	runRules(t, []ruleCase{
		{name: "a connection is taken from its importers", do: remove("connection", "crm"), changes: `
				+ deletion:connection/crm#done@user:olga for 24h0m0s
				- connection:crm#account@account:t
				- connection:crm#connector@connector:c
				- connection:crm#creator@user:peter
				- connection:crm#shared_with@user:milton
				- importer:leads#source@connection:crm
			`},
		{name: "an account with all that is in it", do: remove("account", "t"), changes: `
				+ deletion:account/t#done@user:olga for 24h0m0s
				- account:t#guest@user:milton
				- account:t#owner@user:olga
				- account:t#subscription@subscription:s
				- account:t#team@user:*
				- account:t#user@user:peter
				- account:t#user@user:ursula
				- connection:crm#account@account:t
				- connection:crm#connector@connector:c
				- connection:crm#creator@user:peter
				- connection:crm#shared_with@user:milton
				- connection:dwh#account@account:t
				- connection:dwh#connector@connector:c
				- connection:dwh#creator@user:peter
				- connection:dwh#shared@account:t
				- importer:leads#account@account:t
				- importer:leads#creator@user:peter
				- importer:leads#destination@connection:dwh
				- importer:leads#source@connection:crm
			`},
		{name: "an account that made members", do: remove("account", "n"), changes: `
				+ deletion:account/n#done@user:olga for 24h0m0s
				- account:n#analytics@user:*
				- account:n#editor@user:ed
				- account:n#subscription@subscription:s
				- membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
				- subscription:s#member@user:ed
			`},
		{
			name:   "a hidden object",
			denied: "view@connection:crm",
			do:     remove("connection", "crm"),
			code:   authz.CodeNotFound,
		},
		{
			name:   "without the permission",
			denied: "disconnect@connection:crm",
			do:     remove("connection", "crm"),
			code:   authz.CodeForbidden, says: "disconnect",
		},
		{
			name: "a repeated call finds that it was done", without: "importer:leads#source@connection:crm",
			given:  "deletion:connection/gone#done@user:olga[expiration:2030-01-02T00:00:00Z]",
			denied: "view@connection:gone", do: remove("connection", "gone"),
		},
		{
			name: "somebody else's repeated call does not", given: "deletion:connection/gone#done@user:rex[expiration:2030-01-02T00:00:00Z]",
			denied: "view@connection:gone", do: remove("connection", "gone"), code: authz.CodeNotFound,
		},
	})
}
