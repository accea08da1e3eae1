package job_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
	"github.com/sluice-authz/sluice/internal/tx"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// emptying is a job that deletes the roles on an account. Its cut-off deletes the owners, one write with a filter
// deletes the guests, and each user is deleted by a write of its own. The last write deletes the record of the job.
// The job waits for the jobs in waitFor. It is canceled if the account is protected, that is, has the relation team.
type emptying struct {
	account authz.ID
	state   job.State
	waitFor []job.Job
	planned *[]string // records the calls of Next
}

func (e emptying) Record() authz.Object {
	return authz.Object{Type: "deletion", ID: "account/" + e.account}
}
func (e emptying) State() job.State { return e.state }
func (e emptying) Conflict() string { return "others keep changing " + string(e.account) }

func (e emptying) record() authz.Relationship {
	return authz.Relationship{Resource: e.Record(), Relation: "requested_by", Subject: authz.Everybody("user")}
}

func (e emptying) in(state job.State) emptying {
	e.state = state
	return e
}

func (e emptying) Next(ctx context.Context, failed int) (job.Step, error) {
	if e.planned != nil {
		*e.planned = append(*e.planned, fmt.Sprintf("%s %s %d", e.account, e.state, failed))
	}
	u := tx.New(store(ctx))
	if _, err := u.Check(ctx, []authz.Check{{}}); err != nil {
		return job.Step{}, err
	}
	metadata := map[string]any{"operation": "empty"}
	u.Require(e.record())
	roles := func(relation authz.Relation, limit int) ([]authz.Relationship, error) {
		return u.FindSome(ctx, authz.Filter{Type: "account", ID: e.account, Relation: relation}, limit)
	}
	recorded, err := u.FindSome(ctx, authz.Exactly(e.record()), 1)
	if err != nil {
		return job.Step{}, err
	}
	if len(recorded) == 0 { // another run has finished the job
		return job.Step{Then: e.in(job.Done)}, nil
	}
	switch e.state {
	case job.Requested:
		protected, err := roles("team", 1)
		if err != nil {
			return job.Step{}, err
		}
		if len(protected) > 0 {
			return job.Step{Then: e.in(job.Canceling)}, nil
		}
		owners, err := roles("owner", 0)
		for _, r := range owners {
			u.Delete(r)
		}
		return job.Step{Unit: u, Metadata: metadata, Then: e.in(job.Cleaning)}, err
	case job.Canceling:
		u.Delete(e.record())
		return job.Step{Unit: u, Then: e.in(job.Canceled), Cause: errProtected}, nil
	default:
		return e.clean(ctx, u, metadata, roles)
	}
}

// clean plans a step after the cut-off.
func (e emptying) clean(
	ctx context.Context, u *tx.Unit, metadata map[string]any,
	roles func(authz.Relation, int) ([]authz.Relationship, error),
) (job.Step, error) {
	guests, err := roles("guest", 1)
	if err != nil {
		return job.Step{}, err
	}
	if len(guests) > 0 {
		filter := authz.Filter{Type: "account", ID: e.account, Relation: "guest"}
		return job.Step{Unit: u, DeleteAll: &filter, Metadata: metadata, Then: e}, nil
	}
	users, err := roles("user", 1)
	if err != nil {
		return job.Step{}, err
	}
	for _, r := range users {
		u.Delete(r)
		return job.Step{Unit: u, Metadata: metadata, Then: e}, nil
	}
	for _, other := range e.waitFor {
		recorded, err := u.FindSome(ctx, authz.Filter{Type: "deletion", ID: other.Record().ID}, 1)
		if err != nil {
			return job.Step{}, err
		}
		if len(recorded) > 0 {
			return job.Step{WaitFor: []job.Job{other}}, nil
		}
	}
	u.Delete(e.record())
	u.Forbid(authz.Filter{Type: "account", ID: e.account})
	return job.Step{Unit: u, Metadata: metadata, Then: e.in(job.Done)}, nil
}

var (
	errProtected = errors.New("the account is protected")
	errStopped   = errors.New("the server stopped")
)

type storeKey struct{}

// store returns the store that the test put into the context.
func store(ctx context.Context) job.Store { return ctx.Value(storeKey{}).(job.Store) }

// run runs a job on a store.
func run(ctx context.Context, s job.Store, j job.Job) (job.Job, authz.Token, error) {
	return job.Run(context.WithValue(ctx, storeKey{}, s), s, j)
}

// stopping is a store that accepts a number of writes and then fails, as if the server had stopped.
type stopping struct {
	*txtest.Store
	writes int
}

func (s *stopping) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if s.writes == 0 {
		return "", errStopped
	}
	s.writes--
	return s.Store.Write(ctx, write)
}

func (s *stopping) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	if s.writes == 0 {
		return "", errStopped
	}
	s.writes--
	return s.Store.DeleteAll(ctx, filter, preconditions, metadata)
}

// stored are the relationships at the start of a test: account a with five roles, account b with two, and the record
// of a job for each account.
var stored = []string{
	"account:a#owner@user:olga", "account:a#guest@user:gina", "account:a#guest@user:gus",
	"account:a#user@user:uma", "account:a#user@user:ulf", "deletion:account/a#requested_by@user:*",
	"account:b#owner@user:olga", "account:b#user@user:uma", "deletion:account/b#requested_by@user:*",
}

