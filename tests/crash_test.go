package tests

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/testsize"
)

// fewestCrashes and mostCrashes are the least and the largest number of kills. A server is killed during an
// offboarding, or while it finishes an interrupted offboarding. After fewestCrashes, the test ends as soon as enough
// kills have interrupted an offboarding.
var fewestCrashes, mostCrashes = testsize.Of(5, 50), 50

// removal is a request that removes the person ulla in many writes, with the relationships that are expected
// afterwards.
type removal struct {
	name, actor, path string

	// becomes returns the relationship that must replace a stored relationship after the removal, or "" if the
	// removal must delete it. The private connections are ~p0, ~p1 and so on.
	becomes func(relationship string) string
	notes   func(s scene) []string
}

var removals = []removal{
	{
		"an account, to bob, disconnecting", "olga",
		"accounts/~a/members/~ulla?reassign_to=~bob&private_connections=disconnect",
		func(r string) string {
			if strings.Contains(r, "connection:~p") {
				return ""
			}
			return leavesTheAccount(r)
		},
		func(s scene) []string { return notes(s, "olga") },
	},
	{
		"a subscription, to bob, leaving private connections", "olga",
		"subscriptions/~s/members/~ulla?reassign_to=~bob&private_connections=leave",
		func(r string) string {
			if strings.HasPrefix(r, "connection:~p") {
				return r
			}
			return leaves(r)
		},
		func(s scene) []string { return []string{s.in("removed_user:~ulla#from@account:~a")} },
	},
	{
		"an account by herself, with private connections", "ulla", "accounts/~a/members/~ulla?reassign_to=~bob",
		leavesTheAccount,
		func(s scene) []string { return []string{s.in("deletion:membership/account/~a#done@user:~ulla")} },
	},
	{
		"everything, erased", "", "users/~ulla",
		func(r string) string {
			if strings.Contains(r, "connection:~p") || strings.HasSuffix(r, "@user:~ulla") {
				return ""
			}
			return r
		},
		func(scene) []string { return nil },
	},
}

// leaves returns the relationship that must replace r after ulla is removed, and bob has become the creator of her
// objects. It returns "" if r must be deleted.
func leaves(r string) string {
	what, found := strings.CutSuffix(r, "@user:~ulla")
	switch {
	case !found:
		return r
	case strings.HasSuffix(what, "#creator"):
		return what + "@user:~bob"
	}
	return ""
}

func leavesTheAccount(r string) string {
	if strings.HasPrefix(r, "subscription:") {
		return r
	}
	return leaves(r)
}

// notes returns the relationships which record that the actor disconnected the private connections.
func notes(s scene, actor string) []string {
	notes := make([]string, privateOnes)
	for i := range notes {
		notes[i] = s.in(fmt.Sprintf("deletion:connection/~p%d#done@user:~%s", i, actor))
	}
	return notes
}

const privateOnes = 25

// leaver returns the relationships of ulla's access, and those of the objects that she created. Her removal needs
// several writes.
func leaver() []string {
	rows := []string{
		"connector:~crm#catalogue@user:*",
		"subscription:~s#platform@platform:main", "subscription:~s#multi_owner@user:*",
		"subscription:~s#members_create_accounts@user:*",
		"subscription:~s#owner@user:~olga", "subscription:~s#member@user:~ulla",
		"account:~a#subscription@subscription:~s", "account:~a#team@user:*", "account:~a#owner@user:~olga",
		"account:~a#owner@user:~ulla", "account:~a#user@user:~bob",
	}
	for i := range 520 {
		rows = append(
			rows, fmt.Sprintf("importer:~i%d#account@account:~a", i), fmt.Sprintf("importer:~i%d#creator@user:~ulla", i),
		)
	}
	for i := range 10 {
		c := fmt.Sprintf("connection:~c%d", i)
		rows = append(
			rows, c+"#account@account:~a", c+"#connector@connector:~crm", c+"#shared@account:~a", c+"#creator@user:~ulla",
		)
	}
	for i := range 60 {
		c := fmt.Sprintf("connection:~b%d", i)
		rows = append(
			rows, c+"#account@account:~a", c+"#connector@connector:~crm", c+"#creator@user:~bob", c+"#shared_with@user:~ulla",
		)
	}
	for i := range privateOnes {
		c := fmt.Sprintf("connection:~p%d", i)
		rows = append(
			rows, c+"#account@account:~a", c+"#connector@connector:~crm", c+"#creator@user:~ulla", c+"#shared_with@user:~bob",
		)
		for j := range 2 {
			importer := fmt.Sprintf("importer:~j%d-%d", i, j)
			rows = append(rows, importer+"#account@account:~a", importer+"#creator@user:~bob", importer+"#source@"+c)
		}
	}
	return rows
}

