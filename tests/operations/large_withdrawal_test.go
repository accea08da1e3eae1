package operations_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// inviteMany stores n open invitations of a person to a place, and returns their ids, which start with a prefix.
// Every second one is for everybody. The others are for guest0, guest1 and so on.
func inviteMany(
	t *testing.T, engine authz.Engine, prefix string, to authz.Object, inviter authz.ID, role string, n int,
) []string {
	t.Helper()
	var write authz.Write
	flush := func() {
		_, err := engine.Write(t.Context(), write)
		require.NoError(t, err)
		write.Updates = nil
	}
	ids := make([]string, n)
	for i := range n {
		ids[i] = fmt.Sprint(prefix, i)
		sum := sha256.Sum256([]byte(ids[i]))
		object := authz.Object{Type: "invitation", ID: authz.ID(base64.RawURLEncoding.EncodeToString(sum[:]))}
		invitee := authz.Everybody("user")
		if i%2 == 0 {
			invitee = parse(t, fmt.Sprintf("account:team#user@user:guest%d", i)).Subject
		}
		for relation, subject := range map[authz.Relation]authz.Subject{
			"place": {Object: to}, "inviter": {Object: authz.Object{Type: "user", ID: inviter}}, "invitee": invitee,
			"role": {Object: authz.Object{Type: "role", ID: authz.ID(role)}},
		} {
			row := authz.Relationship{
				Resource: object, Relation: relation, Subject: subject, ExpiresAt: time.Now().Add(time.Hour),
			}
			write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: row})
		}
		if len(write.Updates)+4 > authz.MaxUpdates {
			flush()
		}
	}
	flush()
	return ids
}

// invited returns the place of each stored invitation.
func invited(t *testing.T, engine authz.Engine) (places []string) {
	t.Helper()
	seen := make(map[authz.ID]bool)
	for item, err := range engine.Read(t.Context(), authz.Filter{Type: "invitation"}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		r := item.Relationship
		if r.Relation == "place" {
			places = append(places, r.Subject.String())
		}
		seen[r.Resource.ID] = true
	}
	require.Len(t, places, len(seen), "nothing is stored of an invitation that is deleted")
	slices.Sort(places)
	return places
}

// TestRemovalWithdrawsManyInvitations removes a person who made more invitations than one write deletes, by every
// operation that removes people. The first write closes all of them. If the rest is interrupted, the same call or the
// next start deletes them.
func TestRemovalWithdrawsManyInvitations(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	team := authz.Object{Type: "account", ID: "team"}
	for i, removal := range removals {
		t.Run(removal.name, func(t *testing.T) {
			storeAll(t, engine, []string{
				"subscription:acme#member@user:sam", "account:team#user@user:sam", "account:operations#operator@user:sam",
				"account:other#subscription@subscription:acme", "account:other#team@user:*", "account:other#owner@user:ada", "account:team#user@user:eve",
			})
			n := 260
			if i == 0 {
				n = testsize.Of(520, 1200) // their deletion needs several writes
			}
			ids := inviteMany(t, engine, removal.name, team, "sam", "user", n)
			inviteMany(t, engine, "other "+removal.name, authz.Object{Type: "account", ID: "other"}, "sam", "user", 1)
			toSam, _, err := s.Invite(t.Context(), by("ada"), operation.NewInvitation{To: team, Invitee: "sam", Roles: []string{"owner"}})
			require.NoError(t, err)

			require.ErrorIs(t, removal.perform(t.Context(), operation.New(&crashing{engine, 1})), errCrash)
			accept := func(id string, who authz.ID) {
				_, _, err := s.AcceptInvitation(t.Context(), by(who), id)
				require.ErrorIs(t, err, authz.CodeNotFound, "%s accepts %s", who, id)
				_, err = s.DeclineInvitation(t.Context(), by(who), id)
				require.ErrorIs(t, err, authz.CodeNotFound, "%s declines %s", who, id)
			}
			requireClosed := func() {
				accept(ids[0], "guest0")
				accept(ids[n/2], authz.ID(fmt.Sprint("guest", n/2)))
				accept(ids[n-1], "anybody")
				accept(toSam.ID, "sam")
			}
			requireClosed()
			require.NotEmpty(t, departing(t, engine), "closing invitations is no reason to finish the removal")
			open, _, err := s.Invitations(t.Context(), by("ada"), team, operation.Page{Limit: 1000})
			require.NoError(t, err)
			require.Empty(t, open.Invitations)

			finish(t, engine, removal, i%2 == 0)
			requireClosed()
			want := []string{"account:other"}
			if removal.keeps == nil || !removal.keeps("account:other#user@user:sam") {
				want = nil
			}
			require.Equal(t, want, invited(t, engine))
			require.Empty(t, departing(t, engine))
			_, err = s.EraseUser(t.Context(), by(""), "sam")
			require.NoError(t, err)
		})
	}
}

