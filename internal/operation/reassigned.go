package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Reassigned is what a removal with a new creator did with the objects that the person had created.
type Reassigned struct {
	// Importers and Connections became those of the new creator, private connections excepted.
	Importers, Connections Named

	// PrivateMoved and PrivateDisconnected are how many private connections became those of the new creator, and were
	// deleted.
	PrivateMoved, PrivateDisconnected int
}

// reassignments collects what the writes of one call reassigned, from one person to another.
type reassignments struct {
	from, to authz.ID
	done     []reassignment
}

// reassignment is what became of one object that a person had created.
type reassignment struct {
	object                authz.Object
	private, disconnected bool
}

// noteReassigned notes that a plan reassigns an object, or deletes it. The note counts once the plan is written.
func noteReassigned(p *plan, d offboarding, c created, disconnected bool) {
	if into := p.by.reassigned; into != nil && into.from == d.who && into.to == d.newOwner {
		p.reassigns = append(p.reassigns, reassignment{c.object(), c.private(), disconnected})
	}
}

// countReassigned counts what a plan that is written reassigned.
func countReassigned(p *plan) {
	if p.by.reassigned != nil {
		p.by.reassigned.done = append(p.by.reassigned.done, p.reassigns...)
	}
}

// reportReassigned reports what a call reassigned, which is done: it names the objects that the actor may view now. Of
// a repeated call nothing is known.
func (s *Service) reportReassigned(ctx context.Context, by Caller) (*Reassigned, error) {
	if by.replayed() {
		return nil, nil //nolint:nilnil // nothing is known
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
