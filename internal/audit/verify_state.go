package audit

import (
	"context"
	"database/sql"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"github.com/sluice-authz/sluice/internal/authz"
)

// stateRows describes the rows of sluice_audit_state.
var stateRows = map[int64]string{
	stateToken: "the token after which the log continues", stateLast: "the number of the last written entry",
	stateSecret: "the secret that encrypts the numbers of entries",
}

// state compares the rows of sluice_audit_state with the entries.
func (v *verification) state(ctx context.Context, tx *sql.Tx) error {
	rows, err := tableRows(ctx, tx, 3, "SELECT id, token, version FROM sluice_audit_state ORDER BY id")
	if err != nil {
		return err
	}
	missing := maps.Clone(stateRows)
	for _, row := range rows {
		id, _ := row[0].(int64)
		if _, expected := missing[id]; !expected {
			v.fault("sluice_audit_state has a row %v that Sluice does not create", row[0])
			continue
		}
		delete(missing, id)
		if row[2] != any(int64(version)) {
			v.fault("row %d of sluice_audit_state has the version %v, and the log has version %d", id, row[2], version)
		}
		v.stateValue(id, textOf(row[1]))
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		v.fault("sluice_audit_state has no row %d, %s", id, missing[id])
	}
	return nil
}

func (v *verification) stateValue(id int64, value string) {
	switch id {
	case stateToken:
		if value == "" && v.last > 0 {
			v.fault("row %d of sluice_audit_state, %s, is empty, and the log has entries", id, stateRows[id])
		} else if value != "" && v.expected.Position != nil {
			if err := v.expected.Position(authz.Token(value), v.revision); err != nil {
				v.fault("row %d of sluice_audit_state, %s: %v", id, stateRows[id], err)
			}
		}
	case stateLast:
		switch wrote, err := strconv.ParseInt(value, 10, 64); {
		case err != nil || strconv.FormatInt(wrote, 10) != value:
			v.fault("row %d of sluice_audit_state, %s, is %.100q", id, stateRows[id], value)
		case wrote > v.last:
			v.fault("the log ends with entry %d, and entry %d was written last: the end was cut off", v.last, wrote)
		case wrote < v.last:
			v.fault("the log ends with entry %d, and entry %d is stored as the last one", v.last, wrote)
		}
	case stateSecret:
		if secret, err := hex.DecodeString(value); err != nil || len(secret) != secretBytes ||
			hex.EncodeToString(secret) != value {
			v.fault("row %d of sluice_audit_state, %s, does not have the form that Sluice writes", id, stateRows[id])
		}
	}
}
