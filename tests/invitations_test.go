package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
)

// invitations checks invitations from their creation until they are no longer open.
func invitations(t *testing.T, on *backend) {
	for _, part := range []suite{
		{"one person", invitationOfOne},
		{"whoever knows it", invitationForEverybody},
		{"the right of the inviter", invitersRight},
		{"withdrawing", withdrawInvitation},
		{"declining", declineInvitation},
		{"its end", invitationEnds},
		{"the dead", closedInvitations},
		{"what is held beside", joiningWhatIsHeld},
		{"handing over", invitationHandsOver},
		{"rules", invitationRules},
		{"deletion", invitationsGoWithTheirPlace},
		{"another server", invitationAcrossServers},
		{"a lost answer", repeatedInvitation},
		{"leaving", invitationsOfErasedPerson},
	} {
		t.Run(part.name, func(t *testing.T) {
			on.parallel(t)
			part.run(t, on)
		})
	}
}

// invitation has the fields of the answer that the inviter gets.
type invitation struct {
	ID        string
	Handle    string
	ExpiresAt time.Time `json:"expires_at"`
}

// invite sends the request in a line, which creates an invitation. It returns the invitation.
func (s scene) invite(line string) invitation {
	s.t.Helper()
	next, err := parseStep(s.in(line))
	if err != nil {
		s.t.Fatal(err)
	}
	r := next.(requestStep)
	a := s.by(r.actor).must(r.method, r.path, r.body)
	var i invitation
	a.decode(s.t, &i)
	if a.status != http.StatusCreated || len(i.ID) < 26 || i.Handle == "" || strings.Contains(i.Handle, i.ID) {
		s.t.Fatalf("%s: %d %s", line, a.status, a.body)
	}
	return i
}

// with runs steps in which $ID and $HANDLE stand for the id and the handle of an invitation.
func (s scene) with(i invitation, lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		s.play(i.in(line))
	}
}

// in replaces $ID and $HANDLE in a line with the id and the handle of the invitation.
func (i invitation) in(line string) string {
	return strings.NewReplacer("$ID", i.ID, "$HANDLE", i.Handle).Replace(line)
}

func teamScene(t *testing.T, on *backend) scene {
	t.Helper()
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	return s
}

func invitationOfOne(t *testing.T, on *backend) {
	s := teamScene(t, on)
	i := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [guest], expires_in: 3600}")
	if left := time.Until(i.ExpiresAt); left < time.Hour-time.Minute || left > time.Hour+time.Minute {
		t.Errorf("the invitation is open for %s", left)
	}
	s.with(i,
		"stored invitation:$HANDLE#inviter@user:~olga",
		"not stored account:~a#guest@user:~nina",
		"nina may not view account:~a",
		"ulla GET accounts/~a/invitations => 200 {next_cursor: ''}",
		"gert GET accounts/~a/invitations => 403 forbidden invite_members",
		"nina GET accounts/~a/invitations => 404 not_found",
		// Only nina can accept or decline, and only with the id. The handle does not suffice.
		"sven POST invitations/$ID/accept => 404 not_found",
		"olga POST invitations/$ID/accept => 404 not_found",
		"sven POST invitations/$ID/decline => 404 not_found",
		"nina POST invitations/$HANDLE/accept => 404 not_found",
		"nina POST invitations/nonsense/accept => 404 not_found",
		"nina POST invitations/$ID/accept => 200 {account: ~a, subscription: null, user: ~nina, roles: [guest]}",
		"nina may view account:~a",
		"stored account:~a#guest@user:~nina",
		"not stored invitation:$HANDLE#inviter@user:~olga",
		"olga GET accounts/~a/invitations => 200 {invitations: []}",
	)
	s.writesNothing("accepting again", func() {
		s.with(i, "nina POST invitations/$ID/accept => 200 {account: ~a, user: ~nina, roles: [guest]}")
	})
	s.with(i,
		"sven POST invitations/$ID/accept => 404 not_found",
		"nina POST invitations/$ID/decline => 404 not_found",
		"olga DELETE accounts/~a/members/~nina",
		"nina POST invitations/$ID/accept => 200",
		"nina may not view account:~a",
	)
}

