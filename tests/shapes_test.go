package tests

import (
	"fmt"
	"strings"
)

// shapesSchema is the schema of a company, in addition to Sluice's own. Its permissions lead from a document to
// other documents, through a union, an intersection, an exclusion, and sets of people.
const shapesSchema = `use import
use expiration
import "sluice/root.zed"

definition crew {
  relation member: user | crew#member
}

definition doc {
  relation account: account
  relation viewer: user | crew#member | doc#shared
  relation banned: user
  relation parent: doc
  relation other: doc
  permission view = viewer + account->view + parent->view + other->view
  permission both = viewer + (parent->both & other->both)
  permission sift = (viewer + parent->sift + other->sift) - banned
  permission shared = viewer & view
}
`

var shapePermissions = []string{"view", "both", "sift", "shared"}

// docShape is a graph of documents. The ids of its documents and people contain its name. The people alice and bob
// are viewers of the last document, and bob is banned from the first one.
type docShape struct {
	name string
	last int // number of the last document
	link func(at func(i int) string) (rows []string)

	// isLarge reports whether this graph may be too large for SpiceDB. Then SpiceDB may answer with an error.
	isLarge bool
}

// linked makes a chain: each of the relations leads from each document to the next one. Like cyclic, sets and
// sharing, it returns a function. The function calls at for the id of each document, and returns the relationships.
func linked(last int, relations ...string) func(at func(int) string) []string {
	return func(at func(int) string) (rows []string) {
		for i := range last {
			for _, relation := range relations {
				rows = append(rows, at(i)+"#"+relation+"@"+at(i+1))
			}
		}
		return rows
	}
}

// cyclic makes a cycle: a chain as in linked, in which the relations also lead from the last document to the first.
func cyclic(last int, relations ...string) func(at func(int) string) []string {
	return func(at func(int) string) []string {
		rows := linked(last, relations...)(at)
		for _, relation := range relations {
			rows = append(rows, at(last)+"#"+relation+"@"+at(0))
		}
		return rows
	}
}

// sets makes groups that all contain the same people, and shares the first document with each group. From each other
// document, two relations lead to the first document.
func sets(groups, people, docs int) func(at func(int) string) []string {
	return func(at func(int) string) (rows []string) {
		crew := func(i int) string { return strings.Replace(at(i), "doc:", "crew:", 1) }
		for i := range groups {
			rows = append(rows, at(0)+"#viewer@"+crew(i)+"#member")
			if i > 0 {
				rows = append(rows, crew(i)+"#member@"+crew(0)+"#member")
			}
		}
		for i := range people {
			rows = append(rows, crew(0)+"#member@"+strings.Replace(at(i), "doc:", "user:", 1))
		}
		for i := range docs {
			rows = append(rows, at(i+1)+"#parent@"+at(0), at(i+1)+"#other@"+at(0))
		}
		return rows
	}
}

// sharing makes a chain of documents. The next document is the parent of each document. The viewers of a document
// are the people who have the permission "shared" on the next document.
func sharing(last int) func(at func(int) string) []string {
	return func(at func(int) string) (rows []string) {
		for i := range last {
			rows = append(rows, at(i)+"#viewer@"+at(i+1)+"#shared", at(i)+"#parent@"+at(i+1))
		}
		return rows
	}
}

var docShapes = []docShape{
	{name: "cycle", last: 2, link: cyclic(2, "parent"), isLarge: true},
	{name: "cycles", last: 2, link: cyclic(2, "parent", "other"), isLarge: true},
	{name: "ladder", last: 4, link: linked(4, "parent", "other")},
	{name: "ladders", last: 26, link: linked(26, "parent", "other"), isLarge: true},
	{name: "set", link: sets(10, 20, 10)},
	{name: "sets", link: sets(1000, 100, 300), isLarge: true},
	{name: "chain", last: 10, link: linked(10, "parent")},
	{name: "chains", last: 60, link: linked(60, "parent"), isLarge: true},
	{name: "share", last: 3, link: sharing(3)},
	{name: "shares", last: 26, link: sharing(26), isLarge: true},
}

func (s docShape) at(i int) string { return fmt.Sprint("doc:", s.name, i) }

// user returns a person of this graph, for example user:alice-cycle.
func (s docShape) user(name string) string { return "user:" + name + "-" + s.name }

// rows returns the relationships of the graph.
func (s docShape) rows() []string {
	return append(
		s.link(s.at),
		s.at(s.last)+"#viewer@"+s.user("alice"), s.at(s.last)+"#viewer@"+s.user("bob"), s.at(0)+"#banned@"+s.user("bob"),
		s.at(s.last)+"#account@account:"+s.name,
	)
}
