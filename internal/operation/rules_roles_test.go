package operation_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

var forever time.Time

func TestRoleChanges(t *testing.T) {
	runRules(t, []ruleCase{
		{
			name: "a role is replaced where one is allowed", do: putMember("olga", "t", "milton", forever, "user"),
			changes: `
				+ account:t#user@user:milton
				- account:t#guest@user:milton
			`,
		},
		{
			name: "the same role again changes nothing", do: putMember("olga", "t", "peter", forever, "user"),
		},
		{
			name: "an unknown role", do: putMember("olga", "t", "peter", forever, "editr"),
			code: authz.CodeInvalid, says: `editr`,
		},
		{
			name: "two base roles where one is allowed", do: putMember("olga", "t", "peter", forever, "user", "guest"),
			code: authz.CodeInvalid,
		},
		{
			name: "no role", do: putMember("olga", "t", "peter", forever), code: authz.CodeInvalid, says: "DELETE",
		},
		{
			name: "an additional role alone", do: putMember("olga", "o", "nina", forever, "flow_author"), code: authz.CodeInvalid,
		},
		{
			name: "an additional role beside a base role", do: putMember("olga", "o", "otto", forever, "operator", "flow_author"),
			changes: `
				+ account:o#flow_author@user:otto
			`,
		},
		{
			name: "inviting gives the default role", denied: "assign_roles@account:t", do: putMember("peter", "t", "nina", forever, "user"),
			changes: `
				+ account:t#user@user:nina
			`,
		},
		{
			name: "inviting gives no other role", denied: "assign_roles@account:t", do: putMember("peter", "t", "nina", forever, "guest"),
			code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "inviting changes no role", denied: "assign_roles@account:t", do: putMember("peter", "t", "milton", forever, "user"),
			code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "a change of roles withdraws an offer of more", do: putMember("olga", "t", "nina", forever, "guest"),
			given: invitation + "account:t#user@user:nina", changes: `
				+ account:t#guest@user:nina
				- account:t#user@user:nina
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
				- invitee:nina#latest@invitation:h for 24h0m0s
			`,
		},
		{
			name: "a first role withdraws an offer of more", given: invitation,
			do: patchMembers("olga", "t", forever, map[authz.ID][]string{"nina": {"guest"}}), changes: `
				+ account:t#guest@user:nina
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
				- invitee:nina#latest@invitation:h for 24h0m0s
			`,
		},
		{
			name: "a role that includes the offered one withdraws nothing", given: invitation,
			do: putMember("olga", "t", "nina", forever, "owner"), changes: `
				+ account:t#owner@user:nina
			`,
		},
		{
			name: "a change on another account withdraws nothing", given: invitation + "subscription:s#dashboards@user:*",
			do: putMember("olga", "n", "nina", forever, "report_user"), changes: `
				+ account:n#report_user@user:nina
			`,
		},
		{
			name: "a change on a subscription withdraws an offer of more",
			given: `
				subscription:one#business_admin@user:nina
				invitation:h#place@subscription:one[expiration:2030-01-08T12:00:00Z]
				invitation:h#inviter@user:uma[expiration:2030-01-08T12:00:00Z]
				invitation:h#invitee@user:nina[expiration:2030-01-08T12:00:00Z]
				invitation:h#role@role:business_admin[expiration:2030-01-08T12:00:00Z]
			`,
			do: func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.PutSubscriptionMember(ctx, by("uma"), "one", "nina", []string{"read_only"})
				return err
			},
			changes: `
				+ subscription:one#read_only@user:nina
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:uma for 168h0m0s
				- invitation:h#place@subscription:one for 168h0m0s
				- invitation:h#role@role:business_admin for 168h0m0s
				- subscription:one#business_admin@user:nina
			`,
		},
		{
			name: "a person removed within a day is not invited again", denied: "assign_roles@account:t",
			given: "removed_user:nina#from@account:t[expiration:2030-01-02T00:00:00Z]",
			do:    putMember("peter", "t", "nina", forever, "user"), code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "a removal more than a day ago does not count", denied: "assign_roles@account:t",
			given: "removed_user:nina#from@account:t[expiration:2030-01-01T12:00:00Z]",
			do:    putMember("peter", "t", "nina", forever, "user"), changes: `
				+ account:t#user@user:nina
			`,
		},
		{
			name: "a hidden account does not exist", denied: "view@account:t", do: putMember("rex", "t", "nina", forever, "user"),
			code: authz.CodeNotFound, says: "there is no account:t",
		},
		{
			name: "several people at once", do: patchMembers("olga", "t", forever, map[authz.ID][]string{
				"peter": {"guest"}, "nina": {"user"}, "milton": {},
			}),
			changes: `
				+ account:t#guest@user:peter
				+ account:t#user@user:nina
				- account:t#guest@user:milton
				- account:t#user@user:peter
				- connection:crm#shared_with@user:milton
			`,
		},
		{
			name: "several people, one of them wrongly", do: patchMembers("olga", "t", forever, map[authz.ID][]string{
				"peter": {"guest"}, "nina": {"editor"},
			}),
			code: authz.CodeInvalid, says: "members.nina",
		},
		{
			name: "a role on an analytics account makes a member", do: putMember("olga", "n", "nina", forever, "editor"),
			changes: `
				+ account:n#editor@user:nina
				+ membership:nina/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
				+ subscription:s#member@user:nina
			`,
		},
		{
			name: "a role with an end makes no member", do: putMember("olga", "n", "nina", until, "editor"), changes: `
				+ account:n#editor@user:nina for 2h0m0s
			`,
		},
		{
			name: "roles on several accounts at once", do: func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "peter", map[authz.ID][]string{"t": {}, "o": {"operator"}}, forever)
				return err
			},
			changes: `
				+ account:o#operator@user:peter
				- account:t#user@user:peter
			`,
		},
		{
			name: "roles on an account of another subscription", do: func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "peter", map[authz.ID][]string{"of-one": {"user"}}, forever)
				return err
			},
			code: authz.CodeInvalid, says: "account:of-one does not belong to subscription:s",
		},
	})
}