func invitationForEverybody(t *testing.T, on *backend) {
	s := teamScene(t, on)
	i := s.invite("ulla POST accounts/~a/invitations {roles: [user]}")
	if left := time.Until(i.ExpiresAt); left < 7*24*time.Hour-time.Minute || left > 7*24*time.Hour+time.Minute {
		t.Errorf("the invitation is open for %s", left)
	}
	s.with(i,
		"sven POST invitations/$ID/accept => 200 {account: ~a, roles: [user]}",
		"stored account:~a#user@user:~sven",
		"nina POST invitations/$ID/accept => 404 not_found",
		"sven POST invitations/$ID/accept => 200",
	)
	s.play(
		"olga POST accounts/~a/invitations {roles: [guest]} => 400 invalid invitee",
		"olga POST accounts/~a/invitations {roles: [owner]} => 400 invalid only user",
		"olga POST accounts/~a/invitations {roles: []} => 400 invalid",
		"olga POST accounts/~a/invitations {roles: [editor]} => 400 invalid",
		"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
		"olga POST accounts/~o/invitations {roles: [operator]} => 400 invalid invitee",
		"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
		"olga POST accounts/~n/invitations {roles: [viewer]} => 400 invalid only editor",
		"olga POST accounts/~n/invitations {roles: [editor]} => 201",
		"olga POST subscriptions/~s/invitations {roles: [member]} => 400 invalid invitee",
		// A person who may not view the account or the subscription must learn nothing about it.
		"nina POST subscriptions/~s/invitations {roles: [nonsense]} => 404 not_found",
		"nina POST accounts/~a/invitations {roles: [nonsense]} => 404 not_found",
	)
}

func invitersRight(t *testing.T, on *backend) {
	s := teamScene(t, on)
	s.play(
		"gert POST accounts/~a/invitations {roles: [user]} => 403 forbidden invite_members",
		"gert POST accounts/~a/invitations {invitee: ~nina, roles: [user]} => 403 forbidden invite_members",
		"ulla POST accounts/~a/invitations {invitee: ~nina, roles: [guest]} => 403 forbidden assign_roles",
		"ulla POST accounts/~a/invitations {invitee: ~nina, roles: [owner]} => 403 forbidden assign_roles",
		"ulla POST accounts/~a/invitations {invitee: ~gert, roles: [user]} => 403 forbidden assign_roles",
		"sven POST accounts/~a/invitations {invitee: ~nina, roles: [user]} => 404 not_found",
		"sven POST accounts/~missing/invitations {invitee: ~nina, roles: [user]} => 404 not_found",
		"ulla POST subscriptions/~s/invitations {invitee: ~nina, roles: [owner]} => 404 not_found",
		"olga PUT subscriptions/~s/members/~otto {roles: [member]}",
		"otto POST subscriptions/~s/invitations {invitee: ~nina, roles: [owner]} => 403 forbidden invite_owner",
	)
	// The server checks the permission of the inviter again when somebody accepts.
	i := s.invite("ulla POST accounts/~a/invitations {roles: [user]}")
	s.with(i,
		"olga PUT accounts/~a/members/~ulla {roles: [guest]}",
		"nina POST invitations/$ID/accept => 403 forbidden may no longer give these roles",
		"olga DELETE accounts/~a/members/~ulla",
		"nina POST invitations/$ID/accept => 404 not_found",
		// The removal of the inviter withdrew the invitation. It stays withdrawn, even if the inviter gets a role
		// again.
		"olga PUT accounts/~a/members/~ulla {roles: [user]}",
		"nina POST invitations/$ID/accept => 404 not_found",
	)
	i = s.invite("ulla POST accounts/~a/invitations {roles: [user]}")
	s.with(i,
		// gert is a guest. To give him another role, the inviter ulla needs assign_roles, which she lacks.
		"gert POST invitations/$ID/accept => 403 forbidden may no longer give these roles",
		"ulla POST invitations/$ID/accept => 200",
	)
	i = s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [owner]}")
	s.with(i,
		"olga PUT accounts/~a/members/~ulla {roles: [owner]}",
		// olga still owns the subscription, so she can invite again after this.
		"ulla DELETE accounts/~a/members/~olga",
		"nina POST invitations/$ID/accept => 404 not_found",
		"not stored account:~a#owner@user:~nina",
	)
}

