package audit

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

// secretBytes is the length of a log's secret.
const secretBytes = 32

// newSecret returns a random secret. All servers that share the log use it to encrypt the numbers of entries, in
// cursors and event ids.
func newSecret() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails
	return hex.EncodeToString(secret[:])
}

// errNoPosition is the error of OpenPosition for a text that SealPosition did not return for this reader and account.
var errNoPosition = authz.Errorf(
	authz.CodeInvalid, "the cursor or event id was issued for another reader or account, or is damaged",
)

// SealPosition encrypts the number of an entry, for the reader of an account's history. The text does not reveal the
// number. Every server that shares the log returns the same text for the same number.
func (l *Log) SealPosition(seq int64, reader authz.Actor, of authz.ID) string {
	number := binary.BigEndian.AppendUint64(nil, uint64(seq)) //nolint:gosec // numbers are not negative
	return pages.NewSeal([]byte(l.secret)).Close(number, aboutPosition(reader, of))
}

// OpenPosition decrypts the number that SealPosition encrypted for the same reader and account. For any other text,
// the error has CodeInvalid.
func (l *Log) OpenPosition(text string, reader authz.Actor, of authz.ID) (int64, error) {
	number, ok := pages.NewSeal([]byte(l.secret)).Open(text, aboutPosition(reader, of))
	if !ok || len(number) != 8 {
		return 0, errNoPosition
	}
	return int64(binary.BigEndian.Uint64(number)), nil //nolint:gosec // SealPosition encrypted an int64
}

func aboutPosition(reader authz.Actor, of authz.ID) []byte {
	return fmt.Appendf(nil, "%q %q", reader, of)
}
