package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Reassigned reports how a removal changed the objects that the removed person had created.
type Reassigned struct {
	// Importers and Connections have the new creator. Private connections are not among them.
	Importers, Connections Named

	// PrivateMoved is how many private connections have the new creator. PrivateDisconnected is how many private
	// connections were deleted.
	PrivateMoved, PrivateDisconnected int
}

// reassignment says how one object that a person had created changed.
type reassignment struct {
	from, to              authz.ID
	object                authz.Object
	private, disconnected bool
}

// addReassigned records that the plan's write reassigns or deletes an object.
func addReassigned(p *plan, d offboarding, c created, disconnected bool) {
	p.reassigned = append(p.reassigned, reassignment{d.who, d.newOwner, c.object(), c.private(), disconnected})
}

// reportReassigned reports the objects that an offboarding reassigned. It names only objects that the actor may view
// now. For a replay it returns nil, since Sluice does not store the list.
func (s *Service) reportReassigned(
	ctx context.Context, by Caller, d offboarding, done performed,
) (*Reassigned, error) {
	if done.IsReplay {
		return nil, nil //nolint:nilnil // a replay reports nothing
	}
	var report Reassigned
	ids := make(map[authz.Type][]authz.ID)
	for _, r := range done.reassigned {
		switch {
		case r.from != d.who || r.to != d.newOwner: // the object belongs to another offboarding, which this call finished
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
