package operation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// offerOf returns an open invitation of nina to a place that offers a role, custom or built-in. The inviter is olga.
func offerOf(place authz.Object, role string) string {
	const until = "[expiration:2030-01-08T12:00:00Z] "
	return "invitation:h#place@" + place.String() + until + "invitation:h#inviter@user:olga" + until +
		"invitation:h#invitee@user:nina" + until + "invitation:h#role@" + role + until +
		"invitee:nina#latest@invitation:h[expiration:2030-01-02T12:00:00Z] "
}

// withdrawnOffer returns the lines of a change that withdraws the invitation of offerOf.
func withdrawnOffer(place authz.Object, role string) string {
	return strings.NewReplacer("[PLACE]", place.String(), "[ROLE]", role).Replace(`
		- invitation:h#invitee@user:nina for 168h0m0s
		- invitation:h#inviter@user:olga for 168h0m0s
		- invitation:h#place@[PLACE] for 168h0m0s
		- invitation:h#role@[ROLE] for 168h0m0s
		- invitee:nina#latest@invitation:h for 24h0m0s
	`)
}

// sortedLines returns the lines of texts, without the space around them: first the lines that begin with +, then those
// that begin with -.
func sortedLines(texts ...string) string {
	return strings.Join(slices.Sorted(slices.Values(lines(strings.Join(texts, "\n")))), "\n")
}

// TestRulesOfReplacingOfferedRoles checks that an open invitation to a custom role limits edits as a holder does.
func TestRulesOfReplacingOfferedRoles(t *testing.T) {
	auditor := definedRole(inT, "s", "auditor", 1, "account.view_usage", "importer.view")
	clerk := definedRole(inOne, "one", "clerk", 1, "importer.view")
	temp := "account:t#user@user:temp[expiration:2031-01-01T00:00:00Z] "
	limited := "as_subscription_owner@account:t as_platform_administrator@account:t"
	offered := offerOf(inT, "custom_role:s/auditor")
	version := func(role string) string {
		_, after, _ := strings.Cut(role, "#version@")
		return strings.Fields(after)[0]
	}
	edited := func(from, to, changes string) string {
		const role = "custom_role:s/auditor#version@"
		return sortedLines(changes, "+ "+role+version(to), "- "+role+version(from))
	}
	more := definedRole(inT, "s", "auditor", 1, "account.view_usage", "importer.view", "importer.run")
	addsRun := edited(auditor, more, `
		+ custom_role:s/auditor#importer_run@service_account:*
		+ custom_role:s/auditor#importer_run@user:*
	`)
	runRules(t, []ruleCase{
		{
			name: "an administrator until a date cannot add permissions", given: auditor + temp + offered, denied: limited,
			do:   replaceRole("temp", inT, "auditor", nil, "account.view_usage", "importer.view", "importer.run"),
			code: authz.CodeForbidden,
			says: `so temp cannot add permissions to the role "auditor", which an open invitation offers`,
		},
		{
			name: "an administrator until a date removes permissions", given: auditor + temp + offered, denied: limited,
			do: replaceRole("temp", inT, "auditor", nil, "importer.view"),
			changes: edited(auditor, definedRole(inT, "s", "auditor", 1, "importer.view"), `
				- custom_role:s/auditor#account_view_usage@service_account:*
				- custom_role:s/auditor#account_view_usage@user:*
			`),
		},
		{
			name: "an administrator without a date adds permissions", given: auditor + offered,
			do:      replaceRole("olga", inT, "auditor", nil, "account.view_usage", "importer.view", "importer.run"),
			changes: addsRun,
		},
		{
			name:  "an invitation to the role of another subscription with the same id",
			given: auditor + temp + offerOf(inOne, "custom_role:one/auditor"), denied: limited,
			do:      replaceRole("temp", inT, "auditor", nil, "account.view_usage", "importer.view", "importer.run"),
			changes: addsRun,
		},
		{
			name:  "an expired invitation",
			given: auditor + temp + "invitation:h#role@custom_role:s/auditor[expiration:2030-01-01T11:00:00Z]", denied: limited,
			do:      replaceRole("temp", inT, "auditor", nil, "account.view_usage", "importer.view", "importer.run"),
			changes: addsRun,
		},
		{
			name:   "a business administrator cannot add what they lack",
			given:  clerk + offerOf(inOne, "custom_role:one/clerk"),
			denied: "invite_owner@subscription:one",
			do:     replaceRole("rex", inOne, "clerk", nil, "importer.view", "importer.run"), code: authz.CodeForbidden,
			says: `so rex cannot add permissions to the role "clerk", which an open invitation offers`,
		},
		{
			name:   "an invitation to an account offers a role of the subscription",
			given:  clerk + offerOf(authz.Object{Type: "account", ID: "of-one"}, "custom_role:one/clerk"),
			denied: "invite_owner@subscription:one",
			do:     replaceRole("rex", inOne, "clerk", nil, "importer.view", "importer.run"), code: authz.CodeForbidden,
			says: "which an open invitation offers",
		},
	})
}

