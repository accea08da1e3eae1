package authz

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// DescribeForeign returns a sentence that says why no API call can have stored the id of an object. The id must be
// foreign: see ID.IsForeign. If the id has a wrong escape, or an unescaped character that needs one, the sentence
// shows the correct stored form.
func DescribeForeign(object Object) string {
	stored := strings.TrimPrefix(string(object.ID), storedPrefix)
	subject := fmt.Sprintf("the id %q of %s", Echo(stored), WithArticle(object.Type))
	meant, isEscaped := unescapeAny(stored)
	if !isEscaped {
		meant = stored
	}
	id, err := parseID(object.Type, meant)
	switch {
	case err != nil && isEscaped && meant != stored:
		return fmt.Sprintf("%s stands for %q: %s", subject, Echo(meant), messageOf(err))
	case err != nil:
		return fmt.Sprintf("%s: %s", subject, messageOf(err))
	case id.IsForeign():
		return fmt.Sprintf(
			"%s stands for %q: no caller can choose an id that begins with %s", subject, Echo(meant), storedPrefix,
		)
	case isEscaped:
		return fmt.Sprintf("%s has an escape of the wrong form; write %q for the id %q", subject, EncodeID(id), meant)
	}
	return fmt.Sprintf(
		"%s has a character '=' that begins no escape; write %q for the id %q", subject, Echo(EncodeID(id)), Echo(meant),
	)
}

func messageOf(err error) string {
	var known *Error
	if errors.As(err, &known) {
		return known.Message
	}
	return err.Error()
}

// unescapeAny decodes the escapes of a stored id. It also accepts escapes that EncodeID does not write, for example
// with lower-case digits. It reports false if an '=' does not begin an escape.
func unescapeAny(stored string) (string, bool) {
	decoded := make([]byte, 0, len(stored))
	for i := 0; i < len(stored); i++ {
		if stored[i] != '=' {
			decoded = append(decoded, stored[i])
			continue
		}
		if i+2 >= len(stored) {
			return "", false
		}
		escaped, err := hex.DecodeString(stored[i+1 : i+3])
		if err != nil {
			return "", false
		}
		decoded = append(decoded, escaped[0])
		i += 2
	}
	return string(decoded), true
}
