package app_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func badge(id string) string { return `{"type":"badge","id":"` + id + `"}` }

func door(id string) string { return `{"type":"door","id":"` + id + `"}` }

func with(field, value, body string) string { return `{"` + field + `":` + value + `,` + body[1:] }

// TestAuthZENContext checks which values of a request reach caveats, and under which name.
func TestAuthZENContext(t *testing.T) {
	p, _ := startPDP(t, "doors.yaml")
	open := named("open_door")
	ann, ben, cid := asking(badge("ann"), open, door("front")), asking(badge("ben"), open, door("front")), asking(
		badge("cid"), open, door("front"),
	)
	deliver := func(subject, action, context string) string {
		return with("context", context, asking(`{"type":"badge","id":"dot","properties":`+subject+`}`,
			`{"name":"deliver","properties":`+action+`}`, `{"type":"door","id":"front","properties":{"level":3}}`))
	}
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"a field of the context": {with("context", `{"hour":9}`, ann), `{"decision":true}`},
		"by night":               {with("context", `{"hour":22}`, ann), `{"decision":false}`},
		"no context is a denial": {ann, `{"decision":false,"context":{"missing_context":["hour"]}}`},
		"another field": {
			with("context", `{"minute":9}`, ann), `{"decision":false,"context":{"missing_context":["hour"]}}`,
		},
		"stored with the relationship": {asking(badge("ann"), open, door("side")), `{"decision":true}`},
		"the whole context":            {with("context", `{"alarm":false}`, ben), `{"decision":true}`},
		"the whole context, denied":    {with("context", `{"alarm":true}`, ben), `{"decision":false}`},
		"no context at all":            {ben, `{"decision":false,"context":{"missing_context":["context"]}}`},
		"a context of its own name": {
			with("context", `{"context":{"alarm":false},"alarm":true}`, ben), `{"decision":false}`,
		},
		"no properties are none": {cid, `{"decision":true}`},
		"properties": {
			asking(`{"type":"badge","id":"cid","properties":{"blocked":null}}`, open, door("front")), `{"decision":false}`,
		},
		"all properties":              {deliver(`{"level":3}`, `{"zones":["a","b"]}`, `{"zone":"b"}`), `{"decision":true}`},
		"properties that are too low": {deliver(`{"level":2}`, `{"zones":["a","b"]}`, `{"zone":"b"}`), `{"decision":false}`},
		"not from the context": {
			with("context", `{"subject_properties":{"blocked":true}}`, cid), `{"decision":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.send(t, "evaluation", c.body)
			require.Equal(t, 200, got.status)
			require.JSONEq(t, c.want, got.body)
			got = p.send(t, "evaluations", `{"evaluations":[`+c.body+`]}`)
			require.JSONEq(t, `{"evaluations":[`+c.want+`]}`, got.body)
		})
	}
	// SpiceDB must accept as much context as Sluice does. A larger context gets status 413. In a batch, only the
	// evaluation with this context is denied.
	medium := deliver(`{"level":4,"claims":"`+strings.Repeat("x", 16<<10-300)+`"}`, `{"zones":["b"]}`, `{"zone":"b"}`)
	require.Equal(t, []bool{true, true}, p.decisions(t, `{"evaluations":[`+medium+`,`+medium+`]}`))
	tooLarge := deliver(`{"level":4,"claims":"`+strings.Repeat("x", 16<<10)+`"}`, `{"zones":["b"]}`, `{"zone":"b"}`)
	require.Equal(t, 413, p.send(t, "evaluation", tooLarge).status)
	require.Equal(t, []bool{false, false}, p.decisions(t, `{"evaluations":[`+tooLarge+`,`+tooLarge+`]}`))

	// If a caveat cannot use a value, the evaluation is denied, and the answer has the reason. It does not affect
	// other evaluations.
	wrong := []string{
		with("context", `{"hour":"nine"}`, ann), deliver(`{"rank":1}`, `{"zones":["b"]}`, `{"zone":"b"}`),
		asking(badge("ann"), named("fly"), door("front")), asking(`{"type":"bagde","id":"x"}`, open, door("front")),
		asking(badge("ann"), open, `{"type":"Door or gate","id":"x"}`), asking(
			badge(strings.Repeat("x", 257)), open, door("front"),
		),
	}
	words := []string{
		"hour", "no such key", `no permission \"fly\"`, "nearest is badge", `no type \"Door or gate\"`, "256 bytes",
	}
	for i, body := range wrong {
		got := p.send(t, "evaluation", body)
		require.Equal(t, 200, got.status, got.body)
		require.Contains(t, got.body, `{"decision":false,"context":{"error":{"status":4`)
		require.Contains(t, got.body, words[i])
	}
	for _, items := range [][]string{wrong[:2], wrong, append(wrong, cid)} {
		require.Equal(
			t, len(items) > len(wrong), p.decisions(t, `{"evaluations":[`+strings.Join(items, ",")+`]}`)[len(items)-1],
		)
		got := p.send(t, "evaluations", `{"evaluations":[`+strings.Join(items, ",")+`]}`)
		require.Equal(t, min(len(items), len(wrong)), strings.Count(got.body, `"error"`), got.body)
		for i := range items[:min(len(items), len(wrong))] {
			require.Contains(t, got.body, words[i])
		}
	}
}

