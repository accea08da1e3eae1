package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// VisibilityRules say which permissions show objects, roles and invitations to a person.
var VisibilityRules = visibility.Rules{
	Objects: func(t authz.Type) []authz.Permission {
		if visible := kindOf(t).visible; visible != "" {
			return []authz.Permission{visible}
		}
		return nil
	},
	Roles:       func(t authz.Type) authz.Permission { return kinds[t].list },
	Invitations: func(t authz.Type) authz.Permission { return kinds[t].invitations },
	Place:       Place,
	IsOwn:       func(t authz.Type) bool { return !Writes(t) && t != user },
	People:      user,
}

// readerOf returns the actor as a reader. Without an actor, the reader sees everything if the API key may read
// everything, otherwise nothing.
func readerOf(p *plan) visibility.Reader {
	return visibility.Reader{Subject: p.actor(), All: p.by.Actor == "" && p.by.Inspects}
}

// viewOf returns the view of readerOf at the plan's snapshot, see viewFor.
func viewOf(p *plan) *visibility.View { return viewFor(p, readerOf(p)) }

// viewFor returns the view of a reader at the plan's snapshot. If a check fails, the view returns its error.
func viewFor(p *plan, reader visibility.Reader) *visibility.View {
	return visibility.New(VisibilityRules, reader, func(ctx context.Context, checks []authz.Check) ([]bool, error) {
		return decide(ctx, p, checks)
	})
}

// hidingViewOf returns the view of a reader at the plan's snapshot. If a check fails, the view hides the object, so
// that a list can still show the others.
func hidingViewOf(p *plan, reader visibility.Reader) *visibility.View {
	return visibility.New(VisibilityRules, reader, visibility.HideUndecided(p.Check))
}
