package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// A write that shares a connection with a person, or admits a person to a workspace, requires as a precondition that
// the person holds a role on the account. So a concurrent removal can miss a share only if it is written between the
// read and the write of the removal.

// formerMember is a person whose roles on an account a plan ends.
type formerMember struct {
	who     authz.ID
	account authz.Object
}

func (f formerMember) in(account authz.ID) bool { return account == f.account.ID }

// excludeNaming makes sure that the operation leaves the person no connection share and no workspace membership in
// the account. If the person has none in any account now, the write requires as preconditions that this is still
// so. Otherwise run reads again after the write, see endNamedSince.
func excludeNaming(p *plan, f formerMember, isNamed bool) {
	if p.removals++; isNamed || p.removals > maxGuardedMemberships {
		p.formerMembers = append(p.formerMembers, f)
		return
	}
	for _, filter := range namingOf(f.who) {
		p.Forbid(filter)
	}
}

// withoutFormerMembers returns the relationships of one object without the shares and workspace memberships of people
// who hold no role on its account, neither directly nor through a group. A role that expired leaves them behind.
func withoutFormerMembers(
	ctx context.Context, p *plan, rows []authz.Relationship,
) (kept []authz.Relationship, err error) {
	var account authz.Object
	for _, r := range rows {
		if r.Relation == kindOf(r.Resource.Type).place {
			account = r.Subject.Object
		}
	}
	if !slices.ContainsFunc(rows, func(r authz.Relationship) bool { return isNaming(r.Resource.Type, r.Relation) }) {
		return rows, nil
	}
	objects, err := readRoleObjects(ctx, p, account)
	if err != nil {
		return nil, err
	}
	var filters []authz.Filter
	for _, r := range rows {
		if isNaming(r.Resource.Type, r.Relation) {
			for _, object := range objects {
				filters = append(filters, rowsOfPerson(object, r.Subject.ID))
			}
		}
	}
	if _, err := p.FindAll(ctx, filters); err != nil { // so that readIsPresent finds them in memory
		return nil, err
	}
	for _, r := range rows {
		if isNaming(r.Resource.Type, r.Relation) {
			isPresent, err := readIsPresent(ctx, p, account, r.Subject.ID)
			if err != nil {
				return nil, err
			}
			if !isPresent {
				continue
			}
		}
		kept = append(kept, r)
	}
	return kept, nil
}

// endNamedSince deletes shares and workspace memberships of former members. It finds those that a concurrent write
// added after the removal had read its state. It reads the state after the removal's write, and returns the token of
// the last write.
func (s *Service) endNamedSince(
	ctx context.Context, by Caller, operation string, token authz.Token, people []formerMember,
) (authz.Token, error) {
	after := newPlan(s.engine, by, tx.AtSnapshot(token))
	var filters []authz.Filter
	names := make([]authz.ID, len(people))
	for i, f := range people {
		names[i] = f.who
		filters = append(filters, namingOf(f.who)...)
	}
	if err := readOfMany(ctx, after, names, naming...); err != nil {
		return "", err
	}
	if _, err := after.FindAll(ctx, filters); err != nil {
		return "", err
	}
	for _, f := range people {
		named := false
		err := forEachNamed(ctx, after, f.who, f.in, func(authz.Relationship) bool {
			named = true
			return false
		})
		if err == nil && named {
			token, err = s.endNamedOf(ctx, by, operation, f)
		}
		if err != nil {
			return "", err
		}
	}
	return token, nil
}

// endNamedOf deletes the shares and workspace memberships of a former member. It does nothing if the person holds a
// role again, since the operation that granted the role deleted them.
func (s *Service) endNamedOf(
	ctx context.Context, by Caller, operation string, f formerMember,
) (token authz.Token, err error) {
	const conflict = "other requests kept changing the roles of the removed person; repeat the call to finish it"
	attempts := tx.NewAttempts(conflict)
	for more := true; more; {
		token, more, err = s.writeNamedOf(ctx, by, operation, f)
		if err == nil {
			attempts = tx.NewAttempts(conflict)
			continue
		}
		if err := attempts.Retry(ctx, err); err != nil {
			return "", err
		}
		more = true
	}
	return token, nil
}

// writeNamedOf performs one write of endNamedOf, and reports whether another must follow.
func (s *Service) writeNamedOf(
	ctx context.Context, by Caller, operation string, f formerMember,
) (token authz.Token, more bool, err error) {
	p := newPlan(s.engine, by)
	if token, err = p.head(ctx); err != nil {
		return "", false, err
	}
	held, err := readHeld(ctx, p, f.account, authz.Person(f.who))
	if err != nil || len(held) > 0 {
		return token, false, err
	}
	if err := forbidHeld(ctx, p, f.account, f.who); err != nil {
		return "", false, err
	}
	err = forEachNamed(ctx, p, f.who, f.in, func(r authz.Relationship) bool {
		if more = p.Room() == 0; !more {
			p.Delete(r)
		}
		return !more
	})
	if err != nil {
		return "", false, err
	}
	token, err = p.commit(ctx, operation)
	return token, more, err
}
