package sqlitestore

import (
	"fmt"
	"strings"
	"time"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// A key is stored as its components, joined by spaces. Neither a space nor a character that sorts before it occurs in
// a component. So the stored texts sort like the components.
const (
	separator = " "
	above     = "!" // the next greater character
)

func encodeKey(k keyspan.Key) string { return strings.Join(k[:], separator) }

func decodeKey(text string) (k keyspan.Key, err error) {
	rest, found := text, true
	for i := range k {
		if !found {
			return k, fmt.Errorf("%w: %q is not a valid key", ErrCorrupt, text)
		}
		k[i], rest, found = strings.Cut(rest, separator)
	}
	if found {
		return k, fmt.Errorf("%w: %q is not a valid key", ErrCorrupt, text)
	}
	return k, nil
}

// keysOf returns both keys of a relationship. SpiceDB's own rules for names and ids are stricter than this check.
func keysOf(r *tuple.Relationship) (resource, subject string, err error) {
	k := keyspan.ByResource(r)
	for _, component := range k {
		for i := range len(component) {
			if component[i] <= ' ' {
				return "", "", fmt.Errorf(
					"%q has a space or control character, which no part of a relationship may have", component,
				)
			}
		}
	}
	return encodeKey(k), encodeKey(k.Swapped()), nil
}

// bounds returns the range of keys that a part of a plan contains. from is the least key in the range, and to is the
// least key above the range. If the part is a single key, both are equal.
func bounds(p keyspan.Part) (from, to string) {
	prefix := strings.Join(p.Components, separator)
	switch {
	case len(p.Components) == len(keyspan.Key{}):
		return prefix, prefix
	case len(p.Components) == 0:
		return "", maxKey
	case !p.Partly:
		return prefix + separator, prefix + above
	case strings.HasSuffix(prefix, separator):
		return prefix, prefix[:len(prefix)-1] + above
	default:
		return prefix, prefix + maxKey
	}
}

const maxKey = "\U0010FFFF"

// encodeDetails returns the caveat and expiration of a relationship, or nil if it has neither.
func encodeDetails(r *tuple.Relationship) ([]byte, error) {
	if r.OptionalCaveat == nil && r.OptionalExpiration == nil && r.OptionalIntegrity == nil {
		return nil, nil
	}
	details := r.ToCoreTuple()
	details.ResourceAndRelation, details.Subject = nil, nil
	return details.MarshalVT()
}

// decode returns the relationship with the key text and the details. bySubject says that the key is in the order of
// subjects.
func decode(text string, bySubject bool, details []byte) (r tuple.Relationship, err error) {
	k, err := decodeKey(text)
	if err != nil {
		return r, err
	}
	if bySubject {
		k = k.Swapped()
	}
	r = k.Relationship()
	if details == nil {
		return r, nil
	}
	var stored core.RelationTuple
	if err := stored.UnmarshalVT(details); err != nil {
		return r, fmt.Errorf("%w: the details of %q: %w", ErrCorrupt, text, err)
	}
	r.OptionalCaveat, r.OptionalIntegrity = stored.GetCaveat(), stored.GetIntegrity()
	if expiration := stored.GetOptionalExpirationTime(); expiration != nil {
		at := expiration.AsTime()
		r.OptionalExpiration = &at
	}
	return r, nil
}

// expires returns when a relationship expires, in whole seconds since 1970, rounded up, or nil for a permanent
// relationship.
func expires(r *tuple.Relationship) any {
	if r.OptionalExpiration == nil {
		return nil
	}
	return r.OptionalExpiration.Add(time.Second - time.Nanosecond).Unix()
}
