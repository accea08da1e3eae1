package schema

import (
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// versions has a line for each version of the product's schema: its number and the hash of its text. The last line is
// the schema of this program. go generate appends a line when the schema has changed.
//
//go:embed versions.txt
var versions string

// Version is the number of the product's schema in this program. A newer schema has a greater number.
func Version() int { return lastVersion(versions) }

// lastVersion returns the last number, or 0 if there is no line.
func lastVersion(lines string) int {
	fields := strings.Fields(lines)
	if len(fields) < 2 {
		return 0
	}
	number, err := strconv.Atoi(fields[len(fields)-2])
	if err != nil {
		return 0
	}
	return number
}

// NextVersions returns the lines of versions.txt for a text of the product's schema. It appends a line unless the last
// line is for this text.
func NextVersions(text string) string {
	hash := Hash(text)
	if strings.HasSuffix(versions, " "+hash+"\n") {
		return versions
	}
	return fmt.Sprintf("%s%d %s\n", versions, Version()+1, hash)
}

// Hash identifies the text of a schema.
func Hash(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16] }

// stampType is the definition whose comment contains the Stamp of a stored schema. It has no relations, so that no
// relationship of it can be stored. SpiceDB stores it with the schema, so a write replaces both atomically.
const stampType = "sluice_schema"

// Stamp identifies the origin of a stored schema.
type Stamp struct {
	Version  int      `json:"version"`            // version of the product's schema in the program that applied it
	File     string   `json:"file,omitempty"`     // name of the program's --schema file
	Hash     string   `json:"hash"`               // hash of the applied text
	Replaced []string `json:"replaced,omitempty"` // hashes of the earlier texts, the newest last

	// Unfinished is set while the stored relationships are being adapted to the text. Version, File and Hash are then
	// those of the text before.
	Unfinished bool `json:"unfinished,omitempty"`
}

// maxReplaced is the largest number of earlier texts in a stamp.
const maxReplaced = 50

// Next returns the stamp of a text that replaces the text of s.
func (s Stamp) Next(version int, file, text string) Stamp {
	hash := Hash(text)
	replaced := slices.Clone(s.Replaced)
	if s.Hash != "" {
		replaced = append(replaced, s.Hash)
	}
	replaced = slices.DeleteFunc(replaced, func(old string) bool { return old == hash })
	return Stamp{Version: version, File: file, Hash: hash, Replaced: replaced[max(0, len(replaced)-maxReplaced):]}
}

// HasReplaced reports whether the text with this hash was stored before.
func (s Stamp) HasReplaced(hash string) bool { return slices.Contains(s.Replaced, hash) }

const stampBegin = "/** Which schema this is; written by Sluice: "

var stampPattern = regexp.MustCompile(
	`(?s)\s*(?:/\*\*[^/]*?(\{[^\n]*\})\s*\*/\s*)?definition ` + stampType + `\s*\{\s*\}\s*`,
)

// WithStamp adds the definition with the stamp to a schema without one.
func WithStamp(text string, stamp Stamp) (string, error) {
	encoded, err := json.Marshal(stamp)
	if err != nil {
		return "", err
	}
	// The name of a file must not end the comment.
	safe := strings.ReplaceAll(string(encoded), "/", `\u002f`)
	return strings.TrimSpace(text) + "\n\n" + stampBegin + safe + " */\ndefinition " + stampType + " {}\n", nil
}

// SplitStamp removes the definition with the stamp from the text of a schema. found is false if there is no readable
// stamp.
func SplitStamp(text string) (plain string, stamp Stamp, found bool) {
	at := stampPattern.FindStringSubmatchIndex(text)
	if at == nil {
		return text, Stamp{}, false
	}
	plain = strings.TrimSpace(text[:at[0]]+"\n\n"+text[at[1]:]) + "\n"
	if at[2] < 0 || json.Unmarshal([]byte(text[at[2]:at[3]]), &stamp) != nil {
		return plain, Stamp{}, false
	}
	return plain, stamp, true
}
