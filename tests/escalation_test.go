package tests

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// escalation checks which requests a person may make in every role of every role set. The person is "eve". A table
// in testdata/escalation has steps that create objects, a line with the roles, and a line for each request with its
// expected status in each role. A rejected request must write nothing. The allowed requests run in a second scene
// (with new objects), in the order of the table. If the status has a '*', the request runs in a scene of its own.
func escalation(t *testing.T, on *backend) {
	files, err := filepath.Glob("testdata/escalation/*.table")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no tables: %v", err)
	}
	for group, file := range files {
		table := readAttempts(t, file)
		for i, role := range table.roles {
			if !on.playsOneOf(group, i, len(table.roles)) {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".table")+"/"+role, func(t *testing.T) {
				on.parallel(t)
				table.attempt(t, on, i)
			})
		}
	}
}

type attempts struct {
	setting []line
	roles   []string
	rows    []attempt
}

type attempt struct {
	line
	cells []cell
}

type cell struct {
	status int
	alone  bool
}

func readAttempts(t *testing.T, file string) attempts {
	t.Helper()
	var table attempts
	for _, l := range readLines(t, file) {
		request, cells, found := strings.Cut(l.text, "|")
		switch columns := strings.Split(cells, "|"); {
		case !found:
			table.setting = append(table.setting, l)
		case table.roles == nil:
			for _, role := range columns {
				table.roles = append(table.roles, strings.TrimSpace(role))
			}
		default:
			row := attempt{line: line{l.at, strings.TrimSpace(request)}}
			for _, column := range columns {
				number, alone := strings.CutSuffix(strings.TrimSpace(column), "*")
				status, err := strconv.Atoi(number)
				if err != nil {
					t.Fatalf("%s: %v", l.at, err)
				}
				row.cells = append(row.cells, cell{status, alone})
			}
			if len(row.cells) != len(table.roles) {
				t.Fatalf("%s: %d columns, want %d", l.at, len(row.cells), len(table.roles))
			}
			table.rows = append(table.rows, row)
		}
	}
	if len(table.rows) == 0 {
		t.Fatalf("%s has no requests", file)
	}
	return table
}

// attempt sends all requests of the table in one role.
func (a attempts) attempt(t *testing.T, on *backend, column int) {
	role := a.roles[column]
	// Under single_owner, only a transfer grants the role owner. After the transfer, eve is the only owner.
	become, owner := "olga PUT subscriptions/~s/members/~eve {roles: ["+role+"]}", "olga"
	if role == "owner" {
		become, owner = "olga POST subscriptions/~s/transfer {to: ~eve}", "eve"
	}
	grant := "olga PUT accounts/~a/members/~eve {roles: [" + role + "]}"
	if additional, alone := strings.CutSuffix(role, " alone"); alone { // no operation grants an additional role alone
		grant = "given account:~a#" + additional + "@user:~eve"
	}
	fill := strings.NewReplacer("$grant", grant, "$become", become, "$owner", owner, "$role", role)
	set := func() scene {
		s := newScene(t, on)
		for _, l := range a.setting {
			line{l.at, fill.Replace(l.text)}.play(s, "", "")
		}
		return s
	}
	try := func(s scene, row attempt) {
		s.t = located{t, row.at}
		next, err := parseStep(s.in("eve " + fill.Replace(row.text) + " => " + strconv.Itoa(row.cells[column].status)))
		if err != nil {
			s.t.Fatal(err)
		}
		request := next.(requestStep)
		request.verify(s.t, s.by("eve").call(request.method, request.path, request.body))
	}
	refused := set()
	refused.writesNothing("what eve is refused", func() {
		for _, row := range a.rows {
			if row.cells[column].status >= 400 {
				try(refused, row)
			}
		}
	})
	allowed := set()
	for _, row := range a.rows {
		switch c := row.cells[column]; {
		case c.alone:
			try(set(), row)
		case c.status < 400:
			try(allowed, row)
		}
	}
}
