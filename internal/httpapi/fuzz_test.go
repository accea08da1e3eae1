package httpapi

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

func FuzzReference(f *testing.F) {
	for _, seed := range []string{
		`"user:alice"`, `"account:acme#member"`, `{"type":"user","id":"a#b","relation":"owner"}`, `"user:*"`,
		`{"type":"user","id":"*"}`, `7`, `null`, `{"id":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkJSON("it", data) != nil {
			return
		}
		subject, err := parseSubject(data)
		if err != nil {
			if codeOf(err) != authz.CodeInvalid {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		written, err := reference(subject)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseSubject(written.union); err != nil || again != subject {
			t.Errorf("%q is %+v, was written %s, and read as %+v, %v", data, subject, written.union, again, err)
		}
	})
}

func FuzzConsistency(f *testing.F) {
	for _, seed := range []string{
		`"fully_consistent"`, `"minimize_latency"`, `{"at_least_as_fresh":"t"}`, `{"at_least_as_fresh":""}`, `""`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkJSON("it", data) != nil {
			return
		}
		at, err := parseConsistency(data)
		switch {
		case err != nil && codeOf(err) != authz.CodeInvalid:
			t.Errorf("%q: %v", data, err)
		case err == nil && (at.Freshness == authz.Default || (at.Freshness == authz.AtLeastAsFresh) != (at.Token != "")):
			t.Errorf("%q became %+v", data, at)
		}
	})
}

// FuzzStrict asserts that strict decoding accepts only data with each field once, and no other fields: encoding the
// result gives the same JSON.
func FuzzStrict(f *testing.F) {
	f.Add([]byte(`{"id":"w","account":"a","open":true}`))
	f.Add([]byte(`{"open":false,"users":["a","b"]}`))
	f.Add([]byte(`{"accounts":{"a1":["editor"],"a2":[]}}`))
	f.Add([]byte(`{"source":null}`))
	f.Add([]byte(`{"id":"\ud83d\ude00\u0069","to":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkJSON("it", data) != nil {
			return
		}
		for _, into := range []any{
			new(NewWorkspace), new(Access), new(MemberAccounts), new(NewInvitation), new(ImporterEnds), new(NewImporter),
			new(Transfer),
		} {
			if decodeStrict("it", data, into) != nil {
				continue
			}
			written, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			var before, after any
			if json.Unmarshal(data, &before) != nil || json.Unmarshal(written, &after) != nil || !reflect.DeepEqual(
				before, after,
			) {
				t.Errorf("%q was read as a %T and written as %s", data, into, written)
			}
		}
	})
}

// FuzzLenient asserts that lenient decoding accepts everything that strict decoding accepts. From other data it reads
// exactly the known fields: strict decoding of the encoded result gives the same value.
func FuzzLenient(f *testing.F) {
	f.Add([]byte(`{"subject":{"type":"user","id":"a"},"Subject":7,"action":{"name":"x","nAmE":"y"}}`))
	f.Add([]byte(`{"subject":{"\u0069d":"a","ID":"b","":{"a":1,"a":2}},"context":{"A":1,"a":[{"b":null}]}}`))
	f.Add([]byte(`{"resource":{"type":"x","properties":{"TYPE":1,"é":"\"}"}},"é":"}"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkJSON("it", data) != nil {
			return
		}
		var strict, lenient, again EvaluationItem
		before := string(data)
		err := decodeLenient("it", data, &lenient)
		if string(data) != before {
			t.Fatalf("%q was changed to %q", before, data)
		}
		if decodeStrict("it", data, &strict) == nil && (err != nil || !reflect.DeepEqual(strict, lenient)) {
			t.Errorf("%q was read strictly as %+v, leniently as %+v, %v", data, strict, lenient, err)
		}
		if err != nil {
			if codeOf(err) != authz.CodeInvalid {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		written, err := json.Marshal(lenient)
		if err != nil {
			t.Fatal(err)
		}
		if err := decodeStrict("it", written, &again); err != nil || !reflect.DeepEqual(lenient, again) {
			t.Errorf("%q was read as %+v, and again as %+v, %v", data, lenient, again, err)
		}
		var known, top map[string]json.RawMessage
		if json.Unmarshal(data, &top) != nil || json.Unmarshal(written, &known) != nil {
			t.Fatal("no objects")
		}
		for _, name := range []string{"subject", "action", "resource", "context"} {
			if _, there := known[name]; there != (top[name] != nil) {
				t.Errorf("%q has %s: %t; what was read has it: %t", data, name, top[name] != nil, there)
			}
		}
	})
}
