package apikey_test

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "super-secret"

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want apikey.Key
		err  string
	}{
		{"app:check:" + secret, apikey.Key{Name: "app", Scopes: apikey.Check, Hash: apikey.HashOf(secret)}, ""},
		{
			"a.b_c-1:write+check+operate+provision+inspect:a:b",
			apikey.Key{Name: "a.b_c-1", Scopes: apikey.AllScopes, Hash: apikey.HashOf("a:b")},
			"",
		},
		{
			"app:check+write:dashboard+write:acme/chart:" + secret,
			apikey.Key{
				Name: "app", Scopes: apikey.Check | apikey.Write, WriteTypes: []authz.Type{"acme/chart", "dashboard"},
				Hash: apikey.HashOf(secret),
			},
			"",
		},
		// In "write:TEXT", TEXT is a type only if another colon follows it. Otherwise TEXT is the key.
		{"app:write:" + secret, apikey.Key{Name: "app", Scopes: apikey.Write, Hash: apikey.HashOf(secret)}, ""},
		{"app:write:abc+def", apikey.Key{Name: "app", Scopes: apikey.Write, Hash: apikey.HashOf("abc+def")}, ""},
		// Between "write:" and another colon, Parse accepts only a type. If it took another text as a part of the
		// key, the key could write all types.
		{"app:write:Dashboard:" + secret, apikey.Key{}, "must be the name of a type"},
		{"app:check+write:ab:" + secret, apikey.Key{}, "must be the name of a type"},
		{"app:write:" + secret + ":x", apikey.Key{}, "put another scope last"},
		{"app:write:account:" + secret, apikey.Key{}, "the key app: the scope write:account names a type of the product"},
		{"app:write:dashboard+write:service_account:" + secret, apikey.Key{}, "write:service_account names a type of the product"},
		{
			"app:write:abc:def",
			apikey.Key{
				Name: "app", Scopes: apikey.Write, WriteTypes: []authz.Type{"abc"}, Hash: apikey.HashOf("def"),
			},
			"",
		},
		{"app:write+write:abc:" + secret, apikey.Key{}, "either write"},
		{"", apikey.Key{}, "NAME:SCOPE+SCOPE:KEY"},
		{secret, apikey.Key{}, "NAME:SCOPE+SCOPE:KEY"},
		{"app:" + secret, apikey.Key{}, "NAME:SCOPE+SCOPE:KEY"},
		{":check:" + secret, apikey.Key{}, "name"},
		{"my app:check:" + secret, apikey.Key{}, "name"},
		{"app::" + secret, apikey.Key{}, "check, operate, provision, inspect, write"},
		{"app:" + secret + ":check", apikey.Key{}, "check, operate, provision, inspect, write"},
		{"app:check+:" + secret, apikey.Key{}, "check, operate, provision, inspect, write"},
		{"app:check:", apikey.Key{}, "not empty"},
		{"app:check:" + secret + " x", apikey.Key{}, "visible ASCII"},
		{"app:check:" + secret + "é", apikey.Key{}, "visible ASCII"},
	} {
		got, err := apikey.Parse(tt.text)
		checkError(t, tt.text, err, tt.err)
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

// checkError requires an error that contains the text want, or no error if want is empty. The error must not contain
// the secret.
func checkError(t *testing.T, text string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%q: the error is %v, want one about %q", text, err, want)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("%q: the error shows the key: %v", text, err)
	}
}

