package tests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

type userSet = map[string]bool

// holders maps a relation or permission of an object, for example doc:cycle0#view, to the people who have it.
type holders map[string]userSet

// solution computes the people who have each permission, in a graph of relationships.
type solution struct {
	holders
	links map[string][]string // subjects by object and relation, for example doc:cycle0#parent
	docs  userSet
	grew  bool // add has added a person
}

// holdersOf computes the people who have each permission of shapesSchema, from relationships. It repeats the
// evaluation until no person is added. So it returns the smallest solution that satisfies the schema. viewers are
// the people who may view the account.
func holdersOf(rows []string, viewers ...string) holders {
	s := &solution{holders: make(holders), links: make(map[string][]string), docs: make(userSet), grew: true}
	for _, row := range rows {
		set, subject, _ := strings.Cut(row, "@")
		s.links[set] = append(s.links[set], subject)
		for _, name := range []string{set, subject} {
			if object, _, _ := strings.Cut(name, "#"); strings.HasPrefix(object, "doc:") {
				s.docs[object] = true
			}
		}
	}
	for s.grew {
		s.grew = false
		for set, subjects := range s.links {
			for _, subject := range subjects {
				if strings.HasPrefix(subject, "user:") {
					s.add(set, userSet{subject: true})
				} else {
					s.add(set, s.holders[subject])
				}
			}
		}
		for doc := range s.docs {
			if len(s.links[doc+"#account"]) > 0 {
				for _, who := range viewers {
					s.add(doc+"#view", userSet{who: true})
				}
			}
			s.evaluate(doc)
		}
	}
	return s.holders
}

// evaluate adds the people who have each permission of a document, as far as the people of other documents are
// known.
func (s *solution) evaluate(doc string) {
	direct := s.holders[doc+"#viewer"]
	s.add(doc+"#view", direct)
	s.add(doc+"#view", s.through(doc, "parent", "view"))
	s.add(doc+"#view", s.through(doc, "other", "view"))

	s.add(doc+"#both", direct)
	s.add(doc+"#both", both(s.through(doc, "parent", "both"), s.through(doc, "other", "both")))

	for _, part := range []userSet{direct, s.through(doc, "parent", "sift"), s.through(doc, "other", "sift")} {
		part = maps.Clone(part)
		maps.DeleteFunc(part, func(who string, _ bool) bool { return s.holders[doc+"#banned"][who] })
		s.add(doc+"#sift", part)
	}

	s.add(doc+"#shared", both(direct, s.holders[doc+"#view"]))
}

func (s *solution) add(set string, who userSet) {
	if s.holders[set] == nil {
		s.holders[set] = make(userSet)
	}
	n := len(s.holders[set])
	maps.Copy(s.holders[set], who)
	s.grew = s.grew || len(s.holders[set]) > n
}

// through returns the people who have a permission on one of the documents to which a relation of doc leads.
func (s *solution) through(doc, relation, permission string) userSet {
	found := make(userSet)
	for _, next := range s.links[doc+"#"+relation] {
		maps.Copy(found, s.holders[next+"#"+permission])
	}
	return found
}

func both(a, b userSet) userSet {
	found := make(userSet)
	for who := range a {
		if b[who] {
			found[who] = true
		}
	}
	return found
}

// expected returns the answer that a call must give about a shape: "yes" for each permission, person or object that
// is allowed. right has the people who have each permission. withNewbie has the same after the operation that the
// call previews.
func (c endlessCall) expected(s docShape, may string, right, withNewbie holders) verdicts {
	yes := make(verdicts)
	who := s.user("alice")
	put := func(name string, holds bool) {
		if holds {
			yes[name] = "yes"
		}
	}
	// named returns the id of an object or person as the endpoint writes it. AuthZEN's endpoints leave out the type.
	named := func(name string) string {
		if strings.HasPrefix(c.path, "/access/") {
			_, name, _ = strings.Cut(name, ":")
		}
		return name
	}
	first := s.at(0)
	switch c.path {
	case "/v1/check", "/v1/explain", "/access/v1/evaluation":
		put("", right[first+"#"+may][who])
	case "/v1/check/bulk", "/access/v1/evaluations":
		for i := range strings.Count(c.body, "$DOC") {
			put(fmt.Sprint(i), i%2 == 0 && right[first+"#"+may][who])
		}
	case "/v1/permissions", "/access/v1/search/action":
		for _, permission := range shapePermissions {
			put(permission, right[first+"#"+permission][who])
		}
	case "/v1/lookup/subjects", "/access/v1/search/subject", "/v1/access":
		for one := range right[first+"#"+may] {
			put(named(one), true)
		}
	case "/v1/lookup/resources", "/access/v1/search/resource":
		for set, holders := range right {
			if doc, permission, _ := strings.Cut(set, "#"); permission == may && holders[who] {
				put(named(doc), true)
			}
		}
	case "/v1/preview":
		for set, holders := range withNewbie {
			doc, permission, _ := strings.Cut(set, "#")
			put(doc+" "+permission, holders["user:newbie"] && slices.Contains(shapePermissions, permission))
		}
	}
	return yes
}
