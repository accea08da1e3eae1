package pages_test

import (
	"errors"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

func TestCursor(t *testing.T) {
	object := authz.Object{Type: "account", ID: "acme"}
	context := map[string]any{"b": []any{1.5, nil, "x"}, "a": map[string]any{"y": true, "x": false}}
	for _, position := range []string{"", "i1", "größe \x00 and\nmore"} {
		cursor := pages.CursorsOf(object, context).New(position)
		for range 20 { // the order of a map is random
			same := map[string]any{"a": map[string]any{"x": false, "y": true}, "b": []any{1.5, nil, "x"}}
			if got, err := pages.CursorsOf(object, same).Parse(cursor); err != nil || got != position {
				t.Fatalf("%q came back as %q, %v", position, got, err)
			}
		}
		for name, other := range map[string][]any{
			"nothing": nil, "less": {object}, "more": {object, context, 1}, "another": {
				authz.Object{Type: "account", ID: "acm"}, context,
			},
			"another order": {context, object}, "other context": {object, map[string]any{"b": []any{1.5, nil, "x"}}},
		} {
			if _, err := pages.CursorsOf(other...).Parse(cursor); !errors.Is(err, authz.CodeInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, broken := range []string{"", "x", cursor[:5], cursor + "=", "!" + cursor, " " + cursor, "A" + cursor} {
			if _, err := pages.CursorsOf(object, context).Parse(broken); !errors.Is(err, authz.CodeInvalid) {
				t.Errorf("%q: %v", broken, err)
			}
		}
	}
	if pages.CursorsOf("b", "c").New("a") == pages.CursorsOf("b\", \"c").New("a") {
		t.Error("two different queries have the same cursor")
	}
}
