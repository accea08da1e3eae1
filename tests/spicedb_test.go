package tests

import (
	"errors"
	"io"
	"slices"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/grpcutil"
	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// dialSpiceDB connects to SpiceDB's gRPC API with a key, as the command zed does.
func dialSpiceDB(address, key string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpcutil.WithInsecureBearerToken(key),
	)
}

var fullyConsistent = &v1.Consistency{Requirement: &v1.Consistency_FullyConsistent{FullyConsistent: true}}

// readRelationships returns the stored relationships that match a filter, in zed's notation, without expirations.
func readRelationships(t testing.TB, conn *grpc.ClientConn, filter *v1.RelationshipFilter) []string {
	t.Helper()
	stream, err := v1.NewPermissionsServiceClient(conn).ReadRelationships(t.Context(), &v1.ReadRelationshipsRequest{
		Consistency: fullyConsistent, RelationshipFilter: filter,
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, response := range receiveAll(t, stream) {
		found = append(found, text(response.GetRelationship()))
	}
	return found
}

// receiveAll returns all messages of a stream.
func receiveAll[T any](t testing.TB, stream grpc.ServerStreamingClient[T]) (all []*T) {
	t.Helper()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, response)
	}
}

// everything returns all stored relationships of every type, as a backup with zed does.
func everything(t testing.TB, conn *grpc.ClientConn) []string {
	t.Helper()
	request := &v1.ExportBulkRelationshipsRequest{Consistency: fullyConsistent}
	stream, err := v1.NewPermissionsServiceClient(conn).ExportBulkRelationships(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, response := range receiveAll(t, stream) {
		for _, r := range response.GetRelationships() {
			found = append(found, text(r))
		}
	}
	return found
}

// write writes relationships in zed's notation directly to SpiceDB. Sluice gets them a little later, through Watch.
// The token is that of the last write.
func (s scene) write(relationships ...string) (token string) {
	s.t.Helper()
	for part := range slices.Chunk(relationships, 1000) {
		request := new(v1.WriteRelationshipsRequest)
		for _, r := range part {
			request.Updates = append(request.Updates, &v1.RelationshipUpdate{
				Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: tuple.MustParseV1Rel(r),
			})
		}
		written, err := v1.NewPermissionsServiceClient(s.on.spicedb).WriteRelationships(s.t.Context(), request)
		if err != nil {
			s.t.Fatal(err)
		}
		token = written.GetWrittenAt().GetToken()
	}
	return token
}

func text(r *v1.Relationship) string {
	subject := r.GetSubject().GetObject()
	s := r.GetResource().GetObjectType() + ":" + r.GetResource().GetObjectId() + "#" + r.GetRelation() +
		"@" + subject.GetObjectType() + ":" + subject.GetObjectId()
	if relation := r.GetSubject().GetOptionalRelation(); relation != "" {
		s += "#" + relation
	}
	return s
}
