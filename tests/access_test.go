package tests

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// had returns the people who had a permission on a resource at a past time.
func (s scene) had(permission, resource string, at time.Time) []string {
	s.t.Helper()
	var answer struct {
		Subjects []struct {
			Subject string
			Allowed bool
		}
	}
	query := url.Values{"resource": {resource}, "permission": {permission}, "at": {at.Format(time.RFC3339Nano)}}
	s.withKey(inspectKey).must(http.MethodGet, "access?"+query.Encode(), nil).decode(s.t, &answer)
	var who []string
	for _, found := range answer.Subjects {
		who = append(who, strings.TrimPrefix(found.Subject, "user:"+s.prefix))
	}
	slices.Sort(who)
	return who
}

// pastAccess makes changes, and asks for each moment between them who had access then. The answers must have the
// people who had access at that moment.
func pastAccess(t *testing.T, on *backend) {
	s := newScene(t, on)
	importer := "importer:" + s.id("i")
	type moment struct {
		at   time.Time
		want []string
	}
	var moments []moment
	play := func(want []string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			s.play(line)
		}
		// The change of the connector "tick" marks the moment: its time is the time of this change in the audit log.
		s.play("backend PUT connectors/~tick {capabilities: [" + []string{"", "views"}[len(moments)%2] + "]}")
		ticks := s.history("object=connector:"+s.id("tick"), atLeast(len(moments)+1))
		moments = append(moments, moment{ticks[len(ticks)-1].Time, want})
	}
	play(nil,
		"backend PUT connectors/~c {capabilities: []}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}")
	play([]string{"olga"}, "olga POST importers {id: ~i, account: ~a}")
	play([]string{"olga", "peter"}, "olga PUT accounts/~a/members/~peter {roles: [user]}")
	inTime(t, func(left time.Duration) bool {
		expired := func(found []entry) bool {
			return len(found) > 0 && found[len(found)-1].Kind == "expiry"
		}
		ends := time.Now().Add(left)
		_, err := v1.NewPermissionsServiceClient(on.spicedb).WriteRelationships(t.Context(), &v1.WriteRelationshipsRequest{
			Updates: []*v1.RelationshipUpdate{{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: &v1.Relationship{
				Resource: &v1.ObjectReference{ObjectType: "account", ObjectId: s.id("a")}, Relation: "user",
				Subject:           &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: "user", ObjectId: s.id("temp")}},
				OptionalExpiresAt: timestamppb.New(ends),
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		play([]string{"olga", "peter", "temp"})
		s.history("object=user:"+s.id("temp"), expired)
		last := &moments[len(moments)-1]
		if !last.at.Before(ends) { // the relationship expired before the moment was marked
			last.want = []string{"olga", "peter"}
			return false
		}
		return true
	})
	play([]string{"olga", "peter"})
	play([]string{"olga"}, "olga DELETE accounts/~a/members/~peter")
	play(nil, "olga DELETE importers/~i")
	for i, m := range moments {
		if got := s.had("run", importer, m.at); !slices.Equal(got, m.want) {
			t.Errorf("moment %d: %v could run the importer, want %v", i, got, m.want)
		}
	}
	for query, want := range map[string]struct {
		status int
		words  string
	}{
		"resource=importer:x&permission=run": {
			400, `the parameter "at" is missing`,
		},
		"resource=importer:x&permission=run&at=noon": {
			400, `the parameter "at" must be a time`,
		},
		"resource=importer:x&permission=run&at=2100-01-01T00:00:00Z": {400, "in the future"},
		"resource=importer:x&permission=run&at=2001-01-01T00:00:00Z": {
			404, "the audit log starts after",
		},
		"resource=importer:x&permission=fly&at=" + moments[1].at.Format(time.RFC3339Nano): {400, "fly"},
		"resource=importer&permission=run&at=" + moments[1].at.Format(time.RFC3339Nano):   {400, "is not a reference"},
	} {
		if a := s.call(http.MethodGet, "access?"+query, nil); a.status != want.status || !strings.Contains(
			a.problem().Detail, want.words,
		) {
			t.Errorf("%s: %d %s, want %d %s", a.request, a.status, a.body, want.status, want.words)
		}
	}
}
