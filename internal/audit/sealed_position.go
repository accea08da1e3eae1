package audit

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
)

// secretBytes is the length of a log's secret.
const secretBytes = 32

// newSecret returns a random secret. All servers that share the log seal numbers with it.
func newSecret() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails
	return hex.EncodeToString(secret[:])
}

// errNoPosition is the error of OpenPosition.
var errNoPosition = authz.Errorf(authz.CodeInvalid, "this position belongs to another person or account, or is damaged")

// SealPosition encrypts the number of an entry for a person who reads an account's history. The text reveals nothing
// about the number. Every server that shares the log returns the same text for the same number.
func (l *Log) SealPosition(seq int64, reader, of authz.ID) string {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(seq)) //nolint:gosec // numbers are not negative
	about := aboutPosition(reader, of)
	digest := hmac.New(sha256.New, []byte(l.secret))
	digest.Write(about)
	digest.Write(number[:])
	sealing := l.sealing()
	nonce := digest.Sum(nil)[:sealing.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(sealing.Seal(nonce, nonce, number[:], about))
}

// OpenPosition returns the number that SealPosition sealed for the same person and account. For any other text, the
// error has CodeInvalid.
func (l *Log) OpenPosition(text string, reader, of authz.ID) (int64, error) {
	sealing := l.sealing()
	withHash, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(withHash) < sealing.NonceSize() {
		return 0, errNoPosition
	}
	nonce, withHash := withHash[:sealing.NonceSize()], withHash[sealing.NonceSize():]
	number, err := sealing.Open(nil, nonce, withHash, aboutPosition(reader, of))
	if err != nil || len(number) != 8 {
		return 0, errNoPosition
	}
	return int64(binary.BigEndian.Uint64(number)), nil //nolint:gosec // as it was sealed
}

func aboutPosition(reader, of authz.ID) []byte { return fmt.Appendf(nil, "%q %q", reader, of) }

func (l *Log) sealing() cipher.AEAD {
	key := sha256.Sum256([]byte(l.secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	sealing, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block has the right size
	}
	return sealing
}
