package roletables

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	table, err := Parse(
		"operations",
		strings.NewReader(
			"resource,permission,situation,operator,operator+flow_author,flow_author alone\nflow,edit,open,n,y,n\n",
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	both := table.Columns[1]
	if len(both.Roles) != 2 || both.Subject() != "operator+flow_author" || table.Columns[2].Subject() != "flow_author" {
		t.Errorf("columns are %+v", table.Columns)
	}
	row := table.Rows[0]
	if row.Resource != "flow" || row.Permission != "edit" || row.Situation != "open" || row.Allowed[0] ||
		!row.Allowed[1] ||
		row.Allowed[2] {
		t.Errorf("the row is %+v", row)
	}
}

func TestParseRefuses(t *testing.T) {
	const header = "resource,permission,situation,owner\n"
	for name, test := range map[string]struct{ set, csv, want string }{
		"role set":  {"kings", header, "is not a role set"},
		"header":    {"team", "resource,permission,owner,user\n", "header"},
		"role":      {"team", "resource,permission,situation,king\n", "king"},
		"two roles": {"team", "resource,permission,situation,owner+guest\n", "one of owner, guest"},
		"cell":      {"team", header + "account,view,,Y\n", "line 2"},
		"width":     {"team", header + "account,view,,y,n\n", "wrong number of fields"},
		"twice":     {"team", header + "account,view,,y\naccount,view,,n\n", "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(test.set, strings.NewReader(test.csv)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestUnknownSituation(t *testing.T) {
	for _, test := range []struct{ csv, want string }{
		{"connection,view,own public,y\n", "public"},
		{"workspace,view,open,y\n", "no workspace can be"},
		{"planet,view,,y\n", "planet"},
	} {
		table, err := Parse("team", strings.NewReader("resource,permission,situation,owner\n"+test.csv))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Validation(table, Person); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %q", test.csv, err, test.want)
		}
	}
}

func TestInsertMarkdown(t *testing.T) {
	table, err := Parse("team", strings.NewReader("resource,permission,situation,owner,guest\naccount,edit,,y,n\n"))
	if err != nil {
		t.Fatal(err)
	}
	document := "before\n" + markdownBegin + "\nold\n" + markdownEnd + "\nafter\n"
	got, err := InsertMarkdown(document, []Table{table})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "\nafter\n") || strings.Contains(got, "old") ||
		!strings.Contains(got, "| `edit` | account |  | yes | – |\n") {
		t.Errorf("got\n%s", got)
	}
	if again, err := InsertMarkdown(got, []Table{table}); err != nil || again != got {
		t.Errorf("inserting again changes the document: %v", err)
	}
	if _, err := InsertMarkdown("no markers", nil); err == nil {
		t.Error("a document without markers is accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("team", "resource,permission,situation,owner\nconnection,view,own private,y\n")
	f.Add("operations", "resource,permission,situation,flow_author alone\nflow,edit,restricted to the subject,n\n")
	f.Fuzz(func(_ *testing.T, set, text string) {
		if table, err := Parse(set, strings.NewReader(text)); err == nil {
			_, _ = Validation(table, Person)
		}
	})
}
