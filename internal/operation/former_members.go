package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// An operation that names a person in an account requires, as a precondition, that the person holds a role on the
// account. So a concurrent removal of the person can miss only relationships that are written after the removal has
// read and before the removal's own write.

// formerMember is a person whose roles on an account a plan ends.
type formerMember struct {
	who     authz.ID
	account authz.Object
}

// in reports whether an account is the account that the person leaves.
func (f formerMember) in(account authz.ID) bool { return account == f.account.ID }

// excludeNaming makes sure that nothing in the account names the person after the operation. If nothing in any account
// names the person now, the write requires as preconditions that this is still so. Otherwise run reads again after the
// write, see endNamedSince.
func excludeNaming(p *plan, f formerMember, isNamed bool) {
	if p.removals++; isNamed || p.removals > maxGuardedMemberships {
		p.formerMembers = append(p.formerMembers, f)
		return
	}
	for _, filter := range namingOf(f.who) {
		p.Forbid(filter)
	}
}

// withoutFormerMembers returns the relationships, except those that name a person who holds no role on the object's
// account. An expired role leaves such relationships behind. All of the relationships must match one of the filters in
// naming, and have the same object as resource.
func withoutFormerMembers(
	ctx context.Context, p *plan, rows []authz.Relationship,
) (kept []authz.Relationship, err error) {
	var account authz.Object
	for _, r := range rows {
		if r.Relation == kindOf(r.Resource.Type).place {
			account = r.Subject.Object
		}
	}
	var filters []authz.Filter
	for _, r := range rows {
		if isNaming(r.Resource.Type, r.Relation) {
			filters = append(filters, rolesFilter(account, r.Subject.ID))
		}
	}
	held, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if isNaming(r.Resource.Type, r.Relation) {
			roles := held[0]
			if held = held[1:]; len(roles) == 0 {
				continue
			}
		}
		kept = append(kept, r)
	}
	return kept, nil
}

// endNamedSince deletes the relationships that name former members and were written between the read and the write of
// their removal. It reads the state after the removal's write, and returns the token of the last write.
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

// endNamedOf deletes the relationships that name a former member. It does nothing if the person holds a role again,
// since granting that role deleted these relationships.
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
	held, err := p.Find(ctx, rolesFilter(f.account, f.who))
	if err != nil || len(held) > 0 {
		return token, false, err
	}
	p.Forbid(rolesFilter(f.account, f.who))
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
