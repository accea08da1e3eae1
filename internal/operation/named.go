package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// naming selects connection shares and workspace memberships. Operations that end the person's roles delete these
// relationships too.
var naming = []authz.Filter{
	{Type: "connection", Relation: sharedWithSomeNamed, SubjectType: user},
	{Type: "workspace", Relation: "member", SubjectType: user},
}

// namingOf returns the filters of naming for one person.
func namingOf(who authz.ID) []authz.Filter {
	filters := make([]authz.Filter, len(naming))
	for i, filter := range naming {
		filter.SubjectID = who
		filters[i] = filter
	}
	return filters
}

// forEachNamed yields the connection shares and workspace memberships of the person in the accounts for which in
// returns true.
func forEachNamed(
	ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool, yield func(authz.Relationship) (more bool),
) error {
	for _, filter := range namingOf(who) {
		rows, err := p.Find(ctx, filter)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(rows, readChunk) {
			accounts, err := readAccountsOfObjects(ctx, p, chunk)
			if err != nil {
				return err
			}
			for i, r := range chunk {
				if in(accounts[i]) && !yield(r) {
					return nil
				}
			}
		}
	}
	return nil
}

// readAccountsOfObjects reads the account that contains the resource of each relationship. The account is empty if
// there is none.
func readAccountsOfObjects(ctx context.Context, p *plan, rows []authz.Relationship) ([]authz.ID, error) {
	places := make([]authz.Filter, len(rows))
	for i, r := range rows {
		places[i] = placeFilter(r.Resource)
	}
	found, err := p.FindAll(ctx, places)
	if err != nil {
		return nil, err
	}
	accounts := make([]authz.ID, len(rows))
	for i := range rows {
		for _, place := range found[i] {
			accounts[i] = place.Subject.ID
		}
	}
	return accounts, nil
}

const (
	// maxNamedReadFirst is the highest number of one person's connection shares and workspace memberships that are read
	// before the first write of their removal. If there are more, the first write ends the roles, and an offboarding
	// reads them. The number covers all accounts, since the account of a share is known only after its object is read.
	maxNamedReadFirst = authz.MaxUpdates

	// maxNamedReadByPlan is the same limit for all people that one write removes.
	maxNamedReadByPlan = 4 * maxNamedReadFirst
)

// namedFirst are the connection shares and workspace memberships of a person, in all accounts, that the first write of
// a removal reads.
type namedFirst struct {
	rows     []authz.Relationship
	accounts []authz.ID // of the resources of the rows
	// many is set if there are more relationships than the plan may read. Then rows is empty.
	many bool
}

// readNamedFirst reads the connection shares and workspace memberships of a person whose roles the plan ends. It reads
// a bounded number, so that a large number does not delay the end of access. The plan stores the result for later
// calls.
func readNamedFirst(ctx context.Context, p *plan, who authz.ID) (namedFirst, error) {
	if known, ok := p.named[who]; ok {
		return known, nil
	}
	var named namedFirst
	limit := min(maxNamedReadFirst, max(0, maxNamedReadByPlan-p.namedRead))
	for _, filter := range namingOf(who) {
		found, err := p.FindSome(ctx, filter, limit+1-len(named.rows))
		if err != nil {
			return named, err
		}
		p.namedRead += len(found)
		if named.rows = append(named.rows, found...); len(named.rows) > limit {
			named = namedFirst{many: true}
			break
		}
	}
	for chunk := range slices.Chunk(named.rows, readChunk) {
		accounts, err := readAccountsOfObjects(ctx, p, chunk)
		if err != nil {
			return named, err
		}
		named.accounts = append(named.accounts, accounts...)
	}
	p.named[who] = named
	return named, nil
}

// planEndOfShares plans to delete connection shares and workspace memberships of the offboarded person, in the accounts
// for which in returns true. It stops reading when the write is full.
func planEndOfShares(
	ctx context.Context, p *plan, d offboarding, in func(authz.ID) bool, elsewhere map[authz.Object]bool,
) error {
	full := false
	add := func(rows []authz.Relationship) error {
		accounts, err := readAccountsOfObjects(ctx, p, rows)
		for i := 0; err == nil && i < len(accounts) && !full; i++ {
			switch {
			case !in(accounts[i]):
				elsewhere[rows[i].Resource] = true
			case !fitsOffboarding(p, 1):
				full = true
			default:
				p.Delete(rows[i])
			}
		}
		return err
	}
	for _, filter := range namingOf(d.who) {
		var chunk []authz.Relationship
		for item, err := range p.engine.Read(ctx, filter, p.Consistency(), authz.Page{}) {
			if err != nil {
				return err
			}
			if elsewhere[item.Relationship.Resource] {
				continue
			}
			if chunk = append(chunk, item.Relationship); len(chunk) < readChunk {
				continue
			}
			if err := add(chunk); err != nil || full {
				return err
			}
			chunk = nil
		}
		if err := add(chunk); err != nil || full {
			return err
		}
	}
	return nil
}
