package tests

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// TestKilledWhileItFollows repeatedly kills a server at random moments, while a client writes to the SpiceDB that
// the servers use. The killed servers use the same audit log, one after the other. At the end, this log must have
// every change once, in order, and its chain of hashes must be valid.
func TestKilledWhileItFollows(t *testing.T) {
	t.Parallel()
	on := newHost(t)
	s := newScene(t, on)
	directory := t.TempDir()
	stop, stopped := make(chan struct{}), make(chan []string)
	write := func(n int) string {
		one := s.in(fmt.Sprintf("account:~a#user@user:~%d", n))
		s.write(one)
		return " touch " + one
	}
	first := newVictim(t, on, directory)
	first.url()
	go func() {
		// The writer is slow, so that the servers that start can use most of the machine.
		pause := time.NewTicker(5 * time.Millisecond)
		defer pause.Stop()
		var written []string
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- written
				return
			case <-pause.C:
				written = append(written, write(n))
			}
		}
	}()
	first.kill()
	following, kills := 0, testsize.Of(3, 6)
	for range kills {
		v := newVictim(t, on, directory)
		c := newCaller(t, v.url())
		if entries, _ := c.page("limit=1"); len(entries) == 1 && entries[0].Kind == "change" {
			following++
		}
		time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Millisecond)))) // the server is killed at a random moment
		v.kill()
	}
	close(stop)
	written := <-stopped
	last := newVictim(t, on, directory)
	c := newCaller(t, last.url())
	c.history("object=user:"+s.id(fmt.Sprint(len(written)-1)), atLeast(1))
	last.kill()
	t.Logf(
		"%d writes; when they became ready, %d of %d servers had logged some of them", len(written), following, kills,
	)

	log, err := app.ReadAudit(t.Context(), directory, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	report, err := log.Verify(t.Context(), "", app.ExpectedAudit())
	if err != nil || len(report.Faults) > 0 {
		t.Fatalf("%v %v", err, report.Faults)
	}
	var reported []string
	for after, more := int64(0), true; more; {
		found, err := log.Find(t.Context(), audit.Query{After: &after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			after = e.Seq
			for _, u := range e.Updates {
				reported = append(reported, " "+u.Action+" "+u.Relationship().String())
			}
			if e.Kind == audit.Gap {
				t.Errorf("the entry %d records a gap", e.Seq)
			}
		}
		more = len(found) > 0
	}
	if !slices.Equal(reported, written) {
		t.Errorf("of %[2]d updates, %[1]d are in the log", len(reported), len(written))
	}
}
