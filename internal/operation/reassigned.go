package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Reassigned reports how a removal with a new owner changed the objects that the person had created.
type Reassigned struct {
	// Importers and Connections have the new creator. Private connections are not among them.
	Importers, Connections Named

	// PrivateMoved is how many private connections have the new creator, PrivateDisconnected how many were deleted.
	PrivateMoved, PrivateDisconnected int
}

// reassignments collects the objects that the writes of one call reassigned, from one person to another.
type reassignments struct {
	from, to authz.ID
	done     []reassignment
}

// reassignment says how one object that a person had created changed.
type reassignment struct {
	object                authz.Object
	private, disconnected bool
}

// noteReassigned records that a plan reassigns or deletes an object. countReassigned counts it once the plan is
// written.
func noteReassigned(p *plan, d offboarding, c created, disconnected bool) {
	if into := p.by.reassigned; into != nil && into.from == d.who && into.to == d.newOwner {
		p.reassigns = append(p.reassigns, reassignment{c.object(), c.private(), disconnected})
	}
}

// countReassigned counts the objects that a written plan reassigned.
func countReassigned(p *plan) {
	if p.by.reassigned != nil {
		p.by.reassigned.done = append(p.by.reassigned.done, p.reassigns...)
	}
}

// reportReassigned reports the objects that a finished call reassigned, and names those that the actor may view now.
// It returns nil for a replay, since the objects are not stored.
func (s *Service) reportReassigned(ctx context.Context, by Caller) (*Reassigned, error) {
	if by.replayed() {
		return nil, nil //nolint:nilnil // a replay reports nothing
	}
	var report Reassigned
	ids := make(map[authz.Type][]authz.ID)
	for _, r := range by.reassigned.done {
		switch {
		case r.disconnected:
			report.PrivateDisconnected++
		case r.private:
			report.PrivateMoved++
		default:
			ids[r.object.Type] = append(ids[r.object.Type], r.object.ID)
		}
	}
	_, err := s.read(ctx, by, func(ctx context.Context, p *plan) (err error) {
		if report.Importers, err = nameVisible(ctx, p, "importer", ids["importer"]); err != nil {
			return err
		}
		report.Connections, err = nameVisible(ctx, p, "connection", ids["connection"])
		return err
	})
	return &report, err
}
