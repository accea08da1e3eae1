package pages

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Seal encrypts data that callers receive and send back to the server, for example the position in a cursor. The
// encrypted text is called sealed. Without the secret, nobody can read or create a sealed text. The parameter "about"
// is associated data: it is not part of the sealed text, but Open needs the same value again. Two servers with the
// same secret return the same sealed text for the same parameters.
type Seal struct {
	secret []byte
	aead   cipher.AEAD
}

// NewSeal returns a Seal that encrypts with a secret.
func NewSeal(secret []byte) Seal {
	key := sha256.Sum256(secret)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block has the right size
	}
	return Seal{secret, aead}
}

// Close encrypts data, and returns the sealed text. The text is safe in a URL. The nonce is a digest of both
// parameters, so that different parameters practically never have the same nonce.
func (s Seal) Close(data, about []byte) string {
	digest := hmac.New(sha256.New, s.secret)
	digest.Write(binary.BigEndian.AppendUint64(nil, uint64(len(about))))
	digest.Write(about)
	digest.Write(data)
	nonce := digest.Sum(nil)[:s.aead.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, data, about))
}

// Open decrypts a sealed text, and returns its data. It reports false if Close did not make the text with the same
// secret and the same associated data.
func (s Seal) Open(text string, about []byte) ([]byte, bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return nil, false
	}
	nonce, sealed := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	data, err := s.aead.Open(nil, nonce, sealed, about)
	return data, err == nil
}