func TestRequiredRoles(t *testing.T) {
	runRules(t, []ruleCase{
		{
			name: "the last owner of an account is not removed", do: removeMember("olga", "t", "olga"),
			code: authz.CodeConflict, says: "this would remove the last owner or administrator of account t",
		},
		{
			name: "the last owner of an account is not demoted", do: putMember("olga", "t", "olga", forever, "user"), code: authz.CodeConflict,
		},
		{
			name: "one of two owners leaves", given: "account:t#owner@user:peter", without: "account:t#user@user:peter",
			do: removeMember("olga", "t", "olga"), changes: `
				+ deletion:membership/account/t#done@user:olga for 24h0m0s
				+ removed_user:olga#from@account:t for 24h0m0s
				- account:t#owner@user:olga
			`,
		},
		{
			name: "two owners are not demoted at once", given: "account:t#owner@user:peter", without: "account:t#user@user:peter",
			do: patchMembers("olga", "t", forever, map[authz.ID][]string{"olga": {"user"}, "peter": {}}), code: authz.CodeConflict,
		},
		{
			name: "an owner hands over in one patch",
			do:   patchMembers("olga", "t", forever, map[authz.ID][]string{"olga": {"user"}, "peter": {"owner"}}), changes: `
				+ account:t#owner@user:peter
				+ account:t#user@user:olga
				- account:t#owner@user:olga
				- account:t#user@user:peter
			`,
		},
		{
			name: "an expired owner does not count", given: "account:t#owner@user:old[expiration:2029-01-01T00:00:00Z]",
			do: removeMember("olga", "t", "olga"), code: authz.CodeConflict,
		},
		{
			name: "an account under single_owner needs no owner", given: "account:of-one#owner@user:ivan", without: "account:of-one#user@user:ivan",
			do: removeMember("uma", "of-one", "ivan"), changes: `
				- account:of-one#owner@user:ivan
			`,
		},
		{
			name: "an analytics account needs nobody", do: removeMember("olga", "n", "ed"), changes: `
				+ removed_user:ed#from@account:n for 24h0m0s
				- account:n#editor@user:ed
				- membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
				- subscription:s#member@user:ed
			`,
		},
		{
			name: "the last owner of a subscription does not leave", do: removeSubscriptionMember("olga", "s", "olga"), code: authz.CodeConflict,
			says: "last owner",
		},
		{
			name: "the last owner of a subscription stays owner", do: putSubscriptionMember("olga", "s", "olga", "member"),
			code: authz.CodeConflict, says: "last owner",
		},
		{
			name: "nobody takes ownership from another", given: "subscription:s#owner@user:nina",
			do: putSubscriptionMember("olga", "s", "nina", "member"), code: authz.CodeForbidden,
		},
		{
			name: "the one owner is not removed", do: removeSubscriptionMember("root", "one", "uma"), code: authz.CodeConflict, says: "transfer",
		},
		{
			name: "the one owner gets no second", do: putSubscriptionMember("uma", "one", "ivan", "owner"), code: authz.CodeConflict, says: "transfer",
		},
		{
			name: "ownership is transferred", do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.TransferSubscription(ctx, by("uma"), "one", "ivan")
				return err
			},
			changes: `
				+ subscription:one#owner@user:ivan
				- subscription:one#owner@user:uma
			`,
		},
		{
			name: "the backend adds an owner with a reason", do: func(ctx context.Context, s *operation.Service) error {
				caller := by("")
				caller.Reason = "the owner left the company"
				_, _, err := s.PutSubscriptionMember(ctx, caller, "s", "nina", []string{"owner"})
				return err
			},
			changes: `
				+ subscription:s#owner@user:nina
			`,
		},
		{
			name: "the backend adds no owner without a reason", do: putSubscriptionMember("", "s", "nina", "owner"), code: authz.CodeInvalid, says: "reason",
		},
	})
}