func joiningWhatIsHeld(t *testing.T, on *backend) {
	s := teamScene(t, on)
	upgrade := s.invite("olga POST accounts/~a/invitations {invitee: ~gert, roles: [user]}")
	s.with(
		upgrade, "gert POST invitations/$ID/accept => 200", "stored account:~a#user@user:~gert",
		"not stored account:~a#guest@user:~gert",
	)
	// Accepting an invitation only adds roles. A stronger role stays.
	open := s.invite("ulla POST accounts/~a/invitations {roles: [user]}")
	s.with(
		open, "olga POST invitations/$ID/accept => 200 {roles: [owner]}", "stored account:~a#owner@user:~olga",
		"not stored account:~a#user@user:~olga",
	)
	weaker := s.invite("olga POST accounts/~a/invitations {invitee: ~ulla, roles: [guest]}")
	s.with(
		weaker, "ulla POST invitations/$ID/accept => 200 {roles: [user]}", "stored account:~a#user@user:~ulla",
		"not stored account:~a#guest@user:~ulla",
	)

	s.play(
		"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
		"olga PUT accounts/~o/members/~opal {roles: [operator, connector_author]}",
		`olga PUT accounts/~o/members/~carl {roles: [operator], expires_at: "2099-01-31T17:00:00Z"}`,
	)
	for _, c := range []struct{ who, offered, held string }{
		{"opal", "flow_author", "operator, flow_author, connector_author"},
		{"opal", "read_only, flow_author", "operator, flow_author, connector_author"},
		{"opal", "administrator", "administrator, flow_author, connector_author"},
	} {
		i := s.invite("olga POST accounts/~o/invitations {invitee: ~" + c.who + ", roles: [" + c.offered + "]}")
		s.with(
			i,
			c.who+" POST invitations/$ID/accept => 200 {roles: ["+c.held+"]}",
			c.who+" GET users/~"+c.who+"/accounts => 200 {accounts: [{id: ~o, role_set: operations, roles: ["+c.held+"]}]}",
		)
	}
	// If a person's role expires, a role that is added to it expires at the same time.
	i := s.invite("olga POST accounts/~o/invitations {invitee: ~carl, roles: [flow_author]}")
	s.with(
		i,
		`carl POST invitations/$ID/accept => 200 {roles: [operator, flow_author], expires_at: "2099-01-31T17:00:00Z"}`,
		`carl GET users/~carl/accounts => 200 {accounts: [{id: ~o, role_set: operations, roles: [operator, flow_author], expires_at: "2099-01-31T17:00:00Z"}]}`,
	)
}

func invitationHandsOver(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include single"}.play(s, "", "")
	s.play(
		"olga POST subscriptions/~s/invitations {invitee: ~nina, roles: [owner, it_admin]} => 400 invalid owner",
		"olga POST subscriptions/~s/invitations {invitee: ~olga, roles: [owner]} => 400 invalid already",
		"olga POST subscriptions/~s/invitations {roles: [owner]} => 400 invalid invitee",
		"bianca POST subscriptions/~s/invitations {invitee: ~nina, roles: [owner]} => 403 forbidden transfer_ownership",
		"rosa POST subscriptions/~s/invitations {invitee: ~nina, roles: [read_only]} => 403 forbidden invite_read_only",
		"rosa GET subscriptions/~s/invitations => 403 forbidden list_users",
	)
	first, second := s.invite("olga POST subscriptions/~s/invitations {invitee: ~ivan, roles: [owner]}"), s.invite(
		"olga POST subscriptions/~s/invitations {invitee: ~nina, roles: [owner]}",
	)
	beside := s.invite("ivan POST subscriptions/~s/invitations {invitee: ~rosa, roles: [it_admin]}")
	s.with(first,
		"stored subscription:~s#owner@user:~olga",
		"ivan POST invitations/$ID/accept => 200 {subscription: ~s, account: null, user: ~ivan, roles: [owner, it_admin]}",
		"stored subscription:~s#owner@user:~ivan", "stored subscription:~s#it_admin@user:~ivan",
		"not stored subscription:~s#owner@user:~olga",
		"olga may not view subscription:~s",
	)
	s.with(
		second, "nina POST invitations/$ID/accept => 404 not_found", "stored subscription:~s#owner@user:~ivan",
		"not stored subscription:~s#owner@user:~nina",
	)
	s.with(
		beside, "rosa POST invitations/$ID/accept => 200", "stored subscription:~s#it_admin@user:~rosa",
		"stored subscription:~s#read_only@user:~rosa",
	)
}

func invitationRules(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include analytics"}.play(s, "", "")
	i := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [viewer]}")
	s.with(i,
		"backend PUT subscriptions/~s/features {features: []}",
		"nina POST invitations/$ID/accept => 409 feature_required user_permissions",
		"olga POST accounts/~a/invitations {invitee: ~nora, roles: [viewer]} => 409 feature_required user_permissions",
		"backend PUT subscriptions/~s/features {features: [user_permissions]}",
		"nina POST invitations/$ID/accept => 200",
		"stored account:~a#viewer@user:~nina", "stored subscription:~s#member@user:~nina",
	)
	owner := s.invite("olga POST subscriptions/~s/invitations {invitee: ~nina, roles: [owner]}")
	s.with(
		owner,
		"nina POST invitations/$ID/accept => 200",
		"stored subscription:~s#owner@user:~nina",
		"not stored subscription:~s#member@user:~nina",
		"stored subscription:~s#owner@user:~olga",
	)
	member := s.invite("olga POST subscriptions/~s/invitations {invitee: ~nora, roles: [member]}")
	s.with(member, "olga PUT subscriptions/~s/members/~nora {roles: [owner]}", "nora POST invitations/$ID/accept => 200",
		"stored subscription:~s#owner@user:~nora", "not stored subscription:~s#member@user:~nora")
	s.play(
		"olga POST accounts/~a/invitations {invitee: ~nina, roles: [editor, viewer]} => 400 invalid",
		"olga POST accounts/~a/invitations {invitee: '', roles: [editor]} => 400 invalid invitee",
		"olga POST accounts/~a/invitations {invitee: ~nina} => 400 invalid roles",
		"olga POST accounts/~a/invitations {invitee: ~nina, roles: [editor], expires_at: '2099-01-31T17:00:00Z'} => 400 invalid expires_at",
	)
}