// TestRulesOfDeletingOfferedRoles checks that the deletion of a custom role withdraws the open invitations that offer
// it, and no others.
func TestRulesOfDeletingOfferedRoles(t *testing.T) {
	auditor := definedRole(inT, "s", "auditor", 1, "account.view_usage")
	top := definedRole(inS, "s", "top", 1, "account.view_usage")
	done := func(id string) string { return "+ deletion:custom_role/s/" + id + "#done@user:olga for 24h0m0s\n" }
	runRules(t, []ruleCase{
		{
			name: "an offered role", given: auditor + offerOf(inT, "custom_role:s/auditor"),
			do:      deleteRole("olga", inT, "auditor", false),
			changes: done("auditor") + change("-", auditor) + withdrawnOffer(inT, "custom_role:s/auditor"),
		},
		{
			name:  "an offered role that somebody holds",
			given: auditor + given("s", "auditor", inT, "user:milton") + offerOf(inT, "custom_role:s/auditor"),
			do:    deleteRole("olga", inT, "auditor", true),
			changes: sortedLines(done("auditor"), change("-", auditor, given("s", "auditor", inT, "user:milton")),
				withdrawnOffer(inT, "custom_role:s/auditor")),
		},
		{
			name: "a role of the subscription", given: top + offerOf(inT, "custom_role:s/top"),
			do:      deleteRole("olga", inS, "top", false),
			changes: done("top") + change("-", top) + withdrawnOffer(inT, "custom_role:s/top"),
		},
		{
			name: "other invitations stay", given: auditor + offerOf(inT, "role:user"),
			do:      deleteRole("olga", inT, "auditor", false),
			changes: done("auditor") + change("-", auditor),
		},
		{
			name:    "an invitation of a holder stays",
			given:   auditor + given("s", "auditor", inT, "user:nina") + offerOf(inT, "role:user"),
			do:      deleteRole("olga", inT, "auditor", true),
			changes: done("auditor") + change("-", auditor, given("s", "auditor", inT, "user:nina")),
		},
	})
}

// TestOfferedCustomRoles checks what an invitation to custom roles stores, and the answer of its acceptance.
func TestOfferedCustomRoles(t *testing.T) {
	stored := feature + definedRole(inT, "s", "auditor", 1, "account.view_usage") +
		definedRole(inS, "s", "top", 1, "account.view_usage")
	for name, place := range map[string]authz.Object{"an account": inT, "a subscription": inS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newCompany(t, stored)
			s := operation.New(store, operation.WithClock(store.Now))
			invite := func(roles ...string) operation.Invitation {
				sent, _, err := s.Invite(t.Context(), by("olga"), operation.NewInvitation{
					To: place, Invitee: "nina", Roles: roles,
				})
				require.NoError(t, err)
				return sent
			}
			sent := invite("top")
			require.Contains(t, store.Stored(), "invitation:"+string(sent.Handle)+"#role@custom_role:s/top for 168h0m0s")
			listed, _, err := s.Invitations(t.Context(), by("olga"), place, operation.Page{})
			require.NoError(t, err)
			require.Equal(t, operation.Roles{"top"}, listed.Invitations[0].Roles)

			accepted, _, err := s.AcceptInvitation(t.Context(), by("nina"), sent.ID)
			require.NoError(t, err)
			require.Equal(t, operation.Roles{"top"}, accepted.Roles)
			requireNone(t, store, "#role@custom_role:s/top for")
			again, _, err := s.AcceptInvitation(t.Context(), by("nina"), sent.ID)
			require.NoError(t, err)
			require.Equal(t, accepted, again)

			if place == inT {
				accepted, _, err = s.AcceptInvitation(t.Context(), by("nina"), invite("user", "auditor").ID)
				require.NoError(t, err)
				require.Equal(t, operation.Roles{"user", "auditor", "top"}, accepted.Roles)
			}
		})
	}
}

// TestInvitationsDoNotOfferRolesCreatedAgain deletes an offered role, and creates another one with the same id.
func TestInvitationsDoNotOfferRolesCreatedAgain(t *testing.T) {
	t.Parallel()
	store := newCompany(t, feature+definedRole(inT, "s", "auditor", 1, "account.view_usage"))
	s := operation.New(store, operation.WithClock(store.Now))
	sent, _, err := s.Invite(
		t.Context(), by("olga"), operation.NewInvitation{To: inT, Invitee: "nina", Roles: []string{"user", "auditor"}},
	)
	require.NoError(t, err)
	require.NoError(t, deleteRole("olga", inT, "auditor", true)(t.Context(), s))
	require.NoError(t, createRole("olga", inT, "auditor", "", "importer.delete")(t.Context(), s))
	_, _, err = s.AcceptInvitation(t.Context(), by("nina"), sent.ID)
	require.ErrorIs(t, err, authz.CodeNotFound)
	requireNone(t, store, "@user:nina", "invitation:")
}

// TestConcurrentOfferStopsAnEdit invites nina to a role while an administrator until a date adds permissions to it.
func TestConcurrentOfferStopsAnEdit(t *testing.T) {
	t.Parallel()
	store := newCompany(t, feature+definedRole(inT, "s", "auditor", 1, "account.view_usage")+
		"account:t#user@user:temp[expiration:2031-01-01T00:00:00Z]")
	store.Allow = func(check authz.Check) bool {
		return check.Permission != "as_subscription_owner" && check.Permission != "as_platform_administrator"
	}
	s := operation.New(store, operation.WithClock(store.Now))
	store.BeforeWrite = func() {
		store.BeforeWrite = nil
		_, _, err := s.Invite(t.Context(), by("olga"), operation.NewInvitation{
			To: inT, Invitee: "nina", Roles: []string{"auditor"},
		})
		require.NoError(t, err)
	}
	err := replaceRole("temp", inT, "auditor", nil, "account.view_usage", "importer.run")(t.Context(), s)
	require.ErrorIs(t, err, authz.CodeForbidden)
	require.ErrorContains(t, err, "which an open invitation offers")
}
