// Command gen generates code and text from authz.SimpleTypes: their calls in the contract, the handlers, the methods
// of the Go client, and the tables of the documentation. It runs in the directory of package api.
package main

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/sluice-authz/sluice/internal/authz"
)

//go:embed *.tmpl
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"title":   title[authz.Type],
	"article": authz.WithArticle[authz.Type],
	"placeExample": func(place authz.Type) string {
		return map[authz.Type]string{"account": "acme", "workspace": "w1"}[place]
	},
	"clientPart": func(place authz.Type) string {
		return map[authz.Type]string{"account": "Part", "workspace": "WorkspacePart"}[place]
	},
}).ParseFS(files, "*.tmpl"))

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	for path, name := range map[string]string{
		"../internal/httpapi/simple_types.gen.go": "handlers.tmpl",
		"../client/simple_types.gen.go":           "client.tmpl",
	} {
		source, err := format.Source([]byte(fill(name, authz.SimpleTypes)))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.WriteFile(path, source, 0o644); err != nil { //nolint:gosec // others may read a source file
			return err
		}
	}
	if err := edit("openapi.yaml", editContract); err != nil {
		return err
	}
	if err := edit("../docs/security.md", editLimits); err != nil {
		return err
	}
	return edit("../docs/api.md", func(page string) (string, error) {
		table := fill("docs.tmpl", authz.SimpleTypes)
		return replace(page, "<!-- simple types:begin -->\n", "<!-- simple types:end -->", table)
	})
}

// edit changes a file.
func edit(path string, change func(string) (string, error)) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := change(string(before))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(after), 0o644) //nolint:gosec // others may read a source file
}

// editContract writes the calls of the simple types, and the names of the collections in accounts and workspaces.
func editContract(contract string) (string, error) {
	var calls strings.Builder
	for _, typ := range authz.SimpleTypes {
		calls.WriteString(fill("contract.tmpl", typ))
	}
	contract, err := replace(
		contract, "  # Generated from internal/authz/simple_type.go: begin\n", "  # Generated: end\n", calls.String(),
	)
	if err != nil {
		return "", err
	}
	for place, others := range map[authz.Type][]string{
		"account": {"connections", "connectors", "importers", "workspaces"}, "workspace": nil,
	} {
		names := others
		for _, typ := range authz.SimpleTypesIn(place) {
			names = append(names, typ.Collection())
		}
		slices.Sort(names)
		start := "    " + title(place) + "Collection:\n"
		head, tail, found := strings.Cut(contract, start)
		if !found {
			return "", fmt.Errorf("api/openapi.yaml has no line %q", start)
		}
		if tail, err = replace(tail, "enum: [", "]", strings.Join(names, ", ")); err != nil {
			return "", err
		}
		contract = head + start + tail
	}
	return contract, nil
}

// editLimits writes the calls of the simple types into the table of limits.
func editLimits(page string) (string, error) {
	for _, row := range []struct{ method, suffix, after, before string }{
		{"GET", "/{id}", "`GET /v1/workspaces/{id}`", ", `GET /v1/connectors/{id}`"},
		{"POST", "", "`POST /v1/workspaces`", ", `POST /v1/subscriptions/{id}/invitations`"},
		{"DELETE", "/{id}", "`DELETE /v1/workspaces/{id}`", ", `DELETE /v1/connectors/{id}`"},
	} {
		var calls strings.Builder
		for _, typ := range authz.SimpleTypes {
			fmt.Fprintf(&calls, ", `%s /v1/%s%s`", row.method, typ.Collection(), row.suffix)
		}
		var err error
		if page, err = replace(page, row.after, row.before, calls.String()); err != nil {
			return "", err
		}
	}
	return page, nil
}

// replace returns the text with other content between two marks: the first occurrence of after, and the next occurrence
// of before.
func replace(in, after, before, content string) (string, error) {
	head, tail, found := strings.Cut(in, after)
	_, rest, closed := strings.Cut(tail, before)
	if !found || !closed {
		return "", fmt.Errorf("the text lacks %q, or %q after it", after, before)
	}
	return head + after + content + before + rest, nil
}

func fill(name string, data any) string {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		panic(err) // a fault of the template
	}
	return out.String()
}

func title[S ~string](name S) string { return strings.ToUpper(string(name[:1])) + string(name[1:]) }