func TestParseFile(t *testing.T) {
	hash := apikey.HashOf(secret)
	sum := hex.EncodeToString(hash[:])
	for _, tt := range []struct {
		text string
		want []apikey.Key
		err  string
	}{
		{"", nil, "the file contains no key"},
		{"# keys\n\n  \t\r\n", nil, "the file contains no key"},
		{"app check " + sum, []apikey.Key{{Name: "app", Scopes: apikey.Check, Hash: hash}}, ""},
		{"\tapp  check+inspect " + strings.ToUpper(sum) + " 50/s # the app\r\n", []apikey.Key{
			{Name: "app", Scopes: apikey.Check | apikey.Inspect, Hash: hash, Rate: apikey.Rate{Requests: 50, Per: time.Second}},
		}, ""},
		{
			"app check " + sum + " 600/m",
			[]apikey.Key{{Name: "app", Scopes: apikey.Check, Hash: hash, Rate: apikey.Rate{Requests: 600, Per: time.Minute}}},
			"",
		},
		{"app write:dashboard+check " + sum, []apikey.Key{{
			Name: "app", Scopes: apikey.Check | apikey.Write, WriteTypes: []authz.Type{"dashboard"}, Hash: hash,
		}}, ""},
		{"app write: " + sum, nil, "line 1: the scope write:TYPE"},
		{"app write:flow " + sum, nil, "line 1: the scope write:flow names a type of the product"},
		{"app check:dashboard " + sum, nil, "line 1: the scopes"},
		{"# one\napp check " + secret, nil, "line 2: the third field must be the SHA-256"},
		{"app check " + sum[2:], nil, "line 1: the third field"},
		{"app check " + sum + "00", nil, "line 1: the third field"},
		{"app check " + sum[1:], nil, "line 1: the third field"},
		{"app " + secret, nil, "line 1: a line is NAME SCOPE+SCOPE SHA256"},
		{"app check " + sum + " 50/s x", nil, "line 1: a key may have only one rate"},
		{"app check " + sum + " 50/s expires=2027-01-31T00:00:00Z x", nil, "line 1: a line is"},
		{"app check " + sum + " expires=2027-01-31T00:00:00Z", []apikey.Key{
			{Name: "app", Scopes: apikey.Check, Hash: hash, ExpiresAt: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
		}, ""},
		{"app check " + sum + " expires=2027-01-31", nil, "line 1: the expiration of a key"},
		{"app check " + sum + " expires=", nil, "line 1: the expiration of a key"},
		{"app check " + sum + " expires=0001-01-01T00:00:00Z", nil, "line 1: the expiration of a key"},
		{
			"app check " + sum + " expires=2027-01-31T00:00:00Z expires=2028-01-31T00:00:00Z", nil,
			"line 1: a key may have only one",
		},
		{secret + "! check " + sum, nil, "line 1: the name"},
		{"app " + secret + " " + sum, nil, "line 1: the scopes"},
		{"app check " + sum + " " + secret, nil, "line 1: a rate"},
		{"app check " + sum + " 0/s", nil, "line 1: a rate"},
		{"app check " + sum + " 5/h", nil, "line 1: a rate"},
		{"app check " + sum + " 50", nil, "line 1: a rate"},
		{"app check " + sum + " 1000001/s", nil, "line 1: a rate"},
		{"\n" + strings.Repeat("x", 5000), nil, "line 2: a line may have at most"},
	} {
		got, err := apikey.ParseFile(strings.NewReader(tt.text))
		checkError(t, tt.text, err, tt.err)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%q: got %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func TestGeneratedKeyIsAcceptedByItsLine(t *testing.T) {
	made, key, err := apikey.Generate("app", apikey.Check|apikey.Write, "dashboard", "folder")
	if err != nil {
		t.Fatal(err)
	}
	if prefix := "sluice_"; !strings.HasPrefix(made, prefix) || len(made) != len(prefix)+43 || strings.Contains(
		key.Line(), made,
	) {
		t.Errorf("Generate returned the key %q and the line %q", made, key.Line())
	}
	key.Rate = apikey.Rate{Requests: 7, Per: time.Minute}
	key.ExpiresAt = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	read, err := apikey.ParseFile(strings.NewReader(key.Line() + "\n"))
	if err != nil || len(read) != 1 || !reflect.DeepEqual(read[0], key) {
		t.Fatalf("the line %q became %+v, %v", key.Line(), read, err)
	}
	keys, err := apikey.New(read...)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := keys.Identify(made); !ok || got.Name != "app" || got.Scopes != key.Scopes {
		t.Errorf("the key is %+v, %v", got, ok)
	}
	if again, _, _ := apikey.Generate("app", apikey.Check); again == made {
		t.Error("two keys are the same")
	}
	if _, _, err := apikey.Generate("my app", apikey.Check); err == nil {
		t.Error("Generate accepted an invalid name")
	}
	if _, _, err := apikey.Generate("app", 0); err == nil {
		t.Error("Generate accepted no scopes")
	}
}

func key(name, secret string) apikey.Key {
	return apikey.Key{Name: name, Scopes: apikey.Check, Hash: apikey.HashOf(secret)}
}

func TestIdentifyAndReplace(t *testing.T) {
	keys, err := apikey.New(key("a", "1"), key("b", "2"), key("c", "3"))
	if err != nil {
		t.Fatal(err)
	}
	find := func(secret, want string) {
		t.Helper()
		if got, ok := keys.Identify(secret); got.Name != want || ok != (want != "") {
			t.Errorf("%q is %q, want %q", secret, got.Name, want)
		}
	}
	find("1", "a")
	find("2", "b")
	find("3", "c")
	find("4", "")
	find("", "")
	for _, wrong := range [][]apikey.Key{{key("a", "1"), key("a", "2")}, {key("a", "1"), key("b", "1")}} {
		if err := keys.Replace(wrong); err == nil {
			t.Errorf("Replace accepted %v", wrong)
		}
	}
	find("3", "c")
	if err := keys.Replace([]apikey.Key{key("d", "4"), key("a", "2")}); err != nil {
		t.Fatal(err)
	}
	find("1", "")
	find("2", "a")
	find("4", "d")
	if err := keys.Replace(nil); err != nil {
		t.Fatal(err)
	}
	find("2", "")
}

func TestKeysAreReplacedWhileTheyAreUsed(t *testing.T) {
	keys, err := apikey.New(key("a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, ok := keys.Identify("1"); !ok {
					t.Error("Identify did not find a key that is in the old and in the new set")
				}
			}
		})
	}
	for i := range 100 {
		if err := keys.Replace([]apikey.Key{key(fmt.Sprint("x", i), fmt.Sprint("x", i)), key("a", "1")}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestUseKeepsToTheRate(t *testing.T) {
	limited := key("a", "1")
	limited.Rate = apikey.Rate{Requests: 4, Per: time.Second}
	keys, err := apikey.New(limited, key("free", "2"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	use := func(secret string) time.Duration {
		k, ok := keys.Identify(secret)
		if !ok {
			t.Fatal("no key")
		}
		return k.Use(now, 1)
	}
	for range 100 {
		if use("2") != 0 {
			t.Fatal("a key without a rate was limited")
		}
	}
	for range 4 {
		if wait := use("1"); wait != 0 {
			t.Fatalf("limited for %s within the rate", wait)
		}
	}
	for range 3 { // rejected uses are not counted
		if wait := use("1"); wait != 250*time.Millisecond {
			t.Fatalf("limited for %s, want 250ms", wait)
		}
	}
	if err := keys.Replace([]apikey.Key{limited}); err != nil {
		t.Fatal(err)
	}
	if use("1") == 0 {
		t.Error("replacing the keys reset the used rate")
	}
	now = now.Add(250 * time.Millisecond)
	if use("1") != 0 || use("1") == 0 {
		t.Error("a quarter of a second allows one use")
	}
	limited.Rate.Requests = 5
	if err := keys.Replace([]apikey.Key{limited}); err != nil {
		t.Fatal(err)
	}
	if use("1") != 0 {
		t.Error("after a change of its rate, a key must have the whole new rate")
	}
}

func FuzzParseFile(f *testing.F) {
	hash := apikey.HashOf(secret)
	f.Add("app check " + hex.EncodeToString(hash[:]) + " 50/s # x\n\nb operate+inspect 00")
	f.Add("a b c d e")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := apikey.ParseFile(strings.NewReader(text))
		if err != nil {
			return
		}
		var lines strings.Builder
		for _, k := range keys {
			lines.WriteString(k.Line() + "\n")
		}
		again, err := apikey.ParseFile(strings.NewReader(lines.String()))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(keys) {
			t.Errorf("%q became %q, %v", text, lines.String(), err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("app:check+operate:KEY")
	f.Add("app:write:dashboard+check:KEY")
	f.Add("::")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := apikey.Parse(text)
		if err != nil {
			return
		}
		secret, isPrefix := strings.CutPrefix(text, key.Name+":")
		for isPrefix && key.Hash != apikey.HashOf(secret) {
			_, secret, isPrefix = strings.Cut(secret, ":")
		}
		if !isPrefix || key.Scopes == 0 || len(key.WriteTypes) > 0 && key.Scopes&apikey.Write == 0 {
			t.Errorf("%q became %+v", text, key)
		}
	})
}

// TestExpensiveUsesCountManyTimes checks that a use which costs ten requests counts as ten. If the rate is lower,
// such a use exhausts it.
func TestExpensiveUsesCountManyTimes(t *testing.T) {
	fast, slow := key("fast", "1"), key("slow", "2")
	fast.Rate, slow.Rate = apikey.Rate{Requests: 15, Per: time.Second}, apikey.Rate{Requests: 2, Per: time.Second}
	keys, err := apikey.New(fast, slow)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	use := func(secret string, cost int) time.Duration {
		k, ok := keys.Identify(secret)
		if !ok {
			t.Fatal("no key")
		}
		return k.Use(now, cost)
	}
	if use("1", 10) != 0 || use("1", 10) == 0 || use("1", 5) != 0 || use("1", 1) == 0 {
		t.Error("a use that costs ten must count as ten")
	}
	if use("2", 10) != 0 || use("2", 1) == 0 {
		t.Error("a use that costs more than the rate must use up the whole rate")
	}
}
