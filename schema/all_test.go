package schema

import (
	"reflect"
	"testing"
)

// TestConditionalAll checks which permissions depend on both an all() and a caveat.
func TestConditionalAll(t *testing.T) {
	got, err := ConditionalAll(`caveat by_day(hour int) { hour < 20 }
definition user {}
definition box {
	relation owner: user
	relation keeper: user with by_day
	relation inside: box
	permission view = owner
	permission keep = keeper
	permission twice = inside.all(view)
	permission any = inside.any(keep)
	permission all = owner + (owner & inside.all(keep))
}
definition shelf {
	relation holds: box with by_day
	relation beside: shelf
	permission see = holds.all(view)
	permission look = beside->see
	permission view = holds->all - holds->view
	permission touch = holds->keep
}`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Name]bool{{"box", "all"}: true, {"shelf", "see"}: true, {"shelf", "look"}: true, {"shelf", "view"}: true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, err = ConditionalAll("definition user {"); got != nil || err != nil {
		t.Errorf("a text without all: %v, %v", got, err)
	}
	if _, err = ConditionalAll("definition user { permission a = b.all(c) "); err == nil {
		t.Error("ConditionalAll accepts a text that is not a schema")
	}
}
