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
	People:      user,
}

// viewOf returns the view of the actor at the plan's snapshot, see viewFor. Without an actor, it shows nothing.
func viewOf(p *plan) *visibility.View { return viewFor(p, visibility.Reader{Subject: p.actor()}) }

// viewFor returns the view of a reader at the plan's snapshot. If a check cannot be decided, the view returns its
// error.
func viewFor(p *plan, reader visibility.Reader) *visibility.View {
	return visibility.New(VisibilityRules, reader, func(ctx context.Context, checks []authz.Check) ([]bool, error) {
		return decide(ctx, p, checks)
	})
}

// hidingViewOf returns the view of a reader at the plan's snapshot. If a check cannot be decided, the view hides the
// object, so that the rest of a list can be shown.
func hidingViewOf(p *plan, reader visibility.Reader) *visibility.View {
	return visibility.New(VisibilityRules, reader, visibility.HideUndecided(p.Check))
}
