package pages

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Seal encrypts data that callers store and send back to the server, for example cursors. Nobody without the secret can
// read or create a sealed text. The parameter about is associated data: a sealed text can be opened only with the same
// associated data, but does not contain it. Every server with the secret seals equal data with equal associated data
// as the same text.
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

// Close seals data with the associated data about. The returned text is safe in a URL. The nonce is a digest of both
// parameters, so that different parameters never share a nonce.
func (s Seal) Close(data, about []byte) string {
	digest := hmac.New(sha256.New, s.secret)
	digest.Write(binary.BigEndian.AppendUint64(nil, uint64(len(about))))
	digest.Write(about)
	digest.Write(data)
	nonce := digest.Sum(nil)[:s.aead.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, data, about))
}

// Open returns the data of a sealed text. It reports false unless Close made the text with the same secret and
// associated data.
func (s Seal) Open(text string, about []byte) ([]byte, bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return nil, false
	}
	nonce, sealed := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	data, err := s.aead.Open(nil, nonce, sealed, about)
	return data, err == nil
}
