package roletables

import (
	"fmt"
	"strings"
)

// Document is the Markdown file that shows the tables, as seen from the folder schema/.
const Document = "../docs/role-tables.md"

// The lines between which a Markdown file holds the rendered tables.
const (
	markdownBegin = "<!-- role-tables:begin -->"
	markdownEnd   = "<!-- role-tables:end -->"
)

// Markdown renders the tables with a heading for each.
func Markdown(tables []Table) string {
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&b, "### `%s` (on the %s)\n\n| may | on | when |", table.RoleSet.Name, table.RoleSet.On)
		for _, column := range table.Columns {
			fmt.Fprintf(&b, " %s |", column.Name)
		}
		b.WriteString("\n|---|---|---|" + strings.Repeat(":-:|", len(table.Columns)) + "\n")
		for _, row := range table.Rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s |", row.Permission, row.Resource, row.Situation)
			for _, allowed := range row.Allowed {
				if allowed {
					b.WriteString(" yes |")
				} else {
					b.WriteString(" – |")
				}
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// InsertMarkdown returns a document with the tables in place of what stands between its role-tables markers.
func InsertMarkdown(document string, tables []Table) (string, error) {
	before, rest, found := strings.Cut(document, markdownBegin)
	_, after, closed := strings.Cut(rest, markdownEnd)
	if !found || !closed {
		return "", fmt.Errorf("the document has no lines %s and %s", markdownBegin, markdownEnd)
	}
	return before + markdownBegin + "\n\n" + Markdown(tables) + markdownEnd + after, nil
}
