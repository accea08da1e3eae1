package apikey

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Parse reads a key as it stands in a flag, NAME:SCOPE+SCOPE:KEY. The error does not repeat the text.
func Parse(text string) (Key, error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return Key{}, errors.New("a key is written NAME:SCOPE+SCOPE:KEY, for example app:check+operate:KEY")
	}
	name, secret := parts[0], parts[2]
	if err := checkName(name); err != nil {
		return Key{}, err
	}
	scopes, err := ParseScopes(parts[1])
	if err != nil {
		return Key{}, fmt.Errorf("the key %s: %w", name, err)
	}
	if !sendable(secret) {
		return Key{}, fmt.Errorf("the key %s: the KEY of NAME:SCOPE+SCOPE:KEY must be visible ASCII without spaces, and not empty", name)
	}
	return Key{Name: name, Scopes: scopes, Hash: HashOf(secret)}, nil
}

// maxLine is how long a line of a keys file may be, in bytes.
const maxLine = 4096

// ParseFile reads a keys file: a key on each line as NAME SCOPE+SCOPE SHA256, then its rate, such as 50/s, and its end,
// such as expires=2027-01-31T00:00:00Z, if it has them. Empty lines and what follows a '#' do not count. The error names the line.
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
		return nil, fmt.Errorf("line %d: a line has at most %d bytes", number+1, maxLine)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("the file holds no key; sluice key new makes one")
	}
	return keys, nil
}

func parseLine(fields []string) (Key, error) {
	if len(fields) < 3 || len(fields) > 5 {
		return Key{}, errors.New("a line is NAME SCOPE+SCOPE SHA256, then optionally a rate such as 50/s and an end such as expires=2027-01-31T00:00:00Z")
	}
	if err := checkName(fields[0]); err != nil {
		return Key{}, err
	}
	key := Key{Name: fields[0]}
	var err error
	if key.Scopes, err = ParseScopes(fields[1]); err != nil {
		return Key{}, err
	}
	hash, err := hex.DecodeString(fields[2])
	if err != nil || len(hash) != len(key.Hash) {
		return Key{}, fmt.Errorf("the third field is the SHA-256 of the key as %d hex digits, as sluice key new prints it; never the key itself", 2*len(key.Hash))
	}
	copy(key.Hash[:], hash)
	for _, field := range fields[3:] {
		end, isEnd := strings.CutPrefix(field, expiresPrefix)
		switch {
		case isEnd && key.ExpiresAt.IsZero():
			if key.ExpiresAt, err = authz.ParseTime(end); err != nil || key.ExpiresAt.IsZero() {
				return Key{}, errors.New("the end of a key is written expires= and a time such as 2027-01-31T00:00:00Z")
			}
		case !isEnd && key.Rate == Rate{}:
			if key.Rate, err = ParseRate(field); err != nil {
				return Key{}, err
			}
		default:
			return Key{}, errors.New("a key has one rate and one end at most")
		}
	}
	return key, nil
}

// sendable reports whether a secret can stand in an Authorization header.
func sendable(secret string) bool {
	for i := range len(secret) {
		if secret[i] <= ' ' || secret[i] > '~' {
			return false
		}
	}
	return secret != ""
}
