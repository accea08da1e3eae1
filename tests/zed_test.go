package tests

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// zedScene creates the account and the importer that these tests read.
func zedScene(t *testing.T) scene {
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play("ulla POST importers {id: ~i, account: ~a}")
	return s
}

func reference(typ, id string) *v1.ObjectReference {
	return &v1.ObjectReference{ObjectType: typ, ObjectId: id}
}

func userSubject(id string) *v1.SubjectReference {
	return &v1.SubjectReference{Object: reference("user", id)}
}

// TestZed makes the same calls to SpiceDB's API as the commands of zed.
func TestZed(t *testing.T) {
	t.Parallel()
	s := zedScene(t)
	permissions := v1.NewPermissionsServiceClient(s.on.spicedb)

	t.Run("relationship read", func(t *testing.T) {
		got := readRelationships(
			t, s.on.spicedb, &v1.RelationshipFilter{ResourceType: "importer", OptionalResourceId: s.id("i")},
		)
		slices.Sort(got)
		want := []string{s.in("importer:~i#account@account:~a"), s.in("importer:~i#creator@user:~ulla")}
		if !slices.Equal(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("permission check", func(t *testing.T) {
		for who, want := range map[string]v1.CheckPermissionResponse_Permissionship{
			"ulla": v1.CheckPermissionResponse_PERMISSIONSHIP_HAS_PERMISSION,
			"gert": v1.CheckPermissionResponse_PERMISSIONSHIP_NO_PERMISSION,
		} {
			response, err := permissions.CheckPermission(t.Context(), &v1.CheckPermissionRequest{
				Consistency: fullyConsistent, Resource: reference("importer", s.id("i")), Permission: "edit", Subject: userSubject(
					s.id(who),
				),
			})
			if err != nil {
				t.Fatal(err)
			}
			if response.GetPermissionship() != want {
				t.Errorf("%s: %s, want %s", who, response.GetPermissionship(), want)
			}
		}
	})
	t.Run("permission expand", func(t *testing.T) {
		response, err := permissions.ExpandPermissionTree(t.Context(), &v1.ExpandPermissionTreeRequest{
			Consistency: fullyConsistent, Resource: reference("importer", s.id("i")), Permission: "edit",
		})
		if err != nil {
			t.Fatal(err)
		}
		if tree := response.GetTreeRoot().String(); !strings.Contains(tree, s.id("ulla")) {
			t.Errorf("ulla is not in %s", tree)
		}
	})
	t.Run("permission lookup-resources", func(t *testing.T) {
		stream, err := permissions.LookupResources(t.Context(), &v1.LookupResourcesRequest{
			Consistency: fullyConsistent, ResourceObjectType: "importer", Permission: "edit", Subject: userSubject(s.id("ulla")),
		})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, response := range receiveAll(t, stream) {
			found = append(found, response.GetResourceObjectId())
		}
		if !slices.Equal(found, []string{s.id("i")}) {
			t.Errorf("found %s", found)
		}
	})
	t.Run("permission lookup-subjects", func(t *testing.T) {
		stream, err := permissions.LookupSubjects(t.Context(), &v1.LookupSubjectsRequest{
			Consistency: fullyConsistent, Resource: reference("importer", s.id("i")), Permission: "view",
			SubjectObjectType: "user",
		})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, response := range receiveAll(t, stream) {
			found = append(found, response.GetSubject().GetSubjectObjectId())
		}
		slices.Sort(found)
		if want := []string{s.id("olga"), s.id("ulla")}; !slices.Equal(found, want) {
			t.Errorf("found %s, want %s", found, want)
		}
	})
	t.Run("schema read", func(t *testing.T) {
		response, err := v1.NewSchemaServiceClient(s.on.spicedb).ReadSchema(t.Context(), &v1.ReadSchemaRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"definition importer", "permission edit", "/** May change the importer. @grantable */"} {
			if !strings.Contains(response.GetSchemaText(), part) {
				t.Errorf("the schema does not contain %q", part)
			}
		}
	})
}

// TestZedWatch follows Watch while an operation runs over HTTP. The metadata of the transaction must name the actor.
func TestZedWatch(t *testing.T) {
	t.Parallel()
	s := zedScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	token := s.by("ulla").must(http.MethodGet, "accounts/"+s.id("a"), nil).token(t)
	stream, err := v1.NewWatchServiceClient(s.on.spicedb).Watch(ctx, &v1.WatchRequest{
		OptionalObjectTypes: []string{"importer"}, OptionalStartCursor: &v1.ZedToken{Token: token},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.play("ulla POST importers {id: ~seen, account: ~a} => 201")
	for {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, update := range response.GetUpdates() {
			if text(update.GetRelationship()) != s.in("importer:~seen#creator@user:~ulla") {
				continue // a change of another test
			}
			metadata := response.GetOptionalTransactionMetadata().AsMap()
			if metadata["actor"] != s.id("ulla") || metadata["operation"] != "create_importer" || metadata["key"] != "master" ||
				metadata["request_id"] == "" {
				t.Errorf("the metadata of the transaction is %v", metadata)
			}
			return
		}
	}
}

// TestZedNeedsItsKey calls SpiceDB's API with wrong keys.
func TestZedNeedsItsKey(t *testing.T) {
	t.Parallel()
	on := memory.get(t)
	for _, key := range []string{"wrong", masterKey, on.key + "x", " "} {
		conn, err := dialSpiceDB(on.address, key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v1.NewSchemaServiceClient(conn).ReadSchema(t.Context(), &v1.ReadSchemaRequest{})
		if code := status.Code(err); code != codes.PermissionDenied && code != codes.Unauthenticated {
			t.Errorf("with the key %q: %v", key, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	// SpiceDB's key must not be a key of the HTTP API.
	if a := newCaller(t, on.url).withKey(on.key).call(
		http.MethodGet, "role-sets", nil,
	); a.status != http.StatusUnauthorized {
		t.Errorf("%s with zed's key: %d", a.request, a.status)
	}
}
