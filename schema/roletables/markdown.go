package roletables

import (
	"fmt"
	"strings"
)

// Document is the path of the Markdown file with the tables, relative to the folder schema/.
const Document = "../docs/roles.md"

// These lines mark the begin and the end of the rendered tables in a Markdown file.
const (
	markdownBegin = "<!-- role-tables:begin -->"
	markdownEnd   = "<!-- role-tables:end -->"
)

// Markdown renders the tables. Each table is collapsed below a line that names its role set.
func Markdown(tables []Table) string {
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&b, "<details>\n<summary><code>%s</code>, on the %s: %s</summary>\n\n| may | on | when |",
			table.RoleSet.Name, table.RoleSet.On, columnNames(table.Columns))
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
		b.WriteString("\n</details>\n\n")
	}
	return b.String()
}

func columnNames(columns []Column) string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name
	}
	return strings.Join(names, ", ")
}

// InsertMarkdown returns a document in which new tables replace those between the lines markdownBegin and
// markdownEnd.
func InsertMarkdown(document string, tables []Table) (string, error) {
	before, rest, found := strings.Cut(document, markdownBegin)
	_, after, closed := strings.Cut(rest, markdownEnd)
	if !found || !closed {
		return "", fmt.Errorf("the document has no lines %s and %s", markdownBegin, markdownEnd)
	}
	return before + markdownBegin + "\n\n" + Markdown(tables) + markdownEnd + after, nil
}
