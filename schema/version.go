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
// the version in this program. If the schema has changed, go generate appends a line.
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

// NextVersions returns the content that versions.txt must have for a text of the product's schema. If the last line
// does not have the hash of this text, the content has one more line.
func NextVersions(text string) string {
	hash := Hash(text)
	if strings.HasSuffix(versions, " "+hash+"\n") {
		return versions
	}
	return fmt.Sprintf("%s%d %s\n", versions, Version()+1, hash)
}

// Hash returns a hash of the text of a schema: 16 hexadecimal digits.
func Hash(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16] }

// stampType is the name of a definition that Sluice adds to the stored schema. The comment of this definition
// contains the Stamp. The definition has no relations, so no relationship can use it. Because the stamp is part of
// the schema, SpiceDB replaces both in one atomic write.
const stampType = "sluice_schema"

// Stamp says which program stored a schema, from which file, and which schemas it replaced. It is stored with the
// schema.
type Stamp struct {
	Version  int      `json:"version"`            // version of the product's schema in the program that stored it
	File     string   `json:"file,omitempty"`     // name of the program's --schema file
	Hash     string   `json:"hash"`               // hash of the stored text
	Replaced []string `json:"replaced,omitempty"` // hashes of earlier texts, the newest last

	// Unfinished is set while a server adapts the stored relationships to a new schema, for example to renamed
	// relations. Version, File and Hash are then those of the schema before.
	Unfinished bool `json:"unfinished,omitempty"`
}

// maxReplaced is the largest number of hashes in Stamp.Replaced.
const maxReplaced = 50

// Next returns the stamp of a schema that replaces the schema with the stamp s. It adds the hash of the replaced
// schema to Replaced.
func (s Stamp) Next(version int, file, text string) Stamp {
	hash := Hash(text)
	replaced := slices.Clone(s.Replaced)
	if s.Hash != "" {
		replaced = append(replaced, s.Hash)
	}
	replaced = slices.DeleteFunc(replaced, func(old string) bool { return old == hash })
	return Stamp{Version: version, File: file, Hash: hash, Replaced: replaced[max(0, len(replaced)-maxReplaced):]}
}

// HasReplaced reports whether the schema with this hash was stored earlier, and was replaced since then.
func (s Stamp) HasReplaced(hash string) bool { return slices.Contains(s.Replaced, hash) }

const stampBegin = "/** Which schema this is; written by Sluice: "

var stampPattern = regexp.MustCompile(
	`(?s)\s*(?:/\*\*[^/]*?(\{[^\n]*\})\s*\*/\s*)?definition ` + stampType + `\s*\{\s*\}\s*`,
)

// WithStamp adds the definition with the stamp to a schema that has no stamp.
func WithStamp(text string, stamp Stamp) (string, error) {
	encoded, err := json.Marshal(stamp)
	if err != nil {
		return "", err
	}
	// The name of a file must not end the comment.
	safe := strings.ReplaceAll(string(encoded), "/", `\u002f`)
	return strings.TrimSpace(text) + "\n\n" + stampBegin + safe + " */\ndefinition " + stampType + " {}\n", nil
}

// SplitStamp removes the definition with the stamp from a schema, and returns the schema and the stamp separately.
// found is false if the schema has no stamp, or one that cannot be decoded.
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
