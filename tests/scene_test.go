package tests

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

// scene is the part of a shared backend that belongs to one test. All ids in it begin with the same prefix, so that
// tests do not affect each other.
type scene struct {
	caller
	on     *backend
	prefix string
}

var scenes atomic.Int64

func newScene(t testing.TB, on *backend) scene {
	return scene{caller: newCaller(t, on.url), on: on, prefix: fmt.Sprintf("s%d-", scenes.Add(1))}
}

// id returns the id that stands for a name in this scene: the prefix and the name.
func (s scene) id(name string) string { return s.prefix + name }

// in replaces each '~' in a text with the id prefix of the scene.
func (s scene) in(text string) string { return strings.ReplaceAll(text, "~", s.prefix) }

// by returns a caller on behalf of a person of the scene, or of a service account: "service_account:robot".
func (s scene) by(name string) caller {
	if robot, found := strings.CutPrefix(name, "service_account:"); found {
		return s.as("service_account:" + s.id(robot))
	}
	return s.as(s.id(name))
}

func (s scene) withKey(key string) scene {
	s.caller = s.caller.withKey(key)
	return s
}

// stored returns all relationships that have the id prefix of the scene, sorted, in zed's notation.
func (s scene) stored() []string {
	s.t.Helper()
	var found []string
	for _, filter := range []*v1.RelationshipFilter{
		{OptionalResourceIdPrefix: s.prefix},
		{ResourceType: "deletion"},
		{ResourceType: "platform"},
		{ResourceType: "invitation"},
	} {
		for _, r := range readRelationships(s.t, s.on.spicedb, filter) {
			if strings.Contains(r, s.prefix) {
				found = append(found, r)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// difference returns the lines in which two sorted lists differ, or "" if the lists are equal.
func difference(before, after []string) string {
	var b strings.Builder
	for _, r := range after {
		if _, found := slices.BinarySearch(before, r); !found {
			b.WriteString("\n+ " + r)
		}
	}
	for _, r := range before {
		if _, found := slices.BinarySearch(after, r); !found {
			b.WriteString("\n- " + r)
		}
	}
	return b.String()
}

// writesNothing fails the test if the function f changes the stored relationships of the scene.
func (s scene) writesNothing(what string, f func()) {
	s.t.Helper()
	before := s.stored()
	f()
	if changed := difference(before, s.stored()); changed != "" {
		s.t.Errorf("%s changed the stored relationships:%s", what, changed)
	}
}