// TestAuthZENSearchesWithCaveats checks that a search finds exactly the results permitted with the given context.
func TestAuthZENSearchesWithCaveats(t *testing.T) {
	p, _ := startPDP(t, "doors.yaml")
	open := named("open_door")
	for name, c := range map[string]struct {
		path, body string
		want       []string
	}{
		"subjects by day": {
			"subject", with("context", `{"hour":9,"alarm":false}`, asking(`{"type":"badge"}`, open, door("front"))),
			[]string{"ann", "ben", "cid"},
		},
		"subjects by night": {
			"subject", with("context", `{"hour":22,"alarm":false}`, asking(`{"type":"badge"}`, open, door("front"))),
			[]string{"ben", "cid"},
		},
		"subjects of no context": {"subject", asking(`{"type":"badge"}`, open, door("back")), []string{"cid"}},
		"doors by day": {
			"resource", with("context", `{"hour":9,"alarm":false}`, asking(badge("ann"), open, `{"type":"door"}`)),
			[]string{"back", "front", "side"},
		},
		"doors by night": {
			"resource", with("context", `{"hour":22,"alarm":false}`, asking(badge("ann"), open, `{"type":"door"}`)),
			[]string{"side"},
		},
		"doors of no context": {"resource", asking(badge("ann"), open, `{"type":"door"}`), []string{"side"}},
		"doors of the calm":   {"resource", asking(badge("ben"), open, `{"type":"door"}`), nil},
		"doors of the owner":  {"resource", asking(badge("cid"), open, `{"type":"door"}`), []string{"back", "front"}},
		"doors of a blocked one": {
			"resource", asking(`{"type":"badge","id":"cid","properties":{"blocked":1}}`, open, `{"type":"door"}`), nil,
		},
		"actions": {
			"action", with("context", `{"hour":9}`, `{"subject":`+badge("ann")+`,"resource":`+door("front")+`}`),
			[]string{"open_door"},
		},
		"actions of no context": {"action", `{"subject":` + badge("ann") + `,"resource":` + door("front") + `}`, nil},
		"the letter *":          {"resource", asking(badge("*"), open, `{"type":"door"}`), []string{"a#b é=*"}},
		"any id":                {"subject", asking(`{"type":"badge"}`, open, door("a#b é=*")), []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{-1, 1, 2} {
				found, _ := p.finds(t, c.path, c.body, limit)
				require.ElementsMatch(t, c.want, found)
			}
		})
	}
	got := p.send(
		t, "search/subject",
		with("context", `{"hour":"nine","alarm":false}`, asking(`{"type":"badge"}`, open, door("front"))),
	)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, got.body, `"results":[{"type":"badge","id":"ben"},{"type":"badge","id":"cid"}]`)
	require.Contains(t, got.body, `"context":{"errors":[{"type":"badge","id":"ann","error":{"status":400,"message":`)
	require.Contains(t, got.body, "hour")
}

// TestAuthZENActionNames checks how an action's name is mapped to a permission.
func TestAuthZENActionNames(t *testing.T) {
	p, _ := startPDP(t, "doors.yaml")
	for name, known := range map[string]bool{
		"open_door": true, "Open_Door": true, "OPEN DOOR": true, "open-door": true, "open.door": true, "openédoor": true,
		"Open:Door": true,
		"owner":     true, "as_anybody": true, "open__door": false, "opendoor": false, "open_door ": false, "": false,
	} {
		got := p.send(t, "evaluation", asking(badge("cid"), named(name), door("front")))
		if name == "" {
			require.Equal(t, 400, got.status)
			continue
		}
		require.Equal(t, 200, got.status)
		require.Equal(t, known, strings.HasPrefix(got.body, `{"decision":true}`), "%q: %s", name, got.body)
		require.Equal(t, !known, strings.Contains(got.body, "error"), "%q: %s", name, got.body)
	}
}