func TestExpiringRoles(t *testing.T) {
	const hour = "account:t#user@user:temp[expiration:2030-01-01T13:00:00Z]"
	runRules(t, []ruleCase{
		{name: "a role with an end", do: putMember("olga", "t", "nina", until, "user"), changes: `
				+ account:t#user@user:nina for 2h0m0s
			`},
		{
			name: "an end in the past",
			do:   putMember("olga", "t", "nina", now.Add(-time.Second), "user"),
			code: authz.CodeInvalid,
		},
		{name: "an owner never ends", do: putMember("olga", "t", "nina", until, "owner"), code: authz.CodeInvalid},
		{name: "the end is moved", given: hour, do: putMember("olga", "t", "temp", until, "user"), changes: `
				+ account:t#user@user:temp for 2h0m0s
				- account:t#user@user:temp for 1h0m0s
			`},
		{
			name:  "the end is taken away",
			given: hour,
			do:    putMember("olga", "t", "temp", forever, "user"),
			changes: `
				+ account:t#user@user:temp
				- account:t#user@user:temp for 1h0m0s
			`,
		},
		{
			name: "a person with an end grants until then", given: hour, denied: "assign_roles@account:t as_subscription_owner@account:t as_platform_administrator@account:t",
			do: putMember("temp", "t", "nina", forever, "user"), changes: `
				+ account:t#user@user:nina for 1h0m0s
			`,
		},
		{
			name: "a person with an end grants nothing longer", given: hour, denied: "assign_roles@account:t as_subscription_owner@account:t as_platform_administrator@account:t",
			do: putMember("temp", "t", "nina", until, "user"), code: authz.CodeForbidden,
		},
	})
}

func TestFeatures(t *testing.T) {
	putFeatures := func(names ...string) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.PutFeatures(ctx, by(""), "s", names)
			return err
		}
	}
	runRules(t, []ruleCase{
		{
			name: "a role needs its feature", do: putMember("olga", "n", "nina", forever, "viewer"), code: authz.CodeFeatureRequired,
			says: "user_permissions",
		},
		{
			name: "with the feature the role is given", given: "subscription:s#user_permissions@user:*",
			without: "subscription:s#members_create_accounts@user:*", do: putMember("olga", "n", "nina", forever, "viewer"), changes: `
				+ account:n#viewer@user:nina
				+ membership:nina/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
				+ subscription:s#member@user:nina
			`,
		},
		{
			name: "a role that is held stays without its feature", given: "account:n#report_user@user:rex",
			do: putMember("olga", "n", "rex", forever, "report_user"),
		},
		{name: "user permissions end that members create accounts", do: putFeatures("user_permissions"), changes: `
				+ subscription:s#user_permissions@user:*
				- subscription:s#members_create_accounts@user:*
			`},
		{name: "all features", do: putFeatures("user_permissions", "dashboards"), changes: `
				+ subscription:s#dashboards@user:*
				+ subscription:s#user_permissions@user:*
				- subscription:s#members_create_accounts@user:*
			`},
		{name: "an unknown feature", do: putFeatures("reporting"), code: authz.CodeInvalid, says: "reporting"},
	})
}
