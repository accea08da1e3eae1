package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Stale shares are the connection shares and workspace memberships that an expired role left behind. They give
// nothing while the person has no role on the account. If the person gets a role there through a group, the same
// write must delete them.

// maxJoining is how many updates the plan of one write has for people who join a group, including the end of their
// stale shares.
const maxJoining = authz.MaxUpdates * 9 / 10

// readStaleShares reads the stale shares of a person who joins a group: those in accounts on which the group holds
// roles and on which the person has no role, neither directly nor through another group. It requires as preconditions
// that this is still so.
func readStaleShares(ctx context.Context, p *plan, group, who authz.ID) ([]endShares, error) {
	rows := make(map[authz.ID][]authz.Relationship)
	var account authz.ID
	in := func(id authz.ID) bool {
		account = id
		return id != ""
	}
	err := forEachNamed(ctx, p, who, in, func(r authz.Relationship) bool {
		rows[account] = append(rows[account], r)
		return true
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	holds, err := readAccountsOfGroup(ctx, p, group)
	if err != nil {
		return nil, err
	}
	var stale []endShares
	for _, id := range sortedKeys(rows) {
		if !holds[id] {
			if err := requireNoRoles(ctx, p, accountObject(id), groupHolder(group)); err != nil {
				return nil, err
			}
			continue
		}
		isPresent, err := readIsPresent(ctx, p, accountObject(id), who)
		if err != nil {
			return nil, err
		}
		if !isPresent {
			if err := requireNoRoles(ctx, p, accountObject(id), authz.Person(who)); err != nil {
				return nil, err
			}
			stale = append(stale, endShares{who: who, from: accountObject(id), arrives: true, rows: rows[id]})
		}
	}
	return stale, nil
}

// readAccountsOfGroup reads the accounts on which a group holds roles.
func readAccountsOfGroup(ctx context.Context, p *plan, group authz.ID) (map[authz.ID]bool, error) {
	roles, err := readRolesOn(ctx, p, groupHolder(group), "account")
	accounts := make(map[authz.ID]bool, len(roles))
	for _, r := range roles {
		accounts[r.place.ID] = true
	}
	return accounts, err
}

// readIsPresent reports whether a person has a role on an account, directly or through a group.
func readIsPresent(ctx context.Context, p *plan, account authz.Object, who authz.ID) (bool, error) {
	direct, err := readHeld(ctx, p, account, authz.Person(who))
	if err != nil || len(direct) > 0 {
		return true, err
	}
	roles, err := readGroupRoles(ctx, p, account, who)
	return len(roles) > 0, err
}

// requireNoRoles requires as preconditions that a holder has no role on an account, as far as they fit the write.
func requireNoRoles(ctx context.Context, p *plan, account authz.Object, holder authz.Holder) error {
	absent, err := absentRoles(ctx, p, account, holder)
	requireSome(p, absent)
	return err
}

// endStaleSharesOfMembers plans to delete the stale shares of people who get their only role on an account when a
// group gets its first role there. It reads the shares in the account, and no members of the group without shares.
// If one write cannot delete all of them, earlier writes delete them before the group gets the role.
func endStaleSharesOfMembers(ctx context.Context, p *plan, account authz.Object, group authz.ID) error {
	shares, err := readSharesIn(ctx, p, account)
	if err != nil {
		return err
	}
	people := sortedKeys(shares)
	objects, err := readRoleObjects(ctx, p, account)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(people, readChunk) {
		var filters []authz.Filter
		for _, who := range chunk {
			for _, object := range objects {
				filters = append(filters, rowsOfPerson(object, who))
			}
		}
		if _, err := p.FindAll(ctx, filters); err != nil { // so that readIsPresent finds them in memory
			return err
		}
	}
	p.AllowSplit()
	for _, who := range people {
		isPresent, err := readIsPresent(ctx, p, account, who)
		if err != nil {
			return err
		}
		if isPresent {
			continue
		}
		isMember, err := readIsMember(ctx, p, group, who)
		if err != nil {
			return err
		}
		if !isMember {
			continue
		}
		if err := requireNoRoles(ctx, p, account, authz.Person(who)); err != nil {
			return err
		}
		deleteIf(p, true, shares[who])
	}
	return nil
}

// readIsMember reports whether a person is a member of a group. If they are not, it requires as a precondition that
// they do not join at the same time, as far as this fits the write.
func readIsMember(ctx context.Context, p *plan, group, who authz.ID) (bool, error) {
	membership := authz.Exactly(authz.Relationship{
		Resource: groupObject(group), Relation: groupMember, Subject: person(who),
	})
	found, err := p.Find(ctx, membership)
	if len(found) == 0 {
		requireSome(p, []authz.Precondition{{Absent: true, Filter: membership}})
	}
	return len(found) > 0, err
}

// readSharesIn reads the connection shares and workspace memberships of people in an account.
func readSharesIn(ctx context.Context, p *plan, account authz.Object) (map[authz.ID][]authz.Relationship, error) {
	shares := make(map[authz.ID][]authz.Relationship)
	for _, filter := range naming {
		objects, err := p.Find(ctx, authz.Filter{
			Type: filter.Type, Relation: kindOf(filter.Type).place, SubjectType: account.Type, SubjectID: account.ID,
		})
		if err != nil {
			return nil, err
		}
		for chunk := range slices.Chunk(objects, readChunk) {
			filters := make([]authz.Filter, len(chunk))
			for i, r := range chunk {
				filters[i] = filter
				filters[i].ID = r.Resource.ID
			}
			found, err := p.FindAll(ctx, filters)
			if err != nil {
				return nil, err
			}
			for _, r := range slices.Concat(found...) {
				shares[r.Subject.ID] = append(shares[r.Subject.ID], r)
			}
		}
	}
	return shares, nil
}
