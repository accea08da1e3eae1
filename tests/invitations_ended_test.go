package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// invitationsOfErasedPerson checks the open invitations that a person sent or received. The offboarding report of
// the person must list them, and erasing the person must withdraw them.
func invitationsOfErasedPerson(t *testing.T, on *backend) {
	s := teamScene(t, on)
	sent := s.invite("ulla POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	received := s.invite("olga POST accounts/~a/invitations {invitee: ~ulla, roles: [owner]}")
	other := s.invite("olga POST accounts/~a/invitations {invitee: ~nora, roles: [user]}")
	report := "GET accounts/~a/members/~ulla/offboarding => 200 "
	s.with(sent, "olga "+report+"{invitations: {sent: {count: 1, ids: [$HANDLE]}}}")
	s.with(received, "olga "+report+"{invitations: {received: {count: 1, ids: [$HANDLE]}}}")
	s.play(
		"backend PUT platform/administrators/~ada", "ada "+report+"{invitations: {sent: {count: 1}}}",
		"backend DELETE platform/administrators/~ada",
	)
	s.play("backend DELETE users/~ulla => 200", "nothing left of user:~ulla")
	for _, ended := range []invitation{sent, received} {
		s.with(
			ended, "nothing left of invitation:$HANDLE", "nina POST invitations/$ID/accept => 404 not_found",
			"ulla POST invitations/$ID/accept => 404 not_found",
		)
	}
	s.with(
		other, "nora POST invitations/$ID/accept => 200", "backend DELETE users/~nora => 200", "nothing left of user:~nora",
	)
	s.play(
		"olga PUT accounts/~a/members/~gert {roles: [guest]}",
		"olga "+report+"{invitations: {sent: {count: 0, ids: []}, received: {count: 0, ids: []}}}",
	)
}

func withdrawInvitation(t *testing.T, on *backend) {
	s := teamScene(t, on)
	s.play("olga PUT accounts/~a/members/~uwe {roles: [user]}")
	i := s.invite("ulla POST accounts/~a/invitations {roles: [user]}")
	s.with(i,
		"uwe DELETE accounts/~a/invitations/$HANDLE => 403 forbidden assign_roles",
		"gert DELETE accounts/~a/invitations/$HANDLE => 403 forbidden assign_roles",
		"sven DELETE accounts/~a/invitations/$HANDLE => 404 not_found",
		// This invitation is one to an account, so it stays open.
		"olga DELETE subscriptions/~s/invitations/$HANDLE => 200",
		"stored invitation:$HANDLE#inviter@user:~ulla",
		"olga PUT accounts/~a/members/~ulla {roles: [guest]}",
		"ulla DELETE accounts/~a/invitations/$HANDLE => 200",
		"nothing left of invitation:$HANDLE",
		"nina POST invitations/$ID/accept => 404 not_found",
		"olga DELETE accounts/~a/invitations/$HANDLE => 200",
		"gert DELETE accounts/~a/invitations/$HANDLE => 403 forbidden invite_members",
	)
	i = s.invite("uwe POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	s.with(i, "olga DELETE accounts/~a/invitations/$HANDLE => 200", "nina POST invitations/$ID/accept => 404 not_found")

	i = s.invite("olga POST subscriptions/~s/invitations {invitee: ~nina, roles: [member]}")
	s.with(i,
		"olga GET subscriptions/~s/invitations => 200 {next_cursor: ''}",
		// This invitation is one to a subscription, so it stays open.
		"olga DELETE accounts/~a/invitations/$HANDLE => 200",
		"olga DELETE subscriptions/~s/invitations/$HANDLE => 200",
		"nina POST invitations/$ID/accept => 404 not_found",
		"olga GET subscriptions/~s/invitations => 200 {invitations: []}",
	)
	// An accepted invitation cannot be withdrawn.
	i = s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	s.with(
		i, "nina POST invitations/$ID/accept", "olga DELETE accounts/~a/invitations/$HANDLE => 200",
		"nina may view account:~a", "nina POST invitations/$ID/accept => 200",
	)
}

func declineInvitation(t *testing.T, on *backend) {
	s := teamScene(t, on)
	i := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	s.with(i,
		"nina POST invitations/$ID/decline => 200",
		"nina POST invitations/$ID/decline => 200",
		"nina POST invitations/$ID/accept => 404 not_found",
		"nina may not view account:~a",
		"olga GET accounts/~a/invitations => 200 {invitations: []}",
	)
}

func invitationEnds(t *testing.T, on *backend) {
	s := teamScene(t, on)
	i := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user], expires_in: 1}")
	var late invitation
	inTime(t, func(left time.Duration) bool {
		late = s.invite(
			fmt.Sprintf("olga POST accounts/~a/invitations {invitee: ~nora, roles: [user], expires_in: %d}", 2*left/time.Second),
		)
		a := s.by("nora").call(http.MethodPost, "invitations/"+late.ID+"/accept", nil)
		if a.status != http.StatusOK && (a.status != http.StatusNotFound || time.Now().Before(late.ExpiresAt)) {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.status == http.StatusOK
	})
	time.Sleep(time.Until(i.ExpiresAt))
	time.Sleep(time.Until(late.ExpiresAt))
	s.with(i,
		"nina POST invitations/$ID/accept => 404 not_found",
		"nina POST invitations/$ID/decline => 404 not_found",
		"olga GET accounts/~a/invitations => 200 {invitations: []}",
		"olga DELETE accounts/~a/invitations/$HANDLE => 200",
	)
	// After the invitation has expired, the person who accepted it can send the same request again.
	s.with(late, "nora POST invitations/$ID/accept => 200 {account: ~a, roles: [user]}")
	again := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	s.with(again, "nina POST invitations/$ID/accept => 200")
	for _, wrong := range []string{"0", "-1", "31536001", "9223372036854775807", "1.5", "'3600'", "1h"} {
		s.play("olga POST accounts/~a/invitations {roles: [user], expires_in: " + wrong + "} => 400 invalid expires_in")
	}
	s.play("olga POST accounts/~a/invitations {roles: [user], expires_in: 31536000} => 201")
}

// closedInvitations sends ids of invitations that are not open, for various reasons. All answers must be equal.
func closedInvitations(t *testing.T, on *backend) {
	s := teamScene(t, on)
	invite := func(who, fields string) invitation {
		return s.invite("olga POST accounts/~a/invitations {invitee: ~" + who + ", roles: [user]" + fields + "}")
	}
	expired, withdrawn, declined := invite("nils", ", expires_in: 1"), invite("nick", ""), invite("nina", "")
	replaced, accepted := invite("nora", ""), invite("nora", "")
	used := s.invite("olga POST accounts/~a/invitations {roles: [user]}")
	s.with(withdrawn, "olga DELETE accounts/~a/invitations/$HANDLE")
	s.with(declined, "nina POST invitations/$ID/decline")
	s.with(used, "noah POST invitations/$ID/accept")
	time.Sleep(time.Until(expired.ExpiresAt))
	for _, verb := range []string{"accept", "decline"} {
		var reported []byte
		for name, id := range map[string]string{
			"unknown": "MZXW6YTBOI3DMNBSGA2TGMZRGE4TKNRX", "a handle": accepted.Handle, "expired": expired.ID,
			"withdrawn": withdrawn.ID,
			"declined":  declined.ID, "replaced": replaced.ID, "used": used.ID, "for another": accepted.ID,
		} {
			a := s.by("sven").call(http.MethodPost, "invitations/"+id+"/"+verb, nil)
			body := requestID.ReplaceAll(a.body, nil)
			if reported == nil {
				reported = body
			}
			if a.status != http.StatusNotFound || !bytes.Equal(body, reported) {
				t.Errorf("%s: %d %s, want %s", name, a.status, body, reported)
			}
		}
	}
}

func invitationsGoWithTheirPlace(t *testing.T, on *backend) {
	s := teamScene(t, on)
	s.play("olga POST accounts {id: ~b, subscription: ~s, role_set: team}")
	toAccount := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	toOther := s.invite("olga POST accounts/~b/invitations {roles: [user]}")
	used := s.invite("olga POST accounts/~a/invitations {invitee: ~nora, roles: [user]}")
	toSubscription := s.invite("olga POST subscriptions/~s/invitations {invitee: ~nina, roles: [member]}")
	s.with(used, "nora POST invitations/$ID/accept")
	s.play("olga DELETE accounts/~a", "nothing left of account:~a")
	s.with(
		toAccount, "nothing left of invitation:$HANDLE", "nina POST invitations/$ID/accept => 404 not_found",
		"not stored account:~a#user@user:~nina",
	)
	s.with(used, "nothing left of invitation:$HANDLE")
	s.with(toOther, "stored invitation:$HANDLE#inviter@user:~olga")
	// A new account gets the id of the deleted account.
	s.play("olga POST accounts {id: ~a, subscription: ~s, role_set: team}")
	s.with(toAccount, "nina POST invitations/$ID/accept => 404 not_found")
	s.play("olga DELETE subscriptions/~s", "nothing left of subscription:~s")
	s.with(toOther, "nothing left of invitation:$HANDLE", "nina POST invitations/$ID/accept => 404 not_found")
	s.with(toSubscription, "nothing left of invitation:$HANDLE", "nina POST invitations/$ID/accept => 404 not_found")
}