// TestKilledDuringRemoval kills servers at random moments of long removals. The next server, which would finish the
// removal, is killed too. Then another start finishes the removal, or the same request to a running server does. No
// relationship may be left over, and none may be missing. If SLUICE_TEST_SEED is set to the seed of another run, the
// test repeats its moments.
func TestKilledDuringRemoval(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SLUICE_TEST_SEED"); given != "" {
		seed, _ = strconv.ParseUint(given, 10, 64)
	}
	t.Logf("SLUICE_TEST_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	on := newHost(t)
	c := crash{t: t, on: on, random: random, takes: map[string]time.Duration{}, under: map[string]time.Duration{}}
	began := time.Now()
	c.victim = newVictim(t, on, t.TempDir())
	c.url = c.victim.url()
	c.finishes = 2 * time.Since(began)
	for _, r := range removals { // measure how long each removal takes without a kill
		s, want := c.prepare(r)
		asked := time.Now()
		ended, status := c.send(s, r)
		c.waitUntilUnderWay(s, ended)
		begun := time.Now()
		<-ended
		c.takes[r.name], c.under[r.name] = time.Since(asked), time.Since(begun)
		if *status != http.StatusOK {
			t.Fatalf("%s, without a kill: %d, want 200", r.name, *status)
		}
		c.compare(s, want, r.name+", without a kill")
		c.clear(s)
	}
	for round := 0; round < len(removals) || c.killed < fewestCrashes ||
		c.killed < mostCrashes && !c.haveInterrupted(); round++ {
		c.round(round, removals[round%len(removals)])
	}
	t.Logf(
		"%d servers killed, %d of them in the middle of a removal, %d more while they finished one; until their answers, removals take %v, from their first write %v; a start that finishes a removal takes %s",
		c.killed,
		c.inside,
		c.resuming,
		c.takes,
		c.under,
		c.finishes,
	)
	if !c.haveInterrupted() {
		t.Errorf(
			"only %d of %d were killed in the middle of a removal, %d while they finished one", c.inside, c.killed, c.resuming,
		)
	}
}

type crash struct {
	t      *testing.T
	on     *backend
	random *rand.Rand
	victim *victim
	url    string // address of the killed server

	// takes has the duration of each removal from the request to its answer, and under the duration from its first
	// write to its answer. finishes is the duration of a start that finishes a removal. The kills adapt under and
	// finishes (see sooner).
	takes, under map[string]time.Duration
	finishes     time.Duration

	killed, inside, resuming int
}

// haveInterrupted reports whether enough kills have interrupted a removal, and whether at least one kill has
// interrupted a server that was finishing a removal.
func (c *crash) haveInterrupted() bool { return c.inside >= max(fewestCrashes/10, 1) && c.resuming > 0 }

// prepare writes the relationships of ulla's objects and access. It returns a scene whose caller may remove her, and
// the relationships that must be stored after the removal.
func (c *crash) prepare(r removal) (scene, []string) {
	c.t.Helper()
	s := newScene(c.t, c.on)
	rows := leaver()
	want := r.notes(s)
	for i, row := range rows {
		if after := r.becomes(row); after != "" {
			want = append(want, s.in(after))
		}
		rows[i] = s.in(row)
	}
	s.write(rows...)
	slices.Sort(want)
	s.url = c.url
	if r.actor != "" {
		s.caller = s.by(r.actor)
	}
	return s, want
}

