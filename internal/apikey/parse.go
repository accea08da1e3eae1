package apikey

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// flagForm matches a key in the form of a flag, NAME:SCOPE+SCOPE:KEY, if its scopes are valid. A scope write:TYPE
// contains a colon, and colons also separate the fields. So if a type and another colon follow "write:", the type
// belongs to the scope. Otherwise the text after "write:" is KEY.
var flagForm = func() *regexp.Regexp {
	scope := "(?:" + writePrefix + "[a-z][a-z0-9_/]+[a-z0-9]|" + strings.Join(AllScopes.Names(), "|") + ")"
	return regexp.MustCompile(`(?s)^([^:]*):(` + scope + `(?:\+` + scope + `)*):(.*)$`)
}()

// splitFlag splits the form NAME:SCOPE+SCOPE:KEY into its three parts.
func splitFlag(text string) (name, scopes, secret string, found bool) {
	if parts := flagForm.FindStringSubmatch(text); parts != nil {
		return parts[1], parts[2], parts[3], true
	}
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// Parse parses a key in the form of a flag, NAME:SCOPE+SCOPE:KEY. The error may contain NAME, but never KEY.
func Parse(text string) (Key, error) {
	name, scopes, secret, found := splitFlag(text)
	if !found {
		return Key{}, errors.New("a key is written NAME:SCOPE+SCOPE:KEY, for example app:check+operate:KEY")
	}
	if err := checkName(name); err != nil {
		return Key{}, err
	}
	parsed, types, err := ParseScopes(scopes)
	if err != nil {
		return Key{}, fmt.Errorf("the key %s: %w", name, err)
	}
	if endsInWrite(scopes) && strings.Contains(secret, ":") {
		return Key{}, fmt.Errorf(
			"the key %s: the text between write: and the next colon must be the name of a type: "+
				"3 to 64 characters of a-z, 0-9 and _, beginning with a letter; "+
				"if this text is a part of the KEY, put another scope last", name,
		)
	}
	if !sendable(secret) {
		return Key{}, fmt.Errorf(
			"the key %s: the KEY of NAME:SCOPE+SCOPE:KEY must be visible ASCII without spaces, and not empty", name,
		)
	}
	return Key{Name: name, Scopes: parsed, WriteTypes: types, Hash: HashOf(secret)}, nil
}

// endsInWrite reports whether the last scope is Write without a type.
func endsInWrite(scopes string) bool {
	return scopes[strings.LastIndexByte(scopes, '+')+1:] == Write.String()
}

// shortKey is the number of bytes below which a key is short. A random key is longer, even if it has only letters and
// digits.
const shortKey = 16

// IsShort reports whether KEY is so short that somebody may guess it. text has the form NAME:SCOPE+SCOPE:KEY.
func IsShort(text string) bool {
	_, _, secret, _ := splitFlag(text)
	return len(secret) < shortKey
}

// maxLine is the largest length of a line of a keys file in bytes.
const maxLine = 4096

// ParseFile parses a keys file. Each line describes a key in the form NAME SCOPE+SCOPE SHA256. A rate, for example
// 50/s, and an expiration, for example expires=2027-01-31T00:00:00Z, may follow. ParseFile ignores empty lines, and
// comments after '#'. The error names the line. A file without keys is an error.
func ParseFile(r io.Reader) ([]Key, error) {
	var keys []Key
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	number := 0
	for lines.Scan() {
		number++
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		key, err := parseLine(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		keys = append(keys, key)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: a line may have at most %d bytes", number+1, maxLine)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("the file contains no key; `sluice key new` makes one")
	}
	return keys, nil
}

func parseLine(fields []string) (Key, error) {
	if len(fields) < 3 || len(fields) > 5 {
		return Key{}, errors.New(
			"a line is NAME SCOPE+SCOPE SHA256, then optionally a rate, for example 50/s, and an expiration, for example " +
				"expires=2027-01-31T00:00:00Z",
		)
	}
	if err := checkName(fields[0]); err != nil {
		return Key{}, err
	}
	key := Key{Name: fields[0]}
	var err error
	if key.Scopes, key.WriteTypes, err = ParseScopes(fields[1]); err != nil {
		return Key{}, err
	}
	hash, err := hex.DecodeString(fields[2])
	if err != nil || len(hash) != len(key.Hash) {
		return Key{}, fmt.Errorf(
			"the third field must be the SHA-256 of the key, %d hex digits, not the key; `sluice key new` prints it",
			2*len(key.Hash),
		)
	}
	copy(key.Hash[:], hash)
	for _, field := range fields[3:] {
		end, isEnd := strings.CutPrefix(field, expiresPrefix)
		switch {
		case isEnd && key.ExpiresAt.IsZero():
			if key.ExpiresAt, err = authz.ParseTime(end); err != nil || key.ExpiresAt.IsZero() {
				return Key{}, errors.New(
					"the expiration of a key has the form expires=TIME, for example expires=2027-01-31T00:00:00Z",
				)
			}
		case !isEnd && key.Rate == Rate{}:
			if key.Rate, err = ParseRate(field); err != nil {
				return Key{}, err
			}
		default:
			return Key{}, errors.New("a key may have only one rate and one expiration")
		}
	}
	return key, nil
}

// sendable reports whether an Authorization header can contain the secret.
func sendable(secret string) bool {
	for i := range len(secret) {
		if secret[i] <= ' ' || secret[i] > '~' {
			return false
		}
	}
	return secret != ""
}
