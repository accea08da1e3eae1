package spicedb

import (
	"strconv"
	"strings"
	"sync/atomic"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/zedtoken"
)

// SpiceDB v1.56.0 evaluates a part that several concurrent checks have in common only once. It recognizes such parts
// by the text of their revision, among other things. With sharing, the steps of a check depend on the checks that run
// at the same time, and so does the answer of a check that needs many steps. To prevent sharing, each evaluation gets
// its own text of the revision: the revision, unsharedMark and a number.

// unsharedMark is a character that no revision contains.
const unsharedMark = "!"

var lastUnshared atomic.Uint64 // the number of the last text

// unshared is a revision whose text is different each time.
type unshared struct{ datastore.Revision }

// String implements datastore.Revision.
func (u unshared) String() string {
	return u.Revision.String() + unsharedMark + strconv.FormatUint(lastUnshared.Add(1), 10)
}

// Equal implements datastore.Revision.
func (u unshared) Equal(other datastore.Revision) bool { return u.Revision.Equal(plain(other)) }

// GreaterThan implements datastore.Revision.
func (u unshared) GreaterThan(other datastore.Revision) bool {
	return u.Revision.GreaterThan(plain(other))
}

// LessThan implements datastore.Revision.
func (u unshared) LessThan(other datastore.Revision) bool { return u.Revision.LessThan(plain(other)) }

// plain returns the revision within an unshared one.
func plain(revision datastore.Revision) datastore.Revision {
	if u, ok := revision.(unshared); ok {
		return u.Revision
	}
	return revision
}

// plainText returns the text of a revision without the number of an unshared one.
func plainText(text string) string {
	text, _, _ = strings.Cut(text, unsharedMark)
	return text
}

// plainTokens replaces the token of an answer by a token of the plain revision.
func plainTokens(answer any) error {
	switch answer := answer.(type) {
	case *v1.CheckPermissionResponse:
		return plainToken(answer.GetCheckedAt())
	case *v1.CheckBulkPermissionsResponse:
		return plainToken(answer.GetCheckedAt())
	case *v1.BulkCheckPermissionResponse:
		return plainToken(answer.GetCheckedAt())
	default:
		return nil
	}
}

func plainToken(token *v1.ZedToken) error {
	if token == nil {
		return nil
	}
	decoded, err := zedtoken.Decode(token)
	if err != nil {
		return err
	}
	current, ok := decoded.GetVersionOneof().(*implv1.DecodedZedToken_V1)
	if !ok {
		return nil
	}
	current.V1.Revision = plainText(current.V1.GetRevision())
	encoded, err := zedtoken.Encode(decoded)
	token.Token = encoded.GetToken()
	return err
}
