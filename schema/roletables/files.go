package roletables

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Validations renders all validation files, and returns them by name. In them, subjects of one kind hold the roles.
// For each table, one file checks its rows, and another one checks that nothing else is granted. folder contains
// role-tables/ and beyond.csv. definitions are those of the schema.
func Validations(folder fs.FS, holder Holder, definitions []authz.Definition) (map[string]string, error) {
	tables, err := ReadFolder(folder)
	if err != nil {
		return nil, err
	}
	file, err := folder.Open("beyond.csv")
	if err != nil {
		return nil, err
	}
	beyond, err := ParseBeyond(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("beyond.csv: %w", err)
	}
	files := map[string]string{}
	for _, table := range tables {
		name := string(table.RoleSet.Name)
		if files[name+".yaml"], err = Validation(table, holder); err != nil {
			return nil, err
		}
		if files[name+"_nothing_else.yaml"], err = NothingElse(table, holder, definitions, beyond); err != nil {
			return nil, err
		}
	}
	for _, b := range beyond {
		if !b.used {
			return nil, fmt.Errorf(
				"beyond.csv: the tables already grant the line about %s, %s", b.resource, b.permissions,
			)
		}
	}
	return files, nil
}

// ReadFolder reads all role tables in the subfolder role-tables of a folder.
func ReadFolder(folder fs.FS) ([]Table, error) {
	tables, err := fs.Sub(folder, "role-tables")
	if err != nil {
		return nil, err
	}
	return Read(tables)
}
