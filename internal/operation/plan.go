package operation

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

const (
	user           authz.Type = "user"
	serviceAccount authz.Type = "service_account"
)

// plan is one attempt at an operation: a unit of work, and the state that the product's rules need until the
// commit. The write has, as preconditions, all facts on which the plan's decisions depend, see requireDecision. The
// schema has no exclusions, so a check stays allowed as long as the relationships that allow it are stored.
type plan struct {
	*tx.Unit
	engine   Engine
	by       Caller
	now      time.Time // start of the attempt
	isRetry  bool      // an earlier attempt failed at a precondition
	isReplay bool      // the operation was performed before under its idempotency key
	halved   int       // how often conflicts halved the size of an offboarding's write, see fitsOffboarding

	// arriving are people who are given their first role on an object.
	arriving []authz.ID
	// ending are the shares to delete, see endSharesAndInvitations.
	ending []endShares
	// leftovers are shares to delete, of people who held no role on the account before the plan.
	leftovers []endShares
	endsRoles bool // the plan ends all roles of a person on an account
	// invitationsRead is how many invitations the plan has read, see withdrawInvitations.
	invitationsRead int
	// named are the connection shares and workspace memberships of people whose roles the plan ends. namedRead is how
	// many of them the plan has read, see readNamedFirst.
	named     map[authz.ID]namedFirst
	namedRead int
	// created says what people created whose removal the plan begins, see readCreatedFirst.
	created map[authz.ID]createdFirst
	// removals is how many people the plan removes from an account, see excludeNaming.
	removals      int
	formerMembers []formerMember
	withdrawing   []withdrawal
	// withdrawingGroups are groups whose withdrawals the write begins, see groupWithdrawal.
	withdrawingGroups []authz.Object
	granted           []explicitGrant
	// memberships is how many memberships of the subscription end with a role on an account.
	memberships int
	settled     bool // settleMemberships has run
	// offboardings has the offboardings that the write begins.
	offboardings []offboarding
	reassigned   []reassignment // objects that the write reassigns
	// portions divides the changes among several writes. It is nil if one write has all of them.
	portions *portions
	// chunks divides updates that do not depend on each other among several writes. It is nil if one write has all.
	chunks *chunks
	// leaving divides the end of memberships of groups among several writes. It is nil if one write has all.
	leaving *leaving
	// forbidden is how many preconditions are about custom roles that people do not hold, see maxForbiddenRoles.
	forbidden int
	// lowered is how many updates store a weaker or shorter role, see roleChange.lowers.
	lowered int
	decided map[authz.Object]bool // see requireDecision
	// offboarded are the people whose offboardings are under way. It is nil until readOffboarded has read them.
	offboarded map[authz.ID]bool
}

// maxRead is the default limit for calls that only read, for example GetAccount: the number of relationships that one
// call may read. WithMaxRead changes it.
const maxRead = 500_000

func newPlan(engine Engine, by Caller, options ...tx.Option) *plan {
	if by.Idempotency != nil {
		options = append(options, tx.WithReserved(1)) // see rememberKey
	}
	return &plan{
		Unit: tx.New(engine, options...), engine: engine, by: by, now: time.Now(), decided: make(map[authz.Object]bool),
		named: make(map[authz.ID]namedFirst), created: make(map[authz.ID]createdFirst),
	}
}

// observer returns a plan that reads the same snapshot. The write does not depend on its decisions.
func (p *plan) observer() *plan {
	observer := newPlan(p.engine, p.by)
	observer.isReplay = p.isReplay
	observer.Unit = p.Observer()
	return observer
}

// isPlanned reports whether the plan updates a relationship.
func isPlanned(p *plan, r authz.Relationship) bool {
	_, planned := p.Planned(r)
	return planned
}

// actor is the person or service account that performs the operation.
func (p *plan) actor() authz.Subject { return p.by.Actor.Subject() }

func person(id authz.ID) authz.Subject {
	return authz.Subject{Object: authz.Object{Type: user, ID: id}}
}

// commit writes the plan and returns the token of the write. A plan without updates writes nothing, and returns the
// token of the state that it has read.
func (p *plan) commit(ctx context.Context, operation string) (authz.Token, error) {
	if len(p.Updates()) == 0 {
		return p.head(ctx)
	}
	if err := beforeCommit(p); err != nil {
		return "", err
	}
	return p.Commit(ctx, p.by.metadata(operation))
}

// beforeCommit checks the updates of a complete plan and adds its last preconditions.
func beforeCommit(p *plan) error {
	if err := rejectForeignIDs(p); err != nil {
		return err
	}
	forbidOffboardings(p)
	return nil
}

// head returns the token of the state that the plan reads. If the plan has read nothing yet, it will read the newest
// state.
func (p *plan) head(ctx context.Context) (authz.Token, error) {
	if p.Snapshot() == "" {
		check := authz.Check{Subject: only(platform), Permission: "administer", Resource: platform}
		if _, err := p.Check(ctx, []authz.Check{check}); err != nil {
			return "", err
		}
	}
	return p.Snapshot(), nil
}

// checkSize returns an error with CodeTooLarge if the plan does not fit one write.
func checkSize(p *plan) error {
	updates, preconditions := len(p.Updates()), len(p.Preconditions())+min(len(p.arriving), 1) // see forbidOffboardings
	if p.by.Idempotency != nil && !isPlanned(p, p.by.done()) {                                 // see rememberKey
		updates, preconditions = updates+1, preconditions+1
	}
	return tx.CheckSize(updates, preconditions)
}

// checkWritten returns an error with CodeTooLarge if the plan gives more access than one write can store. It does not
// count updates that only take access away, since several writes can divide them. A loop that adds updates calls
// checkWritten before it reads more.
func checkWritten(p *plan) error {
	written := -p.lowered
	for _, u := range p.Updates() {
		if u.Action != authz.Delete {
			written++
		}
	}
	return tx.CheckSize(written, 0)
}

// requireSome adds as many of the preconditions as one write can hold beside the preconditions of an offboarding. It
// leaves some out only if an operation decides about very many accounts. The write then does not verify the facts in
// these.
func requireSome(p *plan, preconditions []authz.Precondition) {
	for _, c := range preconditions {
		if len(p.Preconditions()) < authz.MaxUpdates-maxUpdatesPerPlace {
			p.AddPrecondition(c)
		}
	}
}

// withoutKey returns the caller without an idempotency key, for the writes of a job: the operation that started the
// job stores the key.
func (c Caller) withoutKey() Caller {
	c.Idempotency = nil
	return c
}

// metadata returns the metadata of the transaction, which SpiceDB stores.
func (c Caller) metadata(operation string) map[string]any {
	metadata := map[string]any{"actor": string(c.Actor), "key": c.Key, "operation": operation, "request_id": c.RequestID}
	if c.Reason != "" {
		metadata["reason"] = c.Reason
	}
	return metadata
}
