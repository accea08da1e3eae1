package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// GroupMembers returns a page of the members of a group that the actor may view.
func (s *Service) GroupMembers(
	ctx context.Context, by Caller, id authz.ID, page Page,
) (GroupMembers, authz.Token, error) {
	var members GroupMembers
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		object := groupObject(id)
		if err := viewOf(p).Require(ctx, visibility.Existence(object)); err != nil {
			return err
		}
		rows, next, err := readPage(ctx, p, pages.CursorsOf("group members", id), page, authz.Filter{
			Type: object.Type, ID: object.ID, Relation: groupMember, SubjectType: user,
		})
		members = GroupMembers{NextCursor: next}
		for _, r := range rows {
			members.Members = append(members.Members, r.Subject.ID)
		}
		return err
	})
	return answered(members, token, err)
}

// membersPerWrite is how many people one write adds to a group or removes from it. A write needs an update and a
// precondition for each added person.
const membersPerWrite = 500

// ChangeGroupMembers adds people to a group and removes others. The actor needs manage on the group. A change of more
// than membersPerWrite people takes several writes, which first remove people and then add people. If a write fails,
// the earlier ones remain. A repeated call continues the change.
func (s *Service) ChangeGroupMembers(
	ctx context.Context, by Caller, id authz.ID, add, remove []authz.ID,
) (Done, error) {
	if len(add)+len(remove) == 0 {
		return Done{}, authz.Errorf(authz.CodeInvalid, `"add" or "remove" must name at least one person`)
	}
	isAdded := make(map[authz.ID]bool, len(add))
	for _, who := range add {
		isAdded[who] = true
	}
	if both := slices.IndexFunc(remove, func(who authz.ID) bool { return isAdded[who] }); both >= 0 {
		return Done{}, authz.Errorf(
			authz.CodeInvalid, `%s is in "add" and in "remove"; a person can be in one of them`, remove[both],
		)
	}
	left := &chunks{size: membersPerWrite}
	left.add(id, authz.Delete, remove)
	left.add(id, authz.Touch, add)
	return s.changeGroupMembers(ctx, by, "change_group_members", id, left)
}

// AddGroupMember adds a person to a group. The actor needs manage on the group.
func (s *Service) AddGroupMember(ctx context.Context, by Caller, id, who authz.ID) (Done, error) {
	one := &chunks{size: 1}
	one.add(id, authz.Touch, []authz.ID{who})
	return s.changeGroupMembers(ctx, by, "add_group_member", id, one)
}

// RemoveGroupMember removes a person from a group. The actor needs manage on the group.
func (s *Service) RemoveGroupMember(ctx context.Context, by Caller, id, who authz.ID) (Done, error) {
	one := &chunks{size: 1}
	one.add(id, authz.Delete, []authz.ID{who})
	return s.changeGroupMembers(ctx, by, "remove_group_member", id, one)
}

func (s *Service) changeGroupMembers(
	ctx context.Context, by Caller, operation string, id authz.ID, left *chunks,
) (Done, error) {
	return s.run(ctx, by, operation, func(ctx context.Context, p *plan) error {
		p.chunks = left
		if err := requirePermission(ctx, p, groupObject(id), "manage"); err != nil {
			return err
		}
		if _, err := readPlaceOf(ctx, p, groupObject(id)); err != nil {
			return err
		}
		if err := planLeaving(ctx, p, left); err != nil {
			return err
		}
		return planGroupMembers(ctx, p, id, left)
	})
}

// planGroupMembers plans the next updates of the members of a group, as many as fit the write. With the updates of
// people who join, it plans to delete their stale shares and invitations.
func planGroupMembers(ctx context.Context, p *plan, id authz.ID, left *chunks) error {
	updates := left.next()
	if len(joining(updates)) > 0 { // otherwise a withdrawal could withdraw invitations of people who join
		if err := finishGroupWithdrawal(ctx, p, groupObject(id)); err != nil {
			return err
		}
	}
	if err := readOfMany(ctx, p, joining(updates), append(slices.Clone(naming), invitationsBy(""))...); err != nil {
		return err
	}
	shares := 0 // how many stale shares the write deletes
	for i, u := range updates {
		var stale []endShares
		who, joins := u.Relationship.Subject.ID, u.Action == authz.Touch
		if joins {
			var err error
			if stale, err = readStaleShares(ctx, p, id, who); err != nil {
				return err
			}
			if err := withdrawLeftByJoining(ctx, p, id, who); err != nil {
				return err
			}
		}
		for _, ends := range stale {
			shares += ends.size()
		}
		if joins && i > 0 && max(len(p.Updates())+shares, len(p.Preconditions())) > maxJoining {
			left.planned = i
			return nil
		}
		p.Update(u.Action, u.Relationship)
		p.ending = append(p.ending, stale...)
		if err := requireNoOffboarding(ctx, p, who, joins); err != nil {
			return err
		}
	}
	return nil
}

// joining returns the people whom the updates add to a group.
func joining(updates []authz.Update) (people []authz.ID) {
	for _, u := range updates {
		if u.Action == authz.Touch {
			people = append(people, u.Relationship.Subject.ID)
		}
	}
	return people
}

// chunks divides updates that do not depend on each other among several writes.
type chunks struct {
	left    []authz.Update // updates that are not written yet
	size    int            // how many of them one write has at most
	planned int            // how many of them the current plan has
}

// add appends an update of the membership of a group for each person.
func (c *chunks) add(group authz.ID, action authz.Action, people []authz.ID) {
	for _, who := range people {
		r := authz.Relationship{Resource: groupObject(group), Relation: groupMember, Subject: person(who)}
		c.left = append(c.left, authz.Update{Action: action, Relationship: r})
	}
}

// deleted returns the relationships that the next write deletes.
func (c *chunks) deleted() (rows []authz.Relationship) {
	for _, u := range c.next() {
		if u.Action == authz.Delete {
			rows = append(rows, u.Relationship)
		}
	}
	return rows
}

// next starts a plan and returns the updates of the next write.
func (c *chunks) next() []authz.Update {
	c.planned = min(len(c.left), c.size)
	return c.left[:c.planned]
}

// more reports whether writes remain after the current plan.
func (c *chunks) more() bool { return c != nil && len(c.left) > c.planned }

// written removes the updates of the current plan, after its write.
func (c *chunks) written() {
	if c != nil {
		c.left = c.left[c.planned:]
	}
}