func invitationAcrossServers(t *testing.T, on *backend) {
	s := teamScene(t, on)
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: on.address, Token: on.key, Insecure: true}
	other := s
	other.url = start(t, config).URL
	i := s.invite("olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}")
	other.with(i, "nina POST invitations/$ID/accept => 200 {account: ~a}", "nina may view account:~a")
	s.with(i, "nina POST invitations/$ID/accept => 200")
}

// repeatedInvitation sends a request for an invitation twice, with the same idempotency key. Both answers have the
// same id. With another API key, the same request leads to another id.
func repeatedInvitation(t *testing.T, on *backend) {
	s := teamScene(t, on)
	const request = "olga POST accounts/~a/invitations {invitee: ~nina, roles: [user]}"
	first, again := s.under(s.id("key"), request), s.under(s.id("key"), request)
	var made, repeated, others invitation
	first.decode(t, &made)
	again.decode(t, &repeated)
	if made != repeated || made.ID == "" || first.isReplay() || !again.isReplay() {
		t.Errorf("%s, again %s", first.body, again.body)
	}
	elsewhere := s
	elsewhere.caller = s.withKey(operateKey).caller
	elsewhere.under(s.id("key"), request).decode(t, &others)
	if others.ID == made.ID || others.ID == "" {
		t.Error("another API key leads to the same id")
	}
	s.with(made, "nina POST invitations/$ID/accept => 404 not_found") // the newer invitation has replaced this one
	s.with(others, "nina POST invitations/$ID/accept => 200")
	s.play("olga DELETE accounts/~a")
	if gone := s.under(s.id("key"), request); gone.status != http.StatusCreated || !gone.isReplay() || bytes.Contains(
		gone.body, []byte(made.ID),
	) {
		t.Errorf("%d %s", gone.status, gone.body)
	}
}

// raceOfAcceptances lets several people accept one invitation concurrently. In some rounds, the invitation is
// withdrawn or its inviter is removed at the same time. At most one person may get the role: the person whose
// request succeeded.
func raceOfAcceptances(t *testing.T, on *backend) {
	s := teamScene(t, on)
	for round := range max(on.rounds(10), 3) {
		var people []string // each round needs new people, since adding a removed person again needs assign_roles
		for _, name := range []string{"nina", "nora", "nils", "nick"} {
			people = append(people, fmt.Sprintf("%s%d", name, round))
		}
		i := s.invite("ulla POST accounts/~a/invitations {roles: [user]}")
		var calls []func() answer
		for _, who := range people {
			calls = append(calls, func() answer { return s.by(who).call(http.MethodPost, "invitations/"+i.ID+"/accept", nil) })
		}
		ending := round%3 > 0
		switch round % 3 {
		case 1:
			calls = append(calls, func() answer {
				return s.by("olga").call(http.MethodDelete, s.in("accounts/~a/invitations/")+i.Handle, nil)
			})
		case 2:
			calls = append(
				calls, func() answer { return s.by("olga").call(http.MethodDelete, s.in("accounts/~a/members/~ulla"), nil) },
			)
		}
		answers := together(calls...)
		accepted := 0
		for n, who := range people {
			switch answers[n].status {
			case http.StatusOK:
				accepted++
			case http.StatusNotFound:
			default:
				t.Errorf("%s: %d %s", answers[n].request, answers[n].status, answers[n].body)
			}
			if may := s.may(question{
				"user:" + s.id(who), "view", "account:" + s.id("a"),
			}); may != (answers[n].status == http.StatusOK) {
				t.Errorf("round %d: %s was answered %d and is a member: %t", round, who, answers[n].status, may)
			}
			s.by("olga").must(http.MethodDelete, s.in("accounts/~a/members/~"+who), nil)
		}
		if accepted > 1 || accepted == 0 && !ending {
			t.Errorf("round %d: %d people have accepted the invitation", round, accepted)
		}
		s.play("olga PUT accounts/~a/members/~ulla {roles: [user]}")
	}
}
