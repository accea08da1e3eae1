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
		t.Errorf("Open returns %q, %v for the sealed text", data, ok)
	}
	if seal.Close([]byte("position"), []byte("list")) != text {
		t.Error("Close returns two texts for the same data")
	}
	if seal.Close([]byte("tposition"), []byte("lis"))[:16] == text[:16] {
		t.Error("two sealed texts have the same nonce")
	}
	if _, ok := pages.NewSeal([]byte("another")).Open(text, []byte("list")); ok {
		t.Error("a Seal with another secret opens the text")
	}
	if _, ok := seal.Open(text, []byte("another list")); ok {
		t.Error("Open accepts other associated data")
	}
	for _, broken := range []string{"", "A", "AAAA", text[1:], text[:len(text)-1], text + "A", text + "=", "!" + text, "A" + text[1:] + "A"} {
		if _, ok := seal.Open(broken, []byte("list")); ok {
			t.Errorf("Open accepts %q", broken)
		}
	}
	// Open must accept only one text for the same data, so it must reject a text whose last character differs only in
	// unused bits.
	text = seal.Close([]byte("positions"), []byte("list"))
	for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		other := text[:len(text)-1] + string(letter)
		if _, ok := seal.Open(other, []byte("list")); ok != (other == text) {
			t.Errorf("with the last letter %c instead of %s, Open reports %v", letter, text[len(text)-1:], ok)
		}
	}
}
