package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
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

// unknownType is the error about a type that the schema does not have.
func unknownType(typ authz.Type, names []string) error {
	problem := ""
	if near := authz.Nearest(string(typ), names); len(near) > 0 {
		problem = "; the nearest are " + strings.Join(near, ", ")
	}
	return authz.Errorf(authz.CodeInvalid, "the schema has no type %q%s", typ, problem)
}

// ListRoleSets implements ServerInterface.
func (s *server) ListRoleSets(c *gin.Context) {
	s.answer(c, http.StatusOK, func(context.Context) (any, error) {
		sets := RoleSets{RoleSets: make([]RoleSet, len(authz.RoleSets))}
		for i, set := range authz.RoleSets {
			sets.RoleSets[i] = RoleSet{Name: string(set.Name), On: string(set.On), Default: unlessEmpty(set.Default), Roles: make([]Role, len(set.Roles))}
			for j, role := range set.Roles {
				sets.RoleSets[i].Roles[j] = Role{
					Name: string(role.Name), Title: role.Title, Additional: role.Additional, Requires: unlessEmpty(role.Requires),
				}
			}
		}
		return sets, nil
	})
}
