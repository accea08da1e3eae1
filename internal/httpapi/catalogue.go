package httpapi

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
)

// DescribePermissions implements ServerInterface.
func (s *server) DescribePermissions(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		definitions, err := s.Definitions(ctx)
		if err != nil {
			return nil, err
		}
		catalogue := PermissionCatalogue{Types: []ResourceType{}}
		for _, definition := range definitions {
			if described := describe(definition); len(described.Permissions) > 0 {
				catalogue.Types = append(catalogue.Types, described)
			}
		}
		return catalogue, nil
	})
}

func describe(definition authz.Definition) ResourceType {
	described := ResourceType{Type: string(definition.Type), Description: definition.Doc}
	for _, permission := range definition.Permissions {
		if !permission.Internal {
			described.Permissions = append(described.Permissions, PermissionDescription{
				Name: string(permission.Name), Description: permission.Doc,
			})
		}
	}
	return described
}

// unknownType returns the error for a type that the schema does not have.
func unknownType(typ authz.Type, names []string) error {
	return authz.Errorf(authz.CodeInvalid, "the schema has no type %q%s", typ, similar.Hint(string(typ), names))
}

// nearest suggests names of the schema that resemble a malformed name.
func (s *server) nearest(ctx context.Context, bad *authz.BadName) string {
	definitions, err := s.Definitions(ctx)
	if err != nil {
		return ""
	}
	names := make(map[string]bool)
	for _, definition := range definitions {
		switch bad.Kind {
		case "type":
			names[string(definition.Type)] = true
		case "relation":
			addAll(names, definition.Relations)
		case "permission":
			addAll(names, definition.Relations)
			addAll(names, definition.Public())
		}
	}
	return similar.Hint(bad.Name, slices.Collect(maps.Keys(names)))
}

func addAll[S ~string](set map[string]bool, names []S) {
	for _, name := range names {
		set[string(name)] = true
	}
}

// ListRoleSets implements ServerInterface.
func (s *server) ListRoleSets(c *gin.Context) {
	s.answer(c, http.StatusOK, func(context.Context) (any, error) {
		sets := RoleSets{RoleSets: make([]RoleSet, len(authz.RoleSets))}
		for i, set := range authz.RoleSets {
			sets.RoleSets[i] = RoleSet{
				Name: string(
					set.Name,
				), On: string(set.On), Default: nilIfEmpty(set.Default), Roles: make([]Role, len(set.Roles)),
			}
			for j, role := range set.Roles {
				sets.RoleSets[i].Roles[j] = Role{
					Name: string(
						role.Name,
					), Title: role.Title, Additional: role.Additional, Requires: nilIfEmpty(role.Requires),
				}
			}
		}
		return sets, nil
	})
}