// TestInterruptedJobContinues stops a job that waits for another job, after each possible number of writes. Each time,
// the record of the job must suffice to finish it.
func TestInterruptedJobContinues(t *testing.T) {
	a := emptying{account: "a", waitFor: []job.Job{emptying{account: "b"}}}
	const writes = 5 + 3 // job a: cut-off, all guests, two writes for one user each, record; job b: three writes
	for stop := range writes + 1 {
		s := &stopping{txtest.New(txtest.Relationships(t, stored...)...), stop}
		_, _, err := run(t.Context(), s, a)
		if stop < writes {
			require.ErrorIs(t, err, errStopped)
			require.NotEmpty(t, s.Stored())
			require.Contains(t, s.Stored(), "deletion:account/a#requested_by@user:*")
		}
		s.writes = writes
		ended, token, err := run(t.Context(), s, a)
		require.NoError(t, err)
		require.Equal(t, job.Done, ended.State())
		require.Empty(t, s.Stored(), "stopped after %d writes", stop)
		if stop < writes {
			require.Equal(t, stop, s.writes, "no write is repeated")
			require.Equal(t, authz.Token(fmt.Sprint(writes+1)), token, "Run must return the token of the last write")
		}
	}
}

func TestStepIsRetriedWhenPreconditionFails(t *testing.T) {
	s := txtest.New(txtest.Relationships(t, "account:a#owner@user:olga", "deletion:account/a#requested_by@user:*")...)
	late := 3
	s.BeforeWrite = func() {
		if late > 0 && len(s.Stored()) == 1 { // this write began before the cut-off, and is stored only now
			late--
			s.Put(txtest.Relationship(t, fmt.Sprintf("account:a#user@user:late%d", late)))
		}
	}
	var planned []string
	_, _, err := run(t.Context(), s, emptying{account: "a", planned: &planned})
	require.NoError(t, err)
	require.Empty(t, s.Stored())
	require.Equal(t, []string{
		"a requested 0", "a cleaning 0", "a cleaning 1", "a cleaning 0", "a cleaning 1", "a cleaning 0", "a cleaning 1",
		"a cleaning 0",
	}, planned, "attempts are counted for each step")
	require.Equal(t, "empty", s.LastMetadata()["operation"])
}

func TestStepThatKeepsFailingIsConflict(t *testing.T) {
	s := txtest.New(txtest.Relationships(t, "deletion:account/a#requested_by@user:*", "account:b#user@user:uma")...)
	attempts := 0
	s.BeforeWrite = func() {
		attempts++
		// The job does not delete this relationship, so the precondition of its last write fails.
		s.Put(txtest.Relationship(t, "account:a#admin@user:eve"))
	}
	_, _, err := run(t.Context(), s, emptying{account: "a"})
	require.ErrorIs(t, err, authz.CodeConflict)
	require.ErrorContains(t, err, "others keep changing a")
	require.Equal(t, tx.MaxAttempts, attempts)

	ctx, cancel := context.WithCancel(t.Context())
	s.BeforeWrite = func() { cancel() }
	_, _, err = run(ctx, s, emptying{account: "a"})
	require.ErrorIs(t, err, authz.CodeDeadline, "the caller's context ends the job")
}

func TestCanceledJob(t *testing.T) {
	texts := append([]string{"account:b#team@user:*"}, stored...)
	s := txtest.New(txtest.Relationships(t, texts...)...)
	ended, _, err := run(t.Context(), s, emptying{account: "a", waitFor: []job.Job{emptying{account: "b"}}})
	require.NoError(t, err, "it is no error if a job for which Run waits is canceled")
	require.Equal(t, job.Done, ended.State())
	require.Equal(t, []string{"account:b#owner@user:olga", "account:b#team@user:*", "account:b#user@user:uma"}, s.Stored())

	s.Put(emptying{account: "b"}.record())
	ended, _, err = run(t.Context(), s, emptying{account: "b"})
	require.ErrorIs(t, err, errProtected)
	require.Equal(t, job.Canceled, ended.State())
	require.NotContains(t, s.Stored(), "deletion:account/b#requested_by@user:*")
}

func TestJobsThatWaitForEachOther(t *testing.T) {
	s := txtest.New(txtest.Relationships(t, stored...)...)
	b := emptying{account: "b", waitFor: []job.Job{emptying{account: "a"}}}
	_, _, err := run(t.Context(), s, emptying{account: "a", waitFor: []job.Job{b}})
	require.ErrorIs(t, err, authz.CodeConflict)
	require.ErrorContains(t, err, "deletion:account/b and deletion:account/a wait for each other")
}

// TestDeleteAllNeedsPreconditions lets another server finish the job after a step with DeleteAll is planned, and
// before it is written. The write must then delete nothing.
func TestDeleteAllNeedsPreconditions(t *testing.T) {
	guest := "account:a#guest@user:gina"
	a := emptying{account: "a", state: job.Cleaning}
	s := txtest.New(a.record(), txtest.Relationship(t, guest))
	s.BeforeWrite = func() { s.Remove(a.record()) }
	_, _, err := run(t.Context(), s, a)
	require.NoError(t, err)
	require.Equal(t, []string{guest}, s.Stored())
}

// TestJobRunsTwiceAtTheSameTime lets two servers run the same job.
func TestJobRunsTwiceAtTheSameTime(t *testing.T) {
	for range 20 {
		s := txtest.New(txtest.Relationships(t, stored...)...)
		group, ctx := errgroup.WithContext(t.Context())
		for range 2 {
			group.Go(func() error {
				_, _, err := run(ctx, s, emptying{account: "a", waitFor: []job.Job{emptying{account: "b"}}})
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Empty(t, s.Stored())
	}
}
