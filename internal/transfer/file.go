// Package transfer copies a schema with all its relationships from one SpiceDB to another, through a file or a pipe.
// An interrupted transfer resumes where it stopped.
//
// The format is SpiceDB's validation YAML: the schema and the relationships, each as a block of text. The package
// reads and writes it line by line, so a file may be larger than the memory.
package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	schemaKey        = "schema"
	relationshipsKey = "relationships"
	indentation      = "  "
)

// exportMark is the first line of an export. Another tool may have stored ids that Sluice does not accept in
// requests. An import accepts such ids from a file with this line, and reports them as mistakes in any other file.
const exportMark = "# sluice export: the ids are as they were stored"

// head returns the text of a file before the first relationship.
func head(schema string) string {
	var out strings.Builder
	out.WriteString(exportMark + "\n" + schemaKey + ": |-\n")
	for line := range strings.Lines(strings.TrimSpace(schema) + "\n") {
		if strings.TrimSpace(line) == "" {
			out.WriteString("\n")
			continue
		}
		out.WriteString(indentation + line)
	}
	out.WriteString(relationshipsKey + ": |-\n")
	return out.String()
}

func lines(relationships []string) string {
	var out strings.Builder
	for _, r := range relationships {
		out.WriteString(indentation + r + "\n")
	}
	return out.String()
}

// reader reads a file line by line.
type reader struct {
	scanner *bufio.Scanner
	number  int // number of the current line
	bytes   int64
	ahead   string // the next line, if it was read already

	beforeSchema int  // number of the line before the first line of the schema
	isExport     bool // the line exportMark was read outside of the schema and the relationships
}

// maxLine is the largest size of a line in bytes. Every relationship with a caveat context is shorter.
const maxLine = 1 << 20

func newReader(from io.Reader) *reader {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	return &reader{scanner: scanner}
}

// line returns the next line, or io.EOF.
func (r *reader) line() (string, error) {
	if line := r.ahead; line != "" {
		r.ahead = ""
		return line, nil
	}
	if !r.scanner.Scan() {
		if err := r.scanner.Err(); err != nil {
			return "", atLine(r.number+1, err)
		}
		return "", io.EOF
	}
	r.number++
	r.bytes += int64(len(r.scanner.Bytes())) + 1
	return r.scanner.Text(), nil
}

// key skips to the next line with the key schema or relationships, and returns the key. It returns io.EOF if there is
// none.
func (r *reader) key() (string, error) {
	for {
		line, err := r.line()
		if err != nil {
			return "", err
		}
		r.isExport = r.isExport || strings.TrimSpace(line) == exportMark
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "---") ||
			strings.HasPrefix(line, " ") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok:
			return "", fmt.Errorf("line %d: %q is not a line of a validation YAML", r.number, line)
		case name == "schemaFile":
			return "", fmt.Errorf("line %d: schemaFile is not supported: write the schema here as schema", r.number)
		case name != schemaKey && name != relationshipsKey:
			continue
		case !strings.HasPrefix(value, "|") && value != "" && value != `""`:
			return "", fmt.Errorf("line %d: %s must be a block of text that begins with |-", r.number, name)
		}
		return name, nil
	}
}

// indented returns the next line of a block without its indentation, or io.EOF at the end of the block.
func (r *reader) indented() (string, error) {
	line, err := r.line()
	switch {
	case err != nil:
		return "", err
	case strings.HasPrefix(line, " ") || strings.TrimSpace(line) == "":
		return strings.TrimPrefix(line, indentation), nil
	default:
		r.ahead = line
		return "", io.EOF
	}
}

// schema reads the schema, which must come before the relationships.
func (r *reader) schema() (string, error) {
	name, err := r.key()
	switch {
	case errors.Is(err, io.EOF) || err == nil && name != schemaKey:
		return "", atLine(max(1, r.number), errors.New("the file must begin with schema"))
	case err != nil:
		return "", err
	}
	var out strings.Builder
	r.beforeSchema = r.number
	for {
		line, err := r.indented()
		switch {
		case errors.Is(err, io.EOF):
			return strings.TrimSpace(out.String()), nil
		case err != nil:
			return "", err
		}
		if out.Len() == 0 && strings.TrimSpace(line) == "" {
			r.beforeSchema = r.number
			continue
		}
		out.WriteString(line + "\n")
	}
}

// relationships skips to the block of relationships, which comes after the schema. It reports whether there is one.
func (r *reader) relationships() (found bool, err error) {
	switch name, err := r.key(); {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		return false, err
	case name != relationshipsKey:
		return false, fmt.Errorf("line %d: the file has a second schema", r.number)
	}
	return true, nil
}

// end reads the rest of the file. It returns an error if the rest has a second schema or a second block of
// relationships, which the import would otherwise ignore.
func (r *reader) end() error {
	switch name, err := r.key(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("line %d: the file has a second %s", r.number, name)
	}
}

// batch reads the next relationships, up to size. It returns fewer only at the end.
func (r *reader) batch(size int) (out []string, err error) {
	for len(out) < size {
		line, err := r.indented()
		switch {
		case errors.Is(err, io.EOF):
			return out, r.end()
		case err != nil:
			return nil, err
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			out = append(out, line)
		}
	}
	return out, nil
}