// TestWithdrawalDelaysNewInvitations invites while the invitations to and by a person are being withdrawn. The new
// invitation must wait until the withdrawal has ended. Then it must be open.
func TestWithdrawalDelaysNewInvitations(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	team := authz.Object{Type: "account", ID: "team"}
	for invitee, inviter := range map[authz.ID]authz.ID{"sam": "ada", "nina": "sam"} {
		// Owners of the subscription may invite without a role on the account.
		storeAll(t, engine, []string{"subscription:acme#owner@user:sam", "account:team#user@user:sam"})
		inviteMany(t, engine, string(inviter), team, "sam", "user", 260)
		_, err := operation.New(&crashing{engine, 1}).RemoveAccountMember(ctx, by("sam"), "team", "sam")
		require.ErrorIs(t, err, errCrash)
		invitation, _, err := s.Invite(ctx, by(inviter), operation.NewInvitation{
			To: team, Invitee: invitee, Roles: []string{"owner"},
		})
		require.NoError(t, err)
		require.Empty(t, departing(t, engine))
		require.Equal(t, []string{"account:team"}, invited(t, engine))
		_, _, err = s.AcceptInvitation(ctx, by(invitee), invitation.ID)
		require.NoError(t, err)
		_, err = s.EraseUser(ctx, by(""), invitee)
		require.NoError(t, err)
	}
}

// TestFailedRemovalKeepsInvitationsWithdrawn lets a removal fail because it would remove the last owner. The
// invitations that it has already withdrawn must not open again.
func TestFailedRemovalKeepsInvitationsWithdrawn(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	storeAll(t, engine, []string{
		"account:solo#subscription@subscription:acme", "account:solo#team@user:*", "account:solo#owner@user:sam",
		"offboarding:sam#from@account:solo", "offboarding:sam#requested_by@user:ada", "offboarding:sam#withdraws@account:solo",
	})
	inviteMany(t, engine, "solo", authz.Object{Type: "account", ID: "solo"}, "sam", "user", 260)
	require.NoError(t, s.Resume(t.Context()))
	require.Contains(t, naming(t, engine, "sam"), "account:solo#owner@user:sam")
	require.Empty(t, departing(t, engine))
	require.Empty(t, invited(t, engine))
}

// TestTransferWithdrawsManyInvitations transfers a subscription, directly and by an invitation. The owner has more open
// invitations than one write deletes. Invitations to an account on which the owner holds a role stay.
func TestTransferWithdrawsManyInvitations(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	ctx := t.Context()
	_, _, err := s.CreateSubscription(ctx, by(""), operation.NewSubscription{ID: "solo", RoleSet: "single_owner", Owner: "sam"})
	require.NoError(t, err)
	_, _, err = s.CreateAccount(ctx, by("sam"), operation.NewAccount{ID: "room", Subscription: "solo", RoleSet: "team"})
	require.NoError(t, err)
	solo, room := authz.Object{Type: "subscription", ID: "solo"}, authz.Object{Type: "account", ID: "room"}
	storeAll(t, engine, []string{"account:room#owner@user:sam"})
	inviteMany(t, engine, "room", room, "sam", "user", 1)

	inviteMany(t, engine, "first", solo, "sam", "read_only", 300)
	transfer := func(engine authz.Engine) error {
		_, err := operation.New(engine).TransferSubscription(ctx, by("sam"), "solo", "tess")
		return err
	}
	require.ErrorIs(t, transfer(&crashing{engine, 1}), errCrash)
	require.Equal(t, map[authz.Role]time.Time{"owner": {}}, rolesOn(t, engine, solo, "sam"), "the transfer is the last write")
	require.NoError(t, transfer(engine))
	require.Equal(t, []string{"account:room"}, invited(t, engine))
	require.Equal(t, map[authz.Role]time.Time{"owner": {}}, rolesOn(t, engine, solo, "tess"))

	inviteMany(t, engine, "second", solo, "tess", "read_only", 300)
	invitation, _, err := s.Invite(ctx, by("tess"), operation.NewInvitation{To: solo, Invitee: "sam", Roles: []string{"owner"}})
	require.NoError(t, err)
	_, _, err = s.AcceptInvitation(ctx, by("sam"), invitation.ID)
	require.NoError(t, err)
	require.Equal(t, map[authz.Role]time.Time{"owner": {}}, rolesOn(t, engine, solo, "sam"))
	require.Empty(t, rolesOn(t, engine, solo, "tess"))
	require.Equal(t, []string{"account:room", "subscription:solo"}, invited(t, engine), "what was accepted is kept for a time")
}
