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

// versions has a line for each schema that the product has had: its number and the hash of its text. The last one is
// the schema of this program. go generate appends a line when the schema has changed.
//
//go:embed versions.txt
var versions string

// Version is the number of the product's schema in this program. A newer schema has a greater number.
func Version() int { return lastVersion(versions) }

// lastVersion is 0 if there is no line.
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

// NextVersions returns the lines of versions.txt for a text of the product's schema: those that there are, and one more
// if the last one is not of this text.
func NextVersions(text string) string {
	hash := Hash(text)
	if strings.HasSuffix(versions, " "+hash+"\n") {
		return versions
	}
	return fmt.Sprintf("%s%d %s\n", versions, Version()+1, hash)
}

// Hash identifies the text of a schema.
func Hash(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16] }

// StampType is the definition whose comment holds the Stamp of a stored schema. It has no relations, so that nothing
// can be stored about it. SpiceDB keeps it with the schema, and a write replaces both in one step.
const StampType = "sluice_schema"

// Stamp says where a stored schema comes from.
type Stamp struct {
	Version  int      `json:"version"`            // the product's schema in the program that applied it
	File     string   `json:"file,omitempty"`     // the name of the --schema that the program was given
	Hash     string   `json:"hash"`               // of the text that the program applied
	Replaced []string `json:"replaced,omitempty"` // the hashes of the texts before it, the newest last
}

// maxReplaced is how many replaced texts a stamp remembers.
const maxReplaced = 50

// Next is the stamp of a text that replaces the one of s.
func (s Stamp) Next(version int, file, text string) Stamp {
	hash := Hash(text)
	replaced := slices.Clone(s.Replaced)
	if s.Hash != "" {
		replaced = append(replaced, s.Hash)
	}
	replaced = slices.DeleteFunc(replaced, func(old string) bool { return old == hash })
	return Stamp{Version: version, File: file, Hash: hash, Replaced: replaced[max(0, len(replaced)-maxReplaced):]}
}

// HasReplaced reports whether the text with a hash was stored before.
func (s Stamp) HasReplaced(hash string) bool { return slices.Contains(s.Replaced, hash) }

const stampBegin = "/** Which schema this is; written by Sluice: "

var stampPattern = regexp.MustCompile(
	`(?s)\s*(?:/\*\*[^/]*?(\{[^\n]*\})\s*\*/\s*)?definition ` + StampType + `\s*\{\s*\}\s*`,
)

// WithStamp adds the definition with a stamp to the text of a schema that has none.
func WithStamp(text string, stamp Stamp) (string, error) {
	encoded, err := json.Marshal(stamp)
	if err != nil {
		return "", err
	}
	// A comment must not end within the name of a file.
	safe := strings.ReplaceAll(string(encoded), "/", `\u002f`)
	return strings.TrimSpace(text) + "\n\n" + stampBegin + safe + " */\ndefinition " + StampType + " {}\n", nil
}

// SplitStamp removes the definition with the stamp from the text of a schema. found is false if there is none, or if
// somebody else has changed it so that it cannot be read.
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
