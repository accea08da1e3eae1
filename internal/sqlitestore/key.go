package sqlitestore

import (
	"fmt"
	"strings"
	"time"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// A key is stored as its components with spaces between them. No component contains a space or anything less than it, so
// that the text is sorted as the components are.
const (
	separator = " "
	above     = "!" // the next greater character
)

func encodeKey(k keyspan.Key) string { return strings.Join(k[:], separator) }

func decodeKey(text string) (k keyspan.Key, err error) {
	rest, found := text, true
	for i := range k {
		if !found {
			return k, fmt.Errorf("%w: %q is no key", ErrCorrupt, text)
		}
		k[i], rest, found = strings.Cut(rest, separator)
	}
	if found {
		return k, fmt.Errorf("%w: %q is no key", ErrCorrupt, text)
	}
	return k, nil
}

// keysOf returns both keys of a relationship. SpiceDB's own rules for names and ids are stricter than what is checked here.
func keysOf(r *tuple.Relationship) (resource, subject string, err error) {
	k := keyspan.ByResource(r)
	for _, component := range k {
		for i := range len(component) {
			if component[i] <= ' ' {
				return "", "", fmt.Errorf("%q can be no part of a relationship", component)
			}
		}
	}
	return encodeKey(k), encodeKey(k.Swapped()), nil
}

// bounds returns the least key of a part and the least that is above it. They are the same if the part is one key.
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

// encodeDetails returns what a relationship has beside its key; nothing for most.
func encodeDetails(r *tuple.Relationship) ([]byte, error) {
	if r.OptionalCaveat == nil && r.OptionalExpiration == nil && r.OptionalIntegrity == nil {
		return nil, nil
	}
	details := r.ToCoreTuple()
	details.ResourceAndRelation, details.Subject = nil, nil
	return details.MarshalVT()
}

// decode makes a relationship of its key in one of the orders and its details.
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

// expires is when a relationship expires, in whole seconds since 1970, rounded up; nil if never.
func expires(r *tuple.Relationship) any {
	if r.OptionalExpiration == nil {
		return nil
	}
	return r.OptionalExpiration.Add(time.Second - time.Nanosecond).Unix()
}
