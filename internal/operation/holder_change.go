package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// holdersRows returns a filter for the roles of all holders of a type on an object.
func holdersRows(object authz.Object, holders authz.Type) authz.Filter {
	return authz.Filter{Type: object.Type, ID: object.ID, SubjectType: holders}
}

// readHolderRoles reads the roles of the set that a holder has on an object, in the order of the set.
func readHolderRoles(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, holder authz.Holder,
) ([]authz.Relationship, error) {
	found, err := readHeld(ctx, p, object, holder)
	return inOrder(found, set), err
}

// inOrder returns the relationships that store roles of the set, in the order of the set.
func inOrder(found []authz.Relationship, set authz.RoleSet) (held []authz.Relationship) {
	for _, name := range set.Names() {
		for _, r := range found {
			if authz.RoleOf(r) == name && !r.Subject.Wildcard {
				held = append(held, r)
			}
		}
	}
	return held
}

func groupHolder(id authz.ID) authz.Holder { return authz.Holder{Type: authz.TypeGroup, ID: id} }

// holderRolesOf returns the roles that the relationships of a holder store.
func holderRolesOf(holder authz.Holder, held []authz.Relationship) HolderRoles {
	return HolderRoles{Holder: holder, Roles: rolesOf(held), ExpiresAt: lastEnd(held)}
}

// parseHolderRoles parses the names of the roles that a group or service account is to hold. A group may hold an
// additional role without a base role, since its members can have a base role in another way. The error has
// CodeInvalid if the list is empty or names a role that only people can hold.
func parseHolderRoles(set authz.RoleSet, names []string, holder authz.Holder) ([]authz.Role, error) {
	var allowed []authz.Role
	for _, role := range set.Names() {
		if !set.IsForPeopleOnly(role) {
			allowed = append(allowed, role)
		}
	}
	if len(allowed) == 0 {
		return nil, authz.Errorf(authz.CodeInvalid,
			"under the role set %s, only people hold built-in roles on the %s, so %s can hold only custom roles",
			set.Name, set.On, holder)
	}
	if len(names) == 0 {
		return nil, authz.Errorf(
			authz.CodeInvalid, "roles must name at least one of %s; to remove all roles of %s, use DELETE",
			list(allowed), holder,
		)
	}
	for i, name := range names {
		if role := authz.Role(name); slices.Contains(set.Names(), role) && set.IsForPeopleOnly(role) {
			return nil, authz.Errorf(authz.CodeInvalid,
				"roles[%d]: only people hold the role %s, so %s cannot; it can hold %s", i, role, holder, list(allowed))
		}
	}
	if holder.Type == authz.TypeServiceAccount {
		return set.Parse(names)
	}
	return set.ParseAdded(names)
}

// holderChange replaces the roles of a group or service account on an object by the wanted roles. If until is set,
// the wanted roles end at that time.
type holderChange struct {
	object authz.Object
	set    authz.RoleSet
	holder authz.Holder
	held   []authz.Relationship
	wanted []authz.Role
	until  time.Time
}

// stored returns the relationship that stores a role of the holder, if the holder has it.
func (c holderChange) stored(role authz.Role) (authz.Relationship, bool) {
	i := slices.IndexFunc(c.held, func(r authz.Relationship) bool { return authz.RoleOf(r) == role })
	if i < 0 {
		return authz.Relationship{}, false
	}
	return c.held[i], true
}

// gives reports whether the change gives the holder a role, or makes a role last longer.
func (c holderChange) gives(role authz.Role) bool {
	if !slices.Contains(c.wanted, role) {
		return false
	}
	held, has := c.stored(role)
	return !has || !held.ExpiresAt.IsZero() && (c.until.IsZero() || c.until.After(held.ExpiresAt))
}

// changes reports whether the change gives or removes a role.
func (c holderChange) changes(role authz.Role) bool {
	_, has := c.stored(role)
	return c.gives(role) || has && !slices.Contains(c.wanted, role)
}

