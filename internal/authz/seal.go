package authz

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Seal encrypts data that callers store and send back to the server, for example cursors. Nobody without the secret can
// read or create a sealed text. Equal data with equal about has the same sealed text, on every server with the secret.
type Seal struct {
	secret []byte
	aead   cipher.AEAD
}

// NewSeal returns the Seal with a secret.
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

// Close returns sealed data, in characters that are safe in a URL. Open needs the same about. The nonce is a digest
// of about and data, so two different pairs never share one.
func (s Seal) Close(data, about []byte) string {
	digest := hmac.New(sha256.New, s.secret)
	digest.Write(binary.BigEndian.AppendUint64(nil, uint64(len(about))))
	digest.Write(about)
	digest.Write(data)
	nonce := digest.Sum(nil)[:s.aead.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, data, about))
}

// Open returns the data of a sealed text. It reports false for a text that Close did not make with the same secret and
// about.
func (s Seal) Open(text string, about []byte) ([]byte, bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return nil, false
	}
	nonce, sealed := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	data, err := s.aead.Open(nil, nonce, sealed, about)
	return data, err == nil
}
