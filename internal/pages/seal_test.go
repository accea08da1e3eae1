package pages_test

import (
	"testing"

	"github.com/sluice-authz/sluice/internal/pages"
)

func TestSealOpensForItsSecretAndSubjectAlone(t *testing.T) {
	t.Parallel()
	seal := pages.NewSeal([]byte("secret"))
	text := seal.Close([]byte("position"), []byte("list"))
	if data, ok := seal.Open(text, []byte("list")); !ok || string(data) != "position" {
		t.Errorf("the text opens as %q, %v", data, ok)
	}
	if seal.Close([]byte("position"), []byte("list")) != text {
		t.Error("the same data has two texts")
	}
	if seal.Close([]byte("tposition"), []byte("lis"))[:16] == text[:16] {
		t.Error("two texts have one nonce")
	}
	if _, ok := pages.NewSeal([]byte("another")).Open(text, []byte("list")); ok {
		t.Error("another secret opens the text")
	}
	if _, ok := seal.Open(text, []byte("another list")); ok {
		t.Error("the text opens for another list")
	}
	for _, broken := range []string{"", "A", "AAAA", text[1:], text[:len(text)-1], text + "A", text + "=", "!" + text, "A" + text[1:] + "A"} {
		if _, ok := seal.Open(broken, []byte("list")); ok {
			t.Errorf("%q opens", broken)
		}
	}
	// Open must accept only one text for the same data. The unused bits of the last character may not vary.
	text = seal.Close([]byte("positions"), []byte("list"))
	for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		other := text[:len(text)-1] + string(letter)
		if _, ok := seal.Open(other, []byte("list")); ok != (other == text) {
			t.Errorf("the last letter %c in place of %s: opens is %v", letter, text[len(text)-1:], ok)
		}
	}
}
