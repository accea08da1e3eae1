// Package roletables parses the role tables, which state row by row who has which permission. It renders them as
// validation files that test the schema, and as Markdown.
package roletables

import (
	"encoding/csv"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Table lists the permissions of the roles of one role set.
type Table struct {
	RoleSet authz.RoleSet
	Columns []Column
	Rows    []Row
}

// Column is a column of a table. It stands for a person with exactly these roles.
type Column struct {
	Name  string
	Roles []authz.Role
}

// Subject returns the id of the person of the column.
func (c Column) Subject() string { return strings.TrimSuffix(c.Name, alone) }

// Row states for each column whether it has one permission, on one type of resource, in one situation.
type Row struct {
	Resource   authz.Type
	Permission authz.Permission
	Situation  string

	// Allowed has the decision for each column of the table.
	Allowed []bool
}

const (
	// alone is the suffix in the name of a column whose person holds only the additional role in the name. In the
	// other columns, a person with an additional role also holds a base role.
	alone = " alone"

	fixedColumns = 3
)

// Read parses every .csv file of a folder, in the order of their names. The name of a file, without .csv, is the
// role set of the table.
func Read(folder fs.FS) ([]Table, error) {
	names, err := fs.Glob(folder, "*.csv")
	if err != nil {
		return nil, err
	}
	tables := make([]Table, 0, len(names))
	for _, name := range names {
		file, err := folder.Open(name)
		if err != nil {
			return nil, err
		}
		table, err := Parse(strings.TrimSuffix(path.Base(name), ".csv"), file)
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// Parse parses the table of one role set. The header is resource,permission,situation and then a column for each
// kind of person. The cells of the rows are y or n.
func Parse(roleSet string, from io.Reader) (Table, error) {
	set, err := findRoleSet(roleSet)
	if err != nil {
		return Table{}, err
	}
	lines, err := csv.NewReader(from).ReadAll()
	if err != nil {
		return Table{}, err
	}
	if len(lines) == 0 || len(lines[0]) <= fixedColumns ||
		strings.Join(lines[0][:fixedColumns], ",") != "resource,permission,situation" {
		return Table{}, fmt.Errorf("the header must be resource,permission,situation and then the roles")
	}
	table := Table{RoleSet: set}
	for _, name := range lines[0][fixedColumns:] {
		roles, err := set.ParseAdded(strings.Split(strings.TrimSuffix(name, alone), "+"))
		if err != nil {
			return Table{}, fmt.Errorf("column %q: %w", name, err)
		}
		table.Columns = append(table.Columns, Column{Name: name, Roles: roles})
	}
	seen := map[string]bool{}
	for i, line := range lines[1:] {
		row, err := parseRow(line)
		if err != nil {
			return Table{}, fmt.Errorf("line %d: %w", i+2, err)
		}
		key := strings.Join(line[:fixedColumns], ",")
		if seen[key] {
			return Table{}, fmt.Errorf("line %d: the table has the row %s twice", i+2, key)
		}
		seen[key] = true
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}

func parseRow(line []string) (Row, error) {
	row := Row{Resource: authz.Type(line[0]), Permission: authz.Permission(line[1]), Situation: line[2]}
	for _, cell := range line[fixedColumns:] {
		if cell != "y" && cell != "n" {
			return Row{}, fmt.Errorf("%q is neither y nor n", cell)
		}
		row.Allowed = append(row.Allowed, cell == "y")
	}
	return row, nil
}

func findRoleSet(name string) (authz.RoleSet, error) {
	for _, set := range authz.RoleSets {
		if string(set.Name) == name {
			return set, nil
		}
	}
	return authz.RoleSet{}, fmt.Errorf("%q is not a role set", name)
}