// reduces reports whether the holder no longer has the rights of one of its roles after the change.
func (c holderChange) reduces() bool {
	return !slices.Equal(c.set.Union(c.wanted, rolesOf(c.held)), c.wanted)
}

// plan plans the change, with the other updates that it needs. The first role of a group on an account ends stale
// shares of its members. A role that it gets on an account withdraws invitations that its members sent while they held
// an earlier role there. If the change reduces the roles of a group, the plan closes invitations of its members, see
// closeInvitationsOfGroup. If an earlier change of the group did so and was interrupted, run finishes it first. If a
// service account gets its first role or loses its last one, the plan withdraws the invitations that it sent to the
// object: an expired role leaves such invitations behind, and a new role must not make them valid again.
func (c holderChange) plan(ctx context.Context, p *plan) error {
	if err := requireKnownBindings(ctx, p, c.object); err != nil {
		return err
	}
	if c.holder.Type == serviceAccount {
		if len(c.held) == 0 || len(c.wanted) == 0 {
			if err := withdrawSent(ctx, p, c.holder, c.object); err != nil {
				return err
			}
		}
		c.write(p)
		return nil
	}
	if err := finishGroupWithdrawal(ctx, p, c.holder.Object()); err != nil {
		return err
	}
	if len(c.held) == 0 && len(c.wanted) > 0 && c.object.Type == "account" {
		if err := endStaleSharesOfMembers(ctx, p, c.object, c.holder.ID); err != nil {
			return err
		}
	}
	if c.object.Type == "account" && slices.ContainsFunc(c.wanted, c.gives) {
		if err := withdrawLeftByMembers(ctx, p, c.object, c.holder.ID); err != nil {
			return err
		}
	}
	c.write(p)
	if !c.reduces() {
		return nil
	}
	return closeInvitationsOfGroup(ctx, p, c.holder.Object(), c.object)
}

// withdrawSent plans to withdraw the open invitations to an account or subscription that a holder sent.
func withdrawSent(ctx context.Context, p *plan, holder authz.Holder, to authz.Object) error {
	rows, err := p.Find(ctx, authz.Filter{
		Type: invitationType, Relation: invitedBy, SubjectType: holder.Type, SubjectID: holder.ID,
	})
	if err != nil {
		return err
	}
	open, err := filterOpen(ctx, p, handlesIn(rows))
	for _, stored := range open {
		if stored.To == to {
			p.DeleteFirst(deletedWith(stored))
		}
	}
	return err
}

// write plans the change. It requires as preconditions that the holder still has exactly the roles that were read.
func (c holderChange) write(p *plan) {
	for _, role := range c.set.Names() {
		row := c.set.Row(c.object, role, c.holder.Subject())
		held, has := c.stored(role)
		if has {
			p.Require(row)
		} else {
			p.Forbid(authz.Exactly(row))
		}
		switch isWanted := slices.Contains(c.wanted, role); {
		case has && !isWanted:
			p.Delete(row)
		case isWanted && (!has || !held.ExpiresAt.Equal(c.until)):
			row.ExpiresAt = c.until
			p.Update(authz.Touch, row)
		}
	}
}

// limitHolderEnd limits the end of the roles that a change gives to the end of the actor's right to grant roles on
// the account, as limitEnd does for people. A change without an end gets this end. If the requested end is later, the
// error has CodeForbidden.
func limitHolderEnd(ctx context.Context, p *plan, account accountFacts, change holderChange) (holderChange, error) {
	if !slices.ContainsFunc(change.wanted, change.gives) {
		return change, nil
	}
	end, err := readGrantEnd(ctx, p, account)
	if err != nil || end.IsZero() || !change.until.IsZero() && !change.until.After(end) {
		return change, err
	}
	if !change.until.IsZero() {
		return change, grantEndError(p, account, end)
	}
	change.until = end
	return change, nil
}