func (c *crash) round(round int, r removal) {
	c.t.Helper()
	s, want := c.prepare(r)
	what := fmt.Sprintf("round %d, %s", round, r.name)
	ended, _ := c.send(s, r)
	if (round+round/len(removals))%2 == 0 { // each removal is killed in both ways, alternately
		c.kill(c.within(c.takes[r.name]))
	} else { // this kill comes after the first write, since a removal mostly reads before it
		c.waitUntilUnderWay(s, ended)
		c.kill(c.within(c.under[r.name]))
		c.under[r.name] = c.sooner(c.under[r.name], !c.isUnderWay(s))
	}
	if c.isUnderWay(s) {
		c.inside++
	}
	c.victim = newVictim(c.t, c.on, c.t.TempDir())
	if c.isUnderWay(s) { // also kill the server that finishes the removal
		c.kill(c.finishes/2 + c.within(c.finishes/2))
		c.finishes = c.sooner(c.finishes, !c.isUnderWay(s))
		if c.isUnderWay(s) {
			c.resuming++
		}
		c.victim = newVictim(c.t, c.on, c.t.TempDir())
	}
	if c.random.IntN(2) == 0 { // a running server gets the same request while the other server starts
		s.url = c.on.url
		s.must(http.MethodDelete, s.in(r.path), nil)
		c.compare(s, want, what+", by another server")
	}
	c.url = c.victim.url()
	s.url = c.url
	if c.isUnderWay(s) {
		c.t.Errorf("%s: the server is ready, but has not finished the removal", what)
	}
	s.must(http.MethodDelete, s.in(r.path), nil)
	c.compare(s, want, what)
	c.clear(s)
}

// send sends the request for the removal, and closes ended when the answer arrives or the request fails. The caller
// may read status after ended is closed.
func (c *crash) send(s scene, r removal) (ended <-chan struct{}, status *int) {
	done := make(chan struct{})
	status = new(int)
	request := s.request(http.MethodDelete, s.in(r.path), nil)
	go func() {
		defer close(done)
		if response, err := wire.RoundTrip(request); err == nil {
			*status = response.StatusCode
			_ = response.Body.Close()
		}
	}()
	return done, status
}

// sooner returns the maximum delay of the next kill, given the maximum d of the last one. It is shorter if the last
// kill came too late, and longer otherwise.
func (c *crash) sooner(d time.Duration, late bool) time.Duration {
	if late {
		return d * 3 / 4
	}
	return d * 9 / 8
}

// within returns a random duration of at most d.
func (c *crash) within(d time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(d) + 1))
}

// kill kills the server after a delay.
func (c *crash) kill(after time.Duration) {
	select {
	case <-time.After(after):
	case <-c.t.Context().Done():
	}
	c.victim.kill()
	c.killed++
}

// waitUntilUnderWay waits for the first write of a removal, or for its end.
func (c *crash) waitUntilUnderWay(s scene, ended <-chan struct{}) {
	c.t.Helper()
	for !c.isUnderWay(s) {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond): // more frequent reads would slow the removal down
		}
	}
}

func (c *crash) isUnderWay(s scene) bool {
	return len(readRelationships(
		c.t, c.on.spicedb, &v1.RelationshipFilter{ResourceType: "offboarding", OptionalResourceId: s.id("ulla")},
	)) > 0
}

// compare fails if the stored relationships of the scene differ from the expected ones.
func (c *crash) compare(s scene, want []string, what string) {
	c.t.Helper()
	if changed := difference(want, s.stored()); changed != "" {
		c.t.Fatalf("%s: the stored relationships differ:%.2000s", what, changed)
	}
}

// clear deletes all relationships of the scene.
func (c *crash) clear(s scene) {
	c.t.Helper()
	request := &v1.DeleteRelationshipsRequest{
		RelationshipFilter: &v1.RelationshipFilter{OptionalResourceIdPrefix: s.prefix},
	}
	if _, err := v1.NewPermissionsServiceClient(c.on.spicedb).DeleteRelationships(c.t.Context(), request); err != nil {
		c.t.Fatal(err)
	}
}
